// The review page: keys, live difference, drafts, and one more question before a high risk.

import { changesOf, leaveOutUntouched, show } from "./changes.js";
import { hold } from "./claim.js";
import * as draft from "./draft.js";
import { isReady, listen, rest, sending } from "./keys.js";
import { fill, nameBlanks } from "./marks.js";
import { follow } from "./preview.js";

const form = document.getElementById("content-main");
const approve = document.getElementById("approve");
const dialog = document.getElementById("once-more");
const list = document.getElementById("changes-list");

nameBlanks(JSON.parse(form.dataset.blanks));

// The dialog tells what the page tells: the call as it would run now.
function refreshDialog(changes) {
  const place = dialog?.querySelector("[data-changes]");
  if (!place) return;
  show(place, changes);
  place.hidden = changes.length === 0;
  dialog.querySelector("[data-unchanged]").hidden = changes.length > 0;
}

function refresh() {
  if (!list) return;
  const changes = changesOf(form);
  show(list, changes);
  document.getElementById("changes").hidden = changes.length === 0;
  refreshDialog(changes);
  follow(form, changes.length > 0);
  const label = approve?.querySelector("[data-label]");
  if (!label) return;
  label.dataset.plain ??= label.textContent;
  const text = changes.length === 1 ? form.dataset.approve_one : form.dataset.approve_many;
  label.textContent = changes.length ? text.replace("%(n)s", changes.length) : label.dataset.plain;
}

function open(id) {
  const panel = document.getElementById(id);
  if (!panel) return false;
  panel.open = true;
  panel.querySelector("textarea, input").focus();
  return true;
}

// What a key does is what the element that names it does.
function press(element) {
  if (element.matches("summary")) return open(element.closest("details").id);
  element.click();
  return true;
}

// Focus the first argument. The key itself is no text.
function edit() {
  const field = [...form.querySelectorAll("[data-original]")].find((one) => one.checkVisibility());
  field?.focus();
  return field !== undefined;
}

// Ctrl+Enter: in a panel or the dialog what its button does; else approve, but never run a call again.
function send() {
  const panel = document.activeElement?.closest("details.panel[open]");
  const button = panel ? panel.querySelector("button") : (dialog?.open ? dialog.querySelector("[data-confirm]") : approve?.matches(".approve") ? approve : null);
  button?.click();
}

form.addEventListener("input", (event) => {
  const box = form.querySelector(`[data-none-of="${event.target.id}"]`);
  if (box && event.target.value) box.checked = false;
  refresh();
  draft.keep(form);
});

// In a field of one line Enter would press the first button of the form.
form.addEventListener("keydown", (event) => {
  if (event.key === "Enter" && event.target.matches("input[type=text], [data-one-line]") && !event.ctrlKey && !event.metaKey) event.preventDefault();
});

form.addEventListener("submit", (event) => {
  if (event.submitter?.name === "claim") return; // decides nothing, and keeps what was typed
  if (!isReady()) {
    event.preventDefault();
    return;
  }
  if (event.submitter === approve && dialog) {
    event.preventDefault();
    dialog.showModal();
    dialog.querySelector("[data-confirm]").focus();
    return;
  }
  sending();
  draft.keep(form);
  leaveOutUntouched(form, true);
});

window.addEventListener("pageshow", (event) => {
  if (!event.persisted) return;
  rest();
  leaveOutUntouched(form, false);
});

document.querySelector("[data-close]")?.addEventListener("click", () => dialog.close());

function note(text) {
  const line = document.createElement("p");
  line.className = "note";
  line.setAttribute("role", "status");
  line.textContent = text;
  form.querySelector(".review-facts").after(line);
}

// The newest words are what the call is about.
const said = document.querySelector(".conversation");
said.scrollTop = said.scrollHeight;
hold(form);
if (draft.restore(form)) note(form.dataset.draft);
draft.showKept(form, form.querySelector("section.call"), fill);
refresh();
const named = [...form.querySelectorAll("[aria-keyshortcuts]")].map((one) => [one.getAttribute("aria-keyshortcuts"), () => press(one)]);
listen({ ...Object.fromEntries(named), e: edit }, send);
