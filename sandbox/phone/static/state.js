// What the page knows: the server's state, and which chat is open. Modules hear of changes by `on`.

export const state = { number: "", people: new Map(), open: null, drift: 0, ahead: 0, notices: [], troubles: [], lives: new Map() };

const listeners = new Map();

export function on(event, act) {
  listeners.set(event, [...(listeners.get(event) ?? []), act]);
}

export function emit(event, value) {
  for (const act of listeners.get(event) ?? []) act(value);
}

// Sandbox time, which may be days ahead of this browser's.
export const now = () => Date.now() + state.drift;

const SEEN = "hilo-phone-seen";
const seen = JSON.parse(localStorage.getItem(SEEN) ?? "{}");

export function keepPerson(told) {
  const person = { ...told, bubbles: new Map(told.bubbles.map((bubble) => [bubble.sid, bubble])) };
  state.people.set(person.address, person);
}

export const lastOf = (person) => [...person.bubbles.values()].at(-1);

export const unread = (person) =>
  [...person.bubbles.values()].filter((one) => one.author === "us" && one.at > (seen[person.address] ?? "")).length;

export function markSeen(person) {
  const last = lastOf(person);
  if (!last || unread(person) === 0) return;
  seen[person.address] = last.at;
  localStorage.setItem(SEEN, JSON.stringify(seen));
}
