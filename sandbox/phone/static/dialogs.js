// The small forms: a new contact, a call that ended, several bubbles, a voice note, a place.

import { openPerson } from "./bubble.js";
import { $, toast } from "./dom.js";
import { ordered, post } from "./post.js";
import { state } from "./state.js";
import { lang, word } from "./words.js";

const DIALOGS = {
  contact: { opens: "new-contact-open", path: "contacts", body: (form) => ({ name: form.get("name"), number: form.get("number"), hidden: form.has("hidden") }) },
  call: { opens: "call-open", path: "calls", body: (form) => ({ contact: state.open, ...Object.fromEntries(form) }) },
  burst: { opens: "attach-burst", path: "burst", body: (form) => ({ contact: state.open, texts: form.get("lines").split("\n") }) },
  voice: { opens: "attach-voice", path: "voice", body: (form) => ({ contact: state.open, says: form.get("says") }) },
  location: {
    opens: "attach-location",
    path: "messages",
    body: (form) => ({
      contact: state.open, kind: "location", text: form.get("label"), label: form.get("label"),
      latitude: Number(form.get("latitude")), longitude: Number(form.get("longitude")),
    }),
  },
};

function fill(name, form) {
  const fields = form.elements;
  if (name === "contact") form.reset();
  if (name === "call") {
    fields.client_name.value = openPerson().name;
    fields.summary.value ||= word("default_summary");
    if (!form.dataset.filled) fields.language.value = lang;
  }
  if (name === "burst") fields.lines.value ||= word("default_burst");
  if (name === "voice") fields.says.value ||= word("default_voice");
  form.dataset.filled = "yes";
}

function wire(name, { opens, path, body }, added) {
  const [dialog, form] = [$(`${name}-dialog`), $(`${name}-form`)];
  const problem = form.querySelector(".problem");
  $(opens).addEventListener("click", () => {
    $("attach").hidePopover();
    fill(name, form);
    problem.textContent = "";
    dialog.showModal();
  });
  form.querySelector("[data-close]").addEventListener("click", () => dialog.close());
  dialog.addEventListener("click", (event) => event.target === dialog && dialog.close());
  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    const button = form.querySelector("[type=submit]");
    button.disabled = true;
    try {
      const told = await ordered(() => post(path, body(new FormData(form))));
      dialog.close();
      if (name === "call") toast(word("call_told"));
      if (name === "contact") added(told);
    } catch (error) {
      problem.textContent = name === "contact" && error.status === 422 ? word("bad_number") : error.message;
    } finally {
      button.disabled = false;
    }
  });
}

export function showDialogs(added) {
  for (const [name, one] of Object.entries(DIALOGS)) wire(name, one, added);
}
