// The tool's preview is of the arguments as they stand in the form, or is not shown.

import { fill } from "./marks.js";

const TRIES = 5; // the server's first preview has to import the tools
const QUIET = 350; // ms without a key before the server is asked

let known = { typed: "", text: "" }; // the last answer, and the form that it is of
let timer = null;

const all = (form, kind) => form.querySelectorAll(`[data-preview="${kind}"]`);

function show(form, kind) {
  for (const one of ["asked", "edited", "pending", "none"]) for (const element of all(form, one)) element.hidden = one !== kind;
}

function typedIn(form) {
  return new URLSearchParams([...new FormData(form)].filter(([name]) => name.startsWith("arg") || name === "csrfmiddlewaretoken")).toString();
}

async function ask(form, typed, tries) {
  let [text, isLate] = ["", false];
  try {
    const headers = { "Content-Type": "application/x-www-form-urlencoded" };
    const answer = await fetch(form.dataset.preview, { method: "POST", headers, body: typed, redirect: "error" });
    if (answer.ok) ({ preview: text, is_late: isLate } = await answer.json());
  } catch {
    // Then there is none.
  }
  if (typedIn(form) !== typed) return; // something else has been typed meanwhile
  if (isLate && tries < TRIES) {
    timer = setTimeout(() => ask(form, typed, tries + 1), QUIET);
    return;
  }
  known = { typed, text };
  told(form, text);
}

function told(form, text) {
  for (const element of form.querySelectorAll("[data-preview-text]")) fill(element, text);
  show(form, text ? "edited" : "none");
}

// To be called whenever the form may have changed.
export function follow(form, isChanged) {
  clearTimeout(timer);
  if (!form.dataset.preview) return;
  if (!isChanged) return show(form, "asked");
  const typed = typedIn(form);
  if (known.typed === typed) return told(form, known.text);
  show(form, "pending");
  timer = setTimeout(() => ask(form, typed, 1), QUIET);
}
