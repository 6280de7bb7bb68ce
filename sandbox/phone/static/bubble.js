// One bubble, from either side.

import { h, icon } from "./dom.js";
import { state } from "./state.js";
import { formatted } from "./text.js";
import { clockOf, word } from "./words.js";

const FILES = { image: "picture", audio: "voice", video: "video", sticker: "sticker", document: "file", contacts: "contact_card" };
const MARKS = { image: "📷", audio: "🎤", video: "🎥", sticker: "💟", document: "📄", contacts: "👤", location: "📍" };

// In one line: for the list of chats and for quotes.
export function inShort(bubble) {
  if (bubble.kind === "reaction") return word("reacted", { emoji: bubble.body });
  const name = bubble.kind === "location" ? "location" : FILES[bubble.kind];
  const said = bubble.body.replace(/\s+/g, " ");
  return name ? `${MARKS[bubble.kind]} ${said || word(name)}` : said;
}

export const author = (bubble) => (bubble.author === "user" ? word("you") : "Hilo");

function attached(bubble) {
  const url = `/media/${bubble.sid}/0`;
  switch (bubble.kind) {
    case "image":
    case "sticker":
      return h("img", { src: url, alt: bubble.body || word("picture"), class: bubble.kind, loading: "lazy" });
    case "audio":
      return h("audio", { src: url, controls: true, preload: "metadata", "aria-label": word("voice") });
    case "video":
      return h("video", { src: url, controls: true, preload: "none", "aria-label": word("video") });
    case "document":
    case "contacts":
      return h("a", { href: url, class: "file", download: bubble.body || "file" }, `${MARKS[bubble.kind]} ${word(FILES[bubble.kind])}`);
    default:
      return null;
  }
}

// What we were sent lies elsewhere: this page loads nothing from there.
function linked(bubble) {
  return bubble.media.map((url) => h("a", { href: /^https?:/.test(url) ? url : "#", class: "file", target: "_blank", rel: "noopener noreferrer" }, `📷 ${word("picture")}`));
}

function quote(bubble, person) {
  const first = person.bubbles.get(bubble.reply_to);
  const said = first ? inShort(first) : word("gone");
  return h("div", { class: "quote" }, first && h("b", {}, author(first)), h("span", {}, said));
}

function ticks(bubble) {
  if (bubble.author !== "user") return null;
  const read = bubble.tick === "read";
  const mark = icon("two", word(read ? "read" : "sent"));
  mark.classList.add("tick");
  return mark;
}

// Twilio gave up: Hilo's webhook did not take this message. A client sees nothing of it.
export function setLost(element, bubble) {
  if (!bubble.lost || element.querySelector(".lost")) return;
  element.append(h("p", { class: "warning lost" }, word("lost", { why: bubble.lost })));
}

export function setTick(element, bubble) {
  element.dataset.tick = bubble.tick;
  element.querySelector(".tick")?.replaceWith(ticks(bubble) ?? "");
}

function body(bubble) {
  if (bubble.kind === "location") {
    return h("p", { class: "said place" }, h("span", { class: "pin", "aria-hidden": "true" }, "📍"), bubble.body || word("location"));
  }
  return bubble.body && h("p", { class: "said", dir: "auto" }, ...formatted(bubble.body));
}

function buttons(bubble, press) {
  if (!bubble.buttons.length) return null;
  const each = (label) => h("button", { type: "button", click: () => press(bubble, label) }, label);
  return h("div", { class: "buttons" }, ...bubble.buttons.map(each));
}

// `act.menu(bubble, button)` opens what can be done with it, `act.press(bubble, label)` presses one of its buttons.
export function bubbleOf(bubble, person, act) {
  const mine = bubble.author === "user";
  const more = h("button", { type: "button", class: "more", "aria-label": word("more"), click: (event) => act.menu(bubble, event.currentTarget) }, icon("down"));
  return h(
    "article",
    {
      class: `bubble ${mine ? "mine" : "theirs"}`,
      id: `b-${bubble.sid}`,
      "data-sid": bubble.sid,
      "data-author": bubble.author,
      "data-kind": bubble.kind,
      "data-tick": bubble.tick,
      "aria-label": `${author(bubble)}, ${clockOf(bubble.at)}`,
    },
    bubble.reply_to && quote(bubble, person),
    mine ? attached(bubble) : null,
    ...(mine ? [] : linked(bubble)),
    body(bubble),
    bubble.auto && h("p", { class: "warning" }, word("auto")),
    h("span", { class: "meta" }, bubble.kind === "template" && h("i", {}, `${word("template")} · `), h("time", { datetime: bubble.at }, clockOf(bubble.at)), ticks(bubble)),
    buttons(bubble, act.press),
    more,
  );
}

export const openPerson = () => state.people.get(state.open);
