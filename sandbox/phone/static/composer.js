// What the client writes, records and attaches.

import { openPerson } from "./bubble.js";
import { $, icon, toast } from "./dom.js";
import { inTurn, post, upload } from "./post.js";
import { on, state } from "./state.js";
import { word } from "./words.js";

const drafts = new Map();
const text = $("text");
let replyTo = null;
let recorder = null;

function fit() {
  text.style.height = "auto";
  text.style.height = `${Math.min(text.scrollHeight, 140)}px`;
  $("composer").dataset.empty = String(!text.value.trim());
}

export function reply(to) {
  replyTo = to;
  $("reply-bar").hidden = !to;
  $("reply-who").textContent = to?.who ?? "";
  $("reply-text").textContent = to?.text ?? "";
  if (to) text.focus();
}

function send() {
  const said = text.value.trim();
  if (!said) return;
  const message = { contact: state.open, text: said, reply_to: replyTo?.sid ?? null };
  text.value = "";
  reply(null);
  fit();
  inTurn(() => post("messages", message));
}

const kindOf = (type) => ["image", "audio", "video"].find((kind) => type.startsWith(`${kind}/`)) ?? "document";

function sendFile(file) {
  const contact = state.open;
  const kind = kindOf(file.type);
  const caption = kind === "document" ? file.name : "";
  inTurn(() => upload("media", { contact, kind, text: caption }, file));
}

async function record() {
  if (recorder) return recorder.stop();
  const contact = state.open;
  let sound;
  try {
    sound = await navigator.mediaDevices.getUserMedia({ audio: true });
  } catch {
    return toast(word("no_microphone"));
  }
  const pieces = [];
  recorder = new MediaRecorder(sound);
  recorder.addEventListener("dataavailable", (event) => pieces.push(event.data));
  recorder.addEventListener("stop", () => {
    sound.getTracks().forEach((track) => track.stop());
    const file = new Blob(pieces, { type: recorder.mimeType.split(";")[0] });
    recorder = null;
    recording(false);
    inTurn(() => upload("media", { contact, kind: "audio" }, file));
  });
  recorder.start();
  recording(true);
}

function recording(under) {
  $("record").replaceChildren(icon(under ? "stop" : "mic"));
  $("record").classList.toggle("on", under);
  $("record").setAttribute("aria-label", word(under ? "recording" : "record"));
}

export function showComposer() {
  text.addEventListener("input", fit);
  text.addEventListener("keydown", (event) => {
    if (event.key === "Enter" && !event.shiftKey && !event.isComposing) {
      event.preventDefault();
      send();
    }
    if (event.key === "Escape") reply(null);
  });
  $("composer").addEventListener("submit", (event) => {
    event.preventDefault();
    send();
    text.focus();
  });
  $("reply-cancel").addEventListener("click", () => reply(null));
  $("record").addEventListener("click", record);
  $("attach-file").addEventListener("click", () => $("file").click());
  $("file").addEventListener("change", () => {
    for (const file of $("file").files) sendFile(file);
    $("file").value = "";
    $("attach").hidePopover();
  });
  $("bubbles").addEventListener("dragover", (event) => event.preventDefault());
  $("bubbles").addEventListener("drop", (event) => {
    event.preventDefault();
    for (const file of event.dataTransfer.files) sendFile(file);
  });
  text.addEventListener("paste", (event) => {
    const files = [...event.clipboardData.files];
    if (files.length) event.preventDefault();
    files.forEach(sendFile);
  });
  // Before the chat changes its draft is kept.
  on("leave", (address) => address && drafts.set(address, text.value));
  on("open", () => {
    text.value = drafts.get(state.open) ?? "";
    reply(null);
    fit();
    if (openPerson() && matchMedia("(hover: hover)").matches) text.focus();
  });
  fit();
}
