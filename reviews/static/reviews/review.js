// The review page: keys, live difference, drafts, and one more question before a high risk.

import { changesOf, leaveOutUntouched, show } from "./changes.js";
import { hold } from "./claim.js";
import * as draft from "./draft.js";
import { isReady, listen, rest, sending } from "./keys.js";
import { visible } from "./lines.js";

const form = document.getElementById("content-main");
const approve = document.getElementById("approve");
const dialog = document.getElementById("once-more");
const list = document.getElementById("changes-list");

function refresh() {
  if (!list) return;
  const changes = changesOf(form);
  show(list, changes);
  document.getElementById("changes").hidden = changes.length === 0;
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
  panel.querySelector("textarea").focus();
  return true;
}

function press(selector) {
  const found = document.querySelector(selector);
  found?.click();
  return found !== null;
}

function send() {
  const panel = document.activeElement?.closest("details.panel[open]");
  const button = panel ? panel.querySelector("button") : (dialog?.open ? dialog.querySelector("[data-confirm]") : approve);
  button?.click();
}

form.addEventListener("input", (event) => {
  const box = form.querySelector(`[data-none-of="${event.target.id}"]`);
  if (box && event.target.value) box.checked = false;
  if (event.target.dataset.original !== undefined && event.target.tagName === "TEXTAREA") grow(event.target);
  refresh();
  draft.keep(form);
});

// In a field of one line Enter would press the first button of the form.
form.addEventListener("keydown", (event) => {
  if (event.key === "Enter" && event.target.matches("input[type=text]") && !event.ctrlKey && !event.metaKey) event.preventDefault();
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

function grow(area) {
  const lines = area.value.split("\n").reduce((sum, line) => sum + 1 + Math.floor(line.length / 80), 0);
  area.rows = Math.min(16, Math.max(area.rows, lines));
}

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
draft.showKept(form, form.querySelector("section.call"), visible);
refresh();
listen(
  {
    a: () => press("#approve"),
    r: () => open("reject"),
    s: () => open("answer"),
    e: () => form.querySelector("[data-original]")?.focus() ?? false,
    n: () => press("#skip"),
    u: () => press("#queue"),
  },
  send,
);
