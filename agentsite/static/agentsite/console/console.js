// The console: a session of a user, live, by the public REST API and its streams.

import { nameBlanks } from "../../reviews/marks.js";
import * as draft from "./draft.js";
import { History } from "./history.js";
import { announce, followEnd, foreign, made } from "./parts.js";
import { clientWith, idsIn, inWords } from "./rest.js";
import { fillUsers, listSessions } from "./sessions.js";
import { watch } from "./stream.js";
import { Task } from "./task.js";

const page = document.getElementById("console");
const { user, zone, reviews, login, reader } = page.dataset;
const texts = JSON.parse(page.dataset.texts);
const rest = clientWith(page.querySelector("[name=csrfmiddlewaretoken]").value);
const [talk, composer, query, link, stop, busy, agent, strategy] = ["talk", "composer", "query", "link", "stop", "busy", "agent", "strategy"].map((id) => document.getElementById(id));
const tasks = new Map(); // by id, oldest first
const parts = { rest, texts, reviews, zone, cancel, changed };
let session = page.dataset.session;
let pending = null; // what is being sent, with its ids: sent again after a failure, it is the same task
let ownAgent = ""; // of the session

nameBlanks(JSON.parse(page.dataset.blanks));

function complain(text) {
  const place = document.getElementById("error");
  place.replaceChildren(text);
  place.hidden = !text;
  if (text === texts.logged_out) place.append(" ", loginLink());
}

function loginLink() {
  const found = made("a", "", texts.log_in);
  found.href = `${login}?next=${encodeURIComponent(location.pathname + location.search)}`;
  return found;
}

function connection(text) {
  if (link.textContent !== text) link.textContent = text;
}

async function tried(work) {
  try {
    return await work();
  } catch (error) {
    complain(inWords(error, texts));
    return null;
  }
}

// Tasks

function taskOf(id) {
  if (!tasks.has(id)) {
    const task = new Task(id, parts);
    tasks.set(id, task);
    followEnd(() => talk.append(task.element));
  }
  return tasks.get(id);
}

// The task that runs, or that the others wait for.
function active() {
  return [...tasks.values()].find((task) => task.status && !task.isFinal);
}

function changed() {
  const isBusy = active() !== undefined;
  const hadFocus = [stop, strategy].includes(document.activeElement);
  stop.hidden = busy.hidden = !isBusy;
  if (!isBusy && hadFocus) query.focus();
}

async function learn(task) {
  try {
    task.learn(await rest.get(`/agent/status/${idsIn(user, session, task.id)}`));
  } catch {
    // The events say what matters.
  }
}

async function cancel(id) {
  complain("");
  await tried(() => rest.post("/agent/cancel", { user_id: user, session_id: session, task_id: id }));
}

// Watching

function told(kind, id, data) {
  const isNew = !tasks.has(id);
  const task = taskOf(id);
  task.tell(kind, data);
  if (isNew || (kind === "status" && task.isFinal)) learn(task);
}

async function refused() {
  try {
    await rest.get(`/agent/session/${idsIn(user, session)}?limit=1`);
    return true;
  } catch (error) {
    if (![401, 403, 404].includes(error.status)) return true;
    connection(error.status === 401 ? texts.logged_out : texts.gone);
    if (error.status === 401) complain(texts.logged_out);
    return false;
  }
}

function follow() {
  connection(texts.connecting);
  const history = new History({ rest, path: idsIn(user, session), tasks, make: (id) => new Task(id, parts), holder: talk, learn, tried });
  let isRead = false;
  watch(`/agent/session/${idsIn(user, session)}/stream`, {
    told,
    refused,
    lost: () => connection(texts.again),
    ended: () => connection(texts.gone),
    opened: (goesOn) => {
      connection(texts.connected);
      if (!isRead) history.begin(); // after the stream has begun, so that no task falls between the two
      else if (!goesOn) history.catchUp();
      isRead = true;
    },
  });
  rest.get(`/agent/session/${idsIn(user, session)}?limit=1`).then(adopt, () => {});
}

function adopt(found) {
  ownAgent = found.agent;
  if (![...agent.options].some((one) => one.value === ownAgent)) agent.prepend(new Option(ownAgent, ownAgent));
  agent.value = ownAgent;
  if (found.title) document.getElementById("session-title").append(" · ", foreign("span", "", found.title));
}

// Sending

function identifier() {
  // Not `crypto.randomUUID`, which a page without TLS does not have.
  return [...crypto.getRandomValues(new Uint8Array(16))].map((byte) => byte.toString(16).padStart(2, "0")).join("");
}

// An id that people can tell from others in a list.
function sessionName() {
  return `console-${new Date().toLocaleDateString("sv", { timeZone: zone })}-${identifier().slice(0, 8)}`;
}

function submission() {
  const chosen = agent.value !== ownAgent && session ? { agent: agent.value } : {};
  const wanted = { query: query.value, ...chosen, ...(busy.hidden ? {} : { multitask_strategy: strategy.value }) };
  const isSame = pending && JSON.stringify(pending.wanted) === JSON.stringify(wanted);
  pending = isSame ? pending : { wanted, ids: { user_id: user, session_id: session || pending?.ids.session_id || sessionName(), task_id: identifier() } };
  return { ...pending.ids, ...wanted };
}

async function submit(body) {
  if (!session) await rest.post("/agent/session", { user_id: user, session_id: body.session_id, agent: agent.value });
  await rest.post("/agent/invoke", body);
  return body;
}

async function send() {
  if (composer.dataset.sending || !query.value.trim()) return;
  complain("");
  composer.dataset.sending = "1";
  const sent = await tried(() => submit(submission()));
  delete composer.dataset.sending;
  if (!sent) return;
  pending = null;
  if (query.value === sent.query) query.value = "";
  keepDraft();
  announce(texts.sent);
  if (!session) begin(sent.session_id);
  const task = taskOf(sent.task_id);
  task.ask(sent.query);
  if (!task.status) task.stand("pending");
  document.scrollingElement.scrollTop = document.scrollingElement.scrollHeight;
}

// A new session has its first task.
function begin(id) {
  draft.keep([reader, user, ""], "");
  session = id;
  ownAgent = agent.value;
  history.replaceState(null, "", `?user=${encodeURIComponent(user)}&session=${encodeURIComponent(id)}`);
  document.getElementById("session-title").replaceChildren(foreign("span", "", id));
  listSessions({ rest, texts, user, session, tried });
  follow();
}

function keepDraft() {
  draft.keep([reader, user, session], query.value);
}

query.addEventListener("input", keepDraft);
composer.addEventListener("submit", (event) => {
  event.preventDefault();
  send();
});
query.addEventListener("keydown", (event) => {
  if (event.key !== "Enter" || event.shiftKey || event.isComposing || event.keyCode === 229) return;
  event.preventDefault();
  send();
});
stop.addEventListener("click", () => cancel(active()?.id));
if (matchMedia("(max-width: 900px)").matches) document.getElementById("side").open = false;
fillUsers(rest);
listSessions({ rest, texts, user, session, tried });
if (session) follow();
query.value = draft.kept([reader, user, session]);
query.focus({ preventScroll: true });
