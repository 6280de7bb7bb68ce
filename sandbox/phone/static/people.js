// The list of clients, newest first.

import { author, inShort } from "./bubble.js";
import { $, badge, h, icon } from "./dom.js";
import { lastOf, now, on, state, unread } from "./state.js";
import { shortDay, word } from "./words.js";

const COLOURS = 6;

export function avatar(person) {
  const letters = person.name.split(/\s+/).map((part) => [...part][0]).filter((letter) => /\p{L}/u.test(letter ?? ""));
  const colour = [...person.address].reduce((sum, letter) => sum + letter.codePointAt(0), 0) % COLOURS;
  return h("span", { class: `avatar c${colour}`, "aria-hidden": "true" }, letters.slice(0, 2).join("").toUpperCase() || "?");
}

function preview(person, last) {
  if (person.typing) return h("span", { class: "typing" }, word("typing"));
  if (!last) return h("span", {}, person.hidden ? word("hidden_number") : person.shown_as);
  const mark = last.author === "user" ? icon("two", word(last.tick === "read" ? "read" : "sent")) : null;
  mark?.classList.add("tick");
  mark?.classList.toggle("blue", last.tick === "read");
  return h("span", { "aria-label": `${author(last)}: ${inShort(last)}` }, mark, inShort(last));
}

function row(person, choose) {
  const last = lastOf(person);
  const news = unread(person);
  const count = h("b", { class: "badge", "aria-label": `${news} ${word("unread")}` }, String(news));
  count.hidden = news === 0;
  return h(
    "li",
    {},
    h(
      "button",
      {
        type: "button",
        class: "person",
        "data-contact": person.address,
        "data-unread": news,
        "aria-current": person.address === state.open ? "true" : null,
        click: () => choose(person.address),
      },
      avatar(person),
      h("span", { class: "name" }, person.name),
      h("time", { class: news ? "fresh" : null }, last ? shortDay(last.at, now()) : ""),
      h("span", { class: "last" }, preview(person, last)),
      count,
    ),
  );
}

export function showPeople(choose) {
  const draw = () => {
    const when = (person) => lastOf(person)?.at ?? "";
    const sorted = [...state.people.values()].sort((a, b) => (when(a) < when(b) ? 1 : when(a) > when(b) ? -1 : 0));
    const focused = document.activeElement?.dataset?.contact;
    $("contacts").replaceChildren(...sorted.map((person) => row(person, choose)));
    if (focused) $("contacts").querySelector(`[data-contact="${CSS.escape(focused)}"]`)?.focus();
    $("no-contacts").textContent = word("no_people");
    $("no-contacts").hidden = sorted.length > 0;
    badge($("unread-all"), sorted.reduce((sum, person) => sum + unread(person), 0));
  };
  for (const event of ["people", "bubble", "tick", "typing", "open", "seen", "day"]) on(event, draw);
}
