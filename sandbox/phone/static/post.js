// Requests to this page's own server. What it refuses is said in its own words.

import { toast } from "./dom.js";
import { word } from "./words.js";

export class Refused extends Error {
  constructor(status, message) {
    super(message);
    this.status = status;
  }
}

async function answer(response) {
  if (response.ok) return response.json();
  const told = await response.json().catch(() => ({}));
  const detail = told.detail;
  throw new Refused(response.status, typeof detail === "string" ? detail : (detail?.[0]?.msg ?? `HTTP ${response.status}`));
}

export async function post(path, body = {}) {
  const options = { method: "POST", headers: { "content-type": "application/json" }, body: JSON.stringify(body) };
  return answer(await fetch(`/api/${path}`, options));
}

export async function upload(path, query, file) {
  const type = file.type || "application/octet-stream";
  const options = { method: "POST", headers: { "content-type": type }, body: file };
  return answer(await fetch(`/api/${path}?${new URLSearchParams(query)}`, options));
}

// For what no form waits for: a failure is said at the edge of the page.
export async function tryTo(work) {
  try {
    return await work();
  } catch (error) {
    toast(word("failed", { why: error.message }));
    return undefined;
  }
}

// One after the other: two messages that were typed quickly stay in order.
let line = Promise.resolve();

export function ordered(work) {
  const done = line.then(work);
  line = done.catch(() => undefined);
  return done;
}

export const inTurn = (work) => tryTo(() => ordered(work));
