// Time, services and trouble; what the main backend was told.

import { $, badge, h } from "./dom.js";
import { post, tryTo } from "./post.js";
import { now, on, state } from "./state.js";
import { clockOf, fullOf, word } from "./words.js";

const NAMES = { kafka: "Kafka", mongo: "MongoDB" };
const SERVERS = new Set(Object.keys(NAMES));
const SHOWN = ["ingress", "processor", "sender", "janitor", "kafka", "mongo"];
const BACK_FOR_MS = 60_000;

function aheadText(seconds) {
  if (seconds < 1) return word("in_step");
  const [days, hours] = [Math.floor(seconds / 86_400), Math.floor((seconds % 86_400) / 3600)];
  const parts = [days && `${days} d`, hours && `${hours} h`, !days && !hours && `${seconds} s`].filter(Boolean);
  return word("ahead", { time: parts.join(" ") });
}

function tickClock() {
  $("clock").textContent = fullOf(now());
  for (const life of state.lives.values()) if (life.state === "down") lifeState(life);
}

function lifeState(life) {
  const element = document.querySelector(`#lives [data-part="${life.part}"]`);
  if (!element) return;
  const seconds = ((performance.now() - life.seen) / 1000 + life.for_s).toFixed(1);
  const back = life.away_s !== null && performance.now() - life.seen < BACK_FOR_MS;
  element.dataset.state = life.state;
  element.dataset.away = life.away_s ?? "";
  element.querySelector(".state").textContent =
    life.state === "down" ? word("down", { s: seconds }) : back ? word("back_after", { s: life.away_s }) : word("up");
  element.querySelector("button").disabled = life.state === "down";
}

function lifeRow(life) {
  const server = SERVERS.has(life.part);
  const name = NAMES[life.part] ?? life.part;
  const label = word(server ? "restart_long" : "kill_long", { part: name });
  const press = () => tryTo(() => post(server ? "restart" : "kill", { part: life.part }));
  return h(
    "li",
    { "data-part": life.part, "data-state": life.state },
    h("span", { class: "dot", "aria-hidden": "true" }),
    h("span", { class: "name" }, name),
    h("span", { class: "state", role: "status" }),
    h("button", { type: "button", "aria-label": label, title: label, click: press }, word(server ? "restart" : "kill")),
  );
}

function drawLives() {
  const shown = SHOWN.map((part) => state.lives.get(part)).filter(Boolean);
  $("lives").replaceChildren(...shown.map(lifeRow));
  shown.forEach(lifeState);
}

function troubleSwitch(trouble) {
  const press = () => tryTo(() => post("trouble", { key: trouble.key, on: !trouble.on }));
  return h(
    "button",
    { type: "button", role: "switch", class: "switch", "data-trouble": trouble.key, "aria-checked": String(trouble.on), click: press },
    h("span", {}, word(`trouble_${trouble.key}`)),
    h("i", { "aria-hidden": "true" }),
  );
}

function drawTroubles() {
  const groups = Object.groupBy(state.troubles, (trouble) => trouble.of);
  const focused = document.activeElement?.dataset?.trouble;
  $("troubles").replaceChildren(
    ...Object.entries(groups).flatMap(([of, troubles]) => [h("h4", {}, word(`of_${of}`)), ...troubles.map(troubleSwitch)]),
  );
  if (focused) document.querySelector(`[data-trouble="${focused}"]`)?.focus();
  const active = state.troubles.filter((trouble) => trouble.on).length;
  badge($("trouble-count"), active);
  $("all-well").disabled = active === 0;
}

function noticeRow(notice) {
  const kind = (notice.type ?? "?").replace(/^hilo\./, "").replace(/\.v\d+$/, "");
  const contact = notice.data.contact ?? "";
  const person = [...state.people.values()].find((one) => one.address === `whatsapp:${contact}` || one.shown_as === contact);
  return h(
    "li",
    { "data-notice": kind, "data-contact": contact },
    h(
      "details",
      {},
      h("summary", {}, h("b", {}, kind), h("span", { class: "about" }, person?.name ?? contact), h("time", {}, notice.at ? clockOf(notice.at) : "")),
      h("pre", { tabindex: "0" }, JSON.stringify(notice.data, null, 2)),
    ),
  );
}

let newNotices = 0;

function countNotices(count) {
  newNotices = count;
  badge($("notices-count"), count);
  badge($("notices-new"), count);
}

export const noticesLooked = () => countNotices(0);

export function showWorld() {
  on("clock", () => ($("ahead").textContent = aheadText(state.ahead)));
  on("lives", drawLives);
  on("life", (life) => (document.querySelector(`#lives [data-part="${life.part}"]`) ? lifeState(life) : drawLives()));
  on("troubles", drawTroubles);
  on("notices", () => {
    $("notice-list").replaceChildren(...state.notices.map(noticeRow));
    $("no-notices").hidden = state.notices.length > 0;
  });
  on("notice", (notice) => {
    $("notice-list").prepend(noticeRow(notice));
    $("no-notices").hidden = true;
    if ($("notices").hidden || !$("notices").checkVisibility()) countNotices(newNotices + 1);
  });
  for (const button of document.querySelectorAll("[data-forward]")) {
    button.addEventListener("click", () => tryTo(() => post("clock", { seconds: Number(button.dataset.forward) })));
  }
  $("all-well").addEventListener("click", () => tryTo(() => post("well")));
  setInterval(tickClock, 200);
}
