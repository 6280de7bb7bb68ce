// The page: listens to the server's events, keeps the state, and shows one view at a time on a small screen.

import { showChat } from "./chat.js";
import { reply, showComposer } from "./composer.js";
import { showDialogs } from "./dialogs.js";
import { $ } from "./dom.js";
import { showPeople } from "./people.js";
import { emit, keepPerson, state } from "./state.js";
import { translate, word } from "./words.js";
import { noticesLooked, showWorld } from "./world.js";

const body = document.body;
const narrow = matchMedia("(max-width: 760px)");
let linked = { page: false, twilio: true };

function view(name) {
  body.dataset.view = name === "notices" ? "world" : name;
  if (name === "world" || name === "notices") side(name);
  for (const button of document.querySelectorAll("[data-go]")) {
    const here = button.dataset.go === (name === "chat" ? "people" : name);
    button.setAttribute("aria-current", here ? "page" : "false");
  }
  emit("look");
}

function side(name) {
  body.dataset.side = name;
  for (const one of ["world", "notices"]) {
    $(one).hidden = one !== name;
    $(`tab-${one}`).setAttribute("aria-selected", String(one === name));
    $(`tab-${one}`).tabIndex = one === name ? 0 : -1;
  }
  if (name === "notices") noticesLooked();
}

function open(address) {
  emit("leave", state.open);
  state.open = address;
  view("chat");
  emit("open");
  history.replaceState(null, "", address ? `#${encodeURIComponent(address)}` : " ");
}

function link(change) {
  linked = { ...linked, ...change };
  body.dataset.link = !linked.page ? "away" : !linked.twilio ? "twilio" : "up";
  $("link").textContent = !linked.page ? word("away") : !linked.twilio ? word("twilio_away") : "";
  $("link").hidden = linked.page && linked.twilio;
}

function keepClock(clock) {
  const jumped = state.ahead !== clock.ahead_s;
  state.drift = Date.parse(clock.now) - Date.now();
  state.ahead = clock.ahead_s;
  emit("clock");
  if (jumped) emit("day");
}

const keepLife = (life) => state.lives.set(life.part, { ...life, seen: performance.now() });

function keepPeople(people) {
  state.people.clear();
  people.forEach(keepPerson);
  emit("people");
}

const HEARD = {
  all(told) {
    state.number = told.number;
    state.lives.clear();
    told.lives.forEach(keepLife);
    state.troubles = told.troubles;
    state.notices = told.notices;
    keepClock(told.clock);
    keepPeople(told.people);
    for (const event of ["lives", "troubles", "notices"]) emit(event);
    link({ page: true, ...told.link });
  },
  people: keepPeople,
  person(told) {
    keepPerson(told);
    emit("people");
  },
  bubble(told) {
    state.people.get(told.address)?.bubbles.set(told.bubble.sid, told.bubble);
    emit("bubble", told);
  },
  tick(told) {
    const bubble = state.people.get(told.address)?.bubbles.get(told.sid);
    if (!bubble) return;
    bubble.tick = told.tick;
    emit("tick", told);
  },
  lost(told) {
    const bubble = state.people.get(told.address)?.bubbles.get(told.sid);
    if (!bubble) return;
    bubble.lost = told.lost;
    emit("lost", told);
  },
  typing(told) {
    const person = state.people.get(told.address);
    if (!person) return;
    person.typing = told.on;
    emit("typing", told);
  },
  notice(told) {
    state.notices.unshift(told);
    emit("notice", told);
  },
  life(told) {
    keepLife(told);
    emit("life", state.lives.get(told.part));
  },
  troubles(told) {
    state.troubles = told;
    emit("troubles");
  },
  clock: keepClock,
  link,
};

function listen() {
  const events = new EventSource("/api/events");
  events.addEventListener("error", () => {
    link({ page: false });
    // A server that was away for long makes the browser give up: begin anew.
    if (events.readyState === EventSource.CLOSED) setTimeout(listen, 1000);
  });
  for (const [name, keep] of Object.entries(HEARD)) {
    events.addEventListener(name, (event) => keep(JSON.parse(event.data)));
  }
}

function tabs() {
  for (const button of document.querySelectorAll("[data-go]")) button.addEventListener("click", () => view(button.dataset.go));
  for (const tab of document.querySelectorAll("[role=tab]")) {
    tab.addEventListener("click", () => side(tab.dataset.side));
    tab.addEventListener("keydown", (event) => {
      if (!["ArrowLeft", "ArrowRight"].includes(event.key)) return;
      const other = tab.dataset.side === "world" ? "notices" : "world";
      side(other);
      $(`tab-${other}`).focus();
    });
  }
  $("chat-back").addEventListener("click", () => view("people"));
  const size = () => (body.dataset.narrow = String(narrow.matches));
  narrow.addEventListener("change", size);
  size();
}

translate();
tabs();
showPeople(open);
showChat(reply);
showComposer();
showDialogs((person) => open(person.address));
showWorld();
side("world");
view("people");
state.open = decodeURIComponent(location.hash.slice(1)) || null;
if (state.open) view("chat");
listen();
