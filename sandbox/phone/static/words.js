// Spanish or English, as the server read from Accept-Language.

const table = await (await fetch("/static/words.json")).json();
export const lang = document.documentElement.lang;
const column = lang === "es" ? 1 : 0;

export function word(key, values = {}) {
  const text = table[key]?.[column] ?? key;
  return text.replace(/\{(\w+)\}/g, (whole, name) => values[name] ?? whole);
}

export function translate() {
  for (const element of document.querySelectorAll("[data-word]")) element.textContent = word(element.dataset.word);
  for (const element of document.querySelectorAll("[data-label]")) {
    element.setAttribute("aria-label", word(element.dataset.label));
    if (element.matches("button")) element.title = word(element.dataset.label);
  }
  for (const element of document.querySelectorAll("[data-hint]")) element.placeholder = word(element.dataset.hint);
}

const time = new Intl.DateTimeFormat(lang, { hour: "2-digit", minute: "2-digit", hour12: false });
const day = new Intl.DateTimeFormat(lang, { weekday: "long", day: "numeric", month: "long" });
const short = new Intl.DateTimeFormat(lang, { day: "2-digit", month: "2-digit" });
const full = new Intl.DateTimeFormat(lang, {
  weekday: "short", day: "numeric", month: "short", hour: "2-digit", minute: "2-digit", second: "2-digit", hour12: false,
});

export const clockOf = (at) => time.format(new Date(at));
export const fullOf = (at) => full.format(at);
export const dayOf = (at) => new Date(at).toDateString();

function daysAgo(at, now) {
  const midnight = (moment) => new Date(moment).setHours(0, 0, 0, 0);
  return Math.round((midnight(now) - midnight(at)) / 86_400_000);
}

export function dayName(at, now) {
  const ago = daysAgo(at, now);
  return ago === 0 ? word("today") : ago === 1 ? word("yesterday") : day.format(new Date(at));
}

export function shortDay(at, now) {
  const ago = daysAgo(at, now);
  return ago === 0 ? clockOf(at) : ago === 1 ? word("yesterday") : short.format(new Date(at));
}
