// The queue: keys, selection, and new rows while it is open.

import { forgetDecided } from "./draft.js";
import { listen } from "./keys.js";

const EVERY = 3000; // ms between two looks for new rows; twice that after TRIES failed ones
const PATIENCE = 10_000; // ms for an answer
const TRIES = 3; // failed looks in a row before the reader is told
const holder = document.getElementById("queue-list");
const news = document.getElementById("news");
const help = document.getElementById("help");
const actions = document.querySelector(".desk-actions");
let cursor = null; // the key of the row that the keys are at

const rows = () => [...document.querySelectorAll("#result_list tbody tr")];
const linkOf = (row) => row.querySelector("th a, td a");
const keyOf = (row) => linkOf(row)?.pathname ?? "";
const boxes = () => [...document.querySelectorAll("#result_list input.action-select")];

function moveTo(row) {
  if (!row) return;
  cursor = keyOf(row);
  mark();
  linkOf(row).focus({ preventScroll: true });
  row.scrollIntoView({ block: "nearest" });
}

function mark() {
  for (const row of rows()) row.classList.toggle("cursor", keyOf(row) === cursor);
}

function step(by) {
  const all = rows();
  const at = all.findIndex((row) => keyOf(row) === cursor);
  moveTo(at < 0 ? all[0] : all[Math.min(all.length - 1, Math.max(0, at + by))]);
}

function current() {
  return rows().find((row) => keyOf(row) === cursor);
}

function openCurrent() {
  const row = current();
  if (!row) return false;
  linkOf(row).click();
  return true;
}

function toggle() {
  const box = current()?.querySelector("input.action-select");
  if (box) box.checked = !box.checked;
  count();
}

// Selection

function count() {
  const all = boxes();
  const chosen = all.filter((box) => box.checked);
  for (const box of all) box.closest("tr").classList.toggle("selected", box.checked);
  if (!actions) return;
  document.getElementById("selected-count").textContent = chosen.length
    ? document.getElementById("selected-count").dataset.text.replace("%(n)s", chosen.length)
    : "";
  for (const button of actions.querySelectorAll("button[name=action]")) button.disabled = chosen.length === 0;
  const toggleAll = document.getElementById("action-toggle");
  if (toggleAll) toggleAll.checked = all.length > 0 && chosen.length === all.length;
  document.getElementById("select-across").hidden = !(all.length > 0 && chosen.length === all.length && hasMore());
  if (chosen.length < all.length) across(false);
}

function hasMore() {
  return document.querySelector(".paginator a, .paginator .this-page") !== null;
}

function across(isAcross) {
  actions.querySelector(".select-across").value = isAcross ? "1" : "0";
  if (isAcross) document.getElementById("selected-count").textContent = document.getElementById("select-across").dataset.all;
}

document.addEventListener("change", (event) => {
  if (event.target.id === "action-toggle") for (const box of boxes()) box.checked = event.target.checked;
  if (event.target.matches("#action-toggle, input.action-select")) count();
});
document.getElementById("select-across")?.addEventListener("click", (event) => {
  across(true);
  event.target.hidden = true;
});
document.addEventListener("focusin", (event) => {
  const row = event.target.closest?.("#result_list tbody tr");
  if (row) {
    cursor = keyOf(row);
    mark();
  }
});

// New rows

function fill(row, fresh) {
  const cells = [...fresh.children];
  [...row.children].forEach((cell, at) => {
    // The tick and the link that has the focus stay the elements that they are.
    if (cell.classList.contains("action-checkbox") || cell.innerHTML === cells[at]?.innerHTML) return;
    cell.replaceChildren(...cells[at].childNodes);
  });
}

function merge(fresh) {
  const body = document.querySelector("#result_list tbody");
  const known = new Map(rows().map((row) => [keyOf(row), row]));
  const order = [...fresh.querySelectorAll("tbody tr")];
  const kept = new Set(order.map(keyOf));
  let added = 0;
  const following = rows().map(keyOf);
  for (const [key, row] of known) if (!kept.has(key)) row.remove();
  let place = body.firstElementChild;
  for (const one of order) {
    const row = known.get(keyOf(one));
    if (row) fill(row, one);
    else added++;
    if (row && row === place) place = place.nextElementSibling;
    else body.insertBefore(row ?? one, place);
  }
  if (cursor && !kept.has(cursor)) {
    // The row under the cursor was decided: the next one that is left takes its place.
    const next = following.slice(following.indexOf(cursor)).find((key) => kept.has(key));
    moveTo(rows().find((row) => keyOf(row) === next) ?? rows().at(-1));
  }
  return added;
}

function swap(fresh) {
  const before = new Set(rows().map(keyOf));
  const [table, other] = [document.getElementById("result_list"), fresh.querySelector("#result_list")];
  if (table && other) return merge(other);
  document.getElementById("rows").replaceWith(fresh);
  return rows().filter((row) => !before.has(keyOf(row))).length;
}

function parsed(html) {
  return new DOMParser().parseFromString(html, "text/html").body.firstElementChild;
}

function tell(text) {
  news.textContent = "";
  news.textContent = text;
}

function badge(pending) {
  document.title = document.title.replace(/^\(\d+\) /, "");
  if (pending) document.title = `(${pending}) ${document.title}`;
  for (const one of document.querySelectorAll("[data-pending]")) {
    one.textContent = pending;
    one.hidden = pending === 0;
  }
}

class LoggedOut extends Error {}

async function fetchRows() {
  const answer = await fetch(holder.dataset.rows + location.search, {
    headers: { Accept: "application/json" },
    redirect: "manual",
    signal: AbortSignal.timeout(PATIENCE),
  });
  if (answer.type === "opaqueredirect") throw new LoggedOut(); // to the login
  if (!answer.ok) throw new Error(`${answer.status}`);
  const { rows: html, tabs, pending } = await answer.json();
  const added = swap(parsed(html));
  const nav = document.getElementById("tabs");
  if (!nav.contains(document.activeElement)) nav.replaceWith(parsed(tabs));
  badge(pending);
  mark();
  count();
  if (added) tell(news.dataset.one);
}

let failures = 0;
let looking = null; // one look at a time: an answer that comes late must not undo a later one

function look() {
  looking ??= fetchRows().then(succeeded, failed).finally(() => (looking = null));
  return looking;
}

function succeeded() {
  if (news.classList.contains("note")) {
    news.className = "visually-hidden";
    tell(news.dataset.back);
  }
  failures = 0;
}

function failed(error) {
  failures++;
  const isLoggedOut = error instanceof LoggedOut;
  if (!isLoggedOut && failures < TRIES) return;
  const text = isLoggedOut ? news.dataset.out : news.dataset.stopped;
  if (!news.classList.contains("note") || news.dataset.said !== text) {
    tell(text);
    if (isLoggedOut) news.append(" ", loginLink());
  }
  news.dataset.said = text;
  news.className = "note";
}

function loginLink() {
  const link = document.createElement("a");
  link.href = `${news.dataset.login}?next=${encodeURIComponent(location.pathname + location.search)}`;
  link.textContent = news.dataset.again;
  return link;
}

async function watch() {
  if (!document.hidden) await look();
  setTimeout(watch, failures < TRIES ? EVERY : 2 * EVERY);
}

document.addEventListener("visibilitychange", () => {
  if (!document.hidden) look();
});
window.addEventListener("online", look);
document.getElementById("help-button").addEventListener("click", () => help.showModal());
help.querySelector("[data-close]").addEventListener("click", () => help.close());

listen({
  j: () => step(1),
  k: () => step(-1),
  o: openCurrent,
  Enter: (event) => (event.target.closest?.("a, button, summary, input") ? false : openCurrent()),
  x: toggle,
  n: () => document.getElementById("first").click(),
  "/": () => document.getElementById("searchbar").focus(),
  "?": () => help.showModal(),
});
forgetDecided();
count();
setTimeout(watch, EVERY);
