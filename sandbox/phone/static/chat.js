// The open chat: its bubbles as they come, its header, its menu.

import { author, bubbleOf, inShort, openPerson, setLost, setTick } from "./bubble.js";
import { $, h, toast } from "./dom.js";
import { inTurn, post } from "./post.js";
import { emit, markSeen, now, on, state } from "./state.js";
import { dayName, dayOf, word } from "./words.js";

const REACTIONS = ["👍", "❤️", "😂", "😮", "😢", "🙏"];
const NEAR_END = 120;
const list = $("bubbles");
let previous = null;
let chosen = null;

const atEnd = () => list.scrollHeight - list.scrollTop - list.clientHeight < NEAR_END;
// Where the reader was before something grew: a picture that loads must not push the newest bubble out of sight.
let follows = true;

function toEnd() {
  list.scrollTop = list.scrollHeight;
  follows = true;
}
const elementOf = (sid) => document.getElementById(`b-${sid}`);

const act = {
  menu(bubble, button) {
    chosen = bubble;
    const menu = $("bubble-menu");
    menu.showPopover();
    const place = button.getBoundingClientRect();
    const size = menu.getBoundingClientRect();
    menu.style.left = `${Math.max(8, Math.min(place.left, innerWidth - size.width - 8))}px`;
    menu.style.top = `${Math.max(8, Math.min(place.bottom + 4, innerHeight - size.height - 8))}px`;
    menu.querySelector("button").focus();
  },
  press(bubble, label) {
    const contact = state.open;
    inTurn(() => post("messages", { contact, kind: "button", text: label, reply_to: bubble.sid }));
  },
};

function put(bubble, person) {
  if (bubble.kind === "reaction") {
    const target = elementOf(bubble.reply_to);
    target?.querySelector(".reaction")?.remove();
    target?.append(h("span", { class: "reaction", title: author(bubble) }, bubble.body));
    target?.classList.add("reacted");
    return;
  }
  const known = elementOf(bubble.sid);
  if (known) return setTick(known, bubble);
  const newDay = !previous || dayOf(previous.at) !== dayOf(bubble.at);
  if (newDay) list.append(h("p", { class: "day" }, dayName(bubble.at, now())));
  const element = bubbleOf(bubble, person, act);
  element.classList.toggle("first", newDay || previous.author !== bubble.author);
  setLost(element, bubble);
  list.append(element);
  previous = bubble;
}

function typing(person) {
  const dots = $("typing");
  if (!person.typing) return dots?.remove();
  if (!dots) list.append(h("div", { id: "typing", class: "bubble theirs first", role: "img", "aria-label": word("typing") }, h("i"), h("i"), h("i")));
  else list.append(dots);
}

function head(person) {
  $("chat-state").textContent = person.typing ? word("typing") : `${state.number} · ${word("you_are", { name: person.name })}`;
  $("chat-state").classList.toggle("typing", person.typing);
}

function looked() {
  const person = openPerson();
  if (!person || document.hidden || document.body.dataset.narrow === "true" && document.body.dataset.view !== "chat") return;
  markSeen(person);
  emit("seen");
}

function draw() {
  const person = openPerson();
  $("no-chat").hidden = Boolean(person);
  $("open-chat").hidden = !person;
  if (!person) return;
  previous = null;
  list.replaceChildren();
  if (!person.bubbles.size) list.append(h("p", { class: "empty", id: "empty-chat" }, word("empty_chat")));
  for (const bubble of person.bubbles.values()) put(bubble, person);
  typing(person);
  head(person);
  $("call-open").disabled = !person.phone;
  $("call-open").title = word(person.phone ? "finish_call" : "no_call");
  toEnd();
  $("to-end").hidden = true;
  looked();
}

function came({ address, bubble }) {
  const person = openPerson();
  if (address !== person?.address) return;
  const follow = follows || bubble.author === "user";
  $("empty-chat")?.remove();
  put(bubble, person);
  typing(person);
  if (follow) toEnd();
  else $("to-end").hidden = false;
  looked();
}

export function showChat(reply) {
  on("open", draw);
  on("people", draw);
  on("day", draw); // yesterday's "today"
  on("bubble", came);
  on("look", looked);
  on("tick", ({ address, sid }) => {
    const element = address === state.open && elementOf(sid);
    if (element) setTick(element, openPerson().bubbles.get(sid));
  });
  on("lost", ({ address, sid }) => {
    const element = address === state.open && elementOf(sid);
    if (element) setLost(element, openPerson().bubbles.get(sid));
    if (follows) toEnd();
  });
  on("typing", ({ address }) => {
    if (address !== state.open) return;
    head(openPerson());
    typing(openPerson());
    if (follows) toEnd();
  });
  document.addEventListener("visibilitychange", looked);
  list.addEventListener("scroll", () => {
    follows = atEnd();
    if (follows) $("to-end").hidden = true;
  });
  list.addEventListener("load", () => follows && toEnd(), true);
  new ResizeObserver(() => follows && toEnd()).observe(list);
  $("to-end").addEventListener("click", toEnd);
  const react = (emoji) => {
    const [contact, target] = [state.open, chosen.sid];
    $("bubble-menu").hidePopover();
    inTurn(() => post("messages", { contact, kind: "reaction", text: emoji, reply_to: target }));
  };
  const each = (emoji) => h("button", { type: "button", "data-emoji": emoji, "aria-label": word("react", { emoji }), click: () => react(emoji) }, emoji);
  $("reactions").append(...REACTIONS.map(each));
  $("menu-reply").addEventListener("click", () => {
    $("bubble-menu").hidePopover();
    reply({ sid: chosen.sid, who: author(chosen), text: inShort(chosen) });
  });
  $("menu-copy").addEventListener("click", async () => {
    $("bubble-menu").hidePopover();
    await navigator.clipboard?.writeText(chosen.sid).catch(() => undefined);
    toast(word("copied", { id: chosen.sid }));
  });
}
