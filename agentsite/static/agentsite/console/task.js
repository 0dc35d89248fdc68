// One task in the conversation: its messages, calls and reviews in the order in which they came, and how it stands.

import { announce, button, followEnd, foreign, made, plain, readable, result, word } from "./parts.js";
import { grow, setState, show, spoken } from "./message.js";
import { Card } from "./review.js";

const FINAL = ["completed", "error", "cancelled", "not_found"];

export class Task {
  constructor(id, parts) {
    Object.assign(this, { id, parts, texts: parts.texts, status: "", source: "", usage: "", note: "" });
    this.messages = new Map(); // by id
    this.calls = new Map(); // by message and id
    this.states = new Map(); // of calls, which may be told before their message
    this.cards = new Map(); // by review
    this.said = made("div", "said-list");
    this.foot = made("p", "task-foot");
    this.element = made("section", "console-task", this.said, this.foot);
    this.element.dataset.task = id;
    this.element.setAttribute("aria-label", `${this.texts.task} ${id}`);
  }

  get isFinal() {
    return FINAL.includes(this.status);
  }

  // The question, as long as nothing better is known.
  ask(query) {
    if (this.question || [...this.said.children].some((one) => one.matches(".human"))) return;
    this.question = made("div", "said human");
    show(this.question, this.texts, { type: "human", content: query });
    this.said.prepend(this.question);
  }

  // A message of an ended task, from the history. The newest comes first.
  prepend(message) {
    if (this.source === "stream" || this.messages.has(message.id)) return; // which has told more
    this.source = "history";
    const element = made("div");
    this.fill(element, message);
    this.said.prepend(element);
    if (message.type === "tool") this.answered = { ...this.answered, [message.tool_call_id]: true };
  }

  fill(element, message) {
    if (message.id) this.messages.set(message.id, element);
    for (const call of show(element, this.texts, message)) this.enter(message.id, call);
    if (message.type === "human" || message.id?.endsWith?.("-begun")) {
      if (this.question !== element) this.question?.remove();
      this.question = null;
    }
  }

  enter(messageId, call) {
    const key = `${messageId}|${call.dataset.call}`;
    this.calls.set(key, call);
    const state = this.states.get(key) ?? (this.answered?.[call.dataset.call] ? "answered" : "");
    if (state) setState(this.texts, call, state);
  }

  // An event of the stream. Those of a task are told from its first one on, so what the history said goes.
  tell(kind, data) {
    if (this.source === "history" && kind !== "status") this.forget();
    if (kind !== "status") this.source = "stream";
    followEnd(() => this[`on_${kind}`]?.(data));
  }

  forget() {
    this.said.replaceChildren();
    for (const map of [this.messages, this.calls, this.states]) map.clear();
  }

  on_status({ status, message }) {
    if (status === "running") this.drop(); // a run begins: what an earlier one was writing is not going on
    this.stand(status, message ?? "");
    if (status !== "interrupted") for (const card of this.cards.values()) card.load();
    if (status === "error" || status === "cancelled") announce(`${word(this.texts, "status", status)} ${plain(message ?? "")}`);
  }

  on_message(message) {
    const known = this.messages.get(message.id);
    const element = known ?? made("div");
    this.fill(element, message);
    if (!known) this.said.append(element);
    if (message.type === "tool") this.close(message.tool_call_id);
    if (message.type !== "human") announce(spoken(this.texts, message));
  }

  on_chunk(piece) {
    if (this.isFinal) return;
    let element = this.messages.get(piece.message_id);
    if (element && !element.growing) return; // it is finished
    if (!element) {
      element = made("div");
      this.messages.set(piece.message_id, element);
      this.said.append(element);
    }
    grow(element, this.texts, piece);
  }

  on_tool_started(call) {
    this.move(call, "started");
  }

  on_tool_finished(call) {
    this.move(call, call.status);
  }

  on_interrupt(asked) {
    if (this.cards.has(asked.interrupt_id)) return;
    const card = new Card(asked.interrupt_id, asked, this.parts);
    this.cards.set(card.id, card);
    this.said.append(card.element);
    const { action, args } = asked.action_request;
    // The event does not say which call it is about, and the gate adds the defaults to its arguments.
    const calls = [...this.calls.values()].filter((one) => !one.dataset.state && one.given.name === action);
    const call = calls.find((one) => one.given.args === readable(args)) ?? calls[0];
    if (call) setState(this.texts, call, "waiting");
    card.load();
    card.announce();
  }

  on_decision({ interrupt_id: id }) {
    this.cards.get(id)?.load();
  }

  on_custom(data) {
    const text = readable("value" in data ? data.value : data);
    this.said.append(made("div", "said custom", made("p", "who", this.texts["type.custom"]), result(this.texts, text)));
  }

  move({ message_id: messageId, tool_call_id: callId }, state) {
    const key = `${messageId}|${callId}`;
    this.states.set(key, state);
    if (this.calls.has(key)) setState(this.texts, this.calls.get(key), state);
  }

  // A result came of a call that the ledger does not know, such as one that was rejected.
  close(callId) {
    const call = [...this.calls.values()].findLast((one) => one.dataset.call === callId);
    if (call && ["", "waiting", undefined].includes(call.dataset.state)) setState(this.texts, call, "answered");
  }

  drop() {
    for (const [id, element] of this.messages) {
      if (!element.growing) continue;
      element.remove();
      this.messages.delete(id);
    }
  }

  // What the model was writing when the task ended is not part of the conversation.
  leave() {
    for (const one of this.messages.values()) {
      if (!one.growing || one.matches(".partial")) continue;
      one.className = "said ai partial";
      one.append(made("p", "quiet", this.texts.partial));
    }
  }

  stand(status, note = "") {
    this.status = status;
    if (note) this.note = note;
    if (this.isFinal) this.leave();
    const parts = [made("span", `badge task-${status}`, word(this.texts, "status", status))];
    if (this.note) parts.push(foreign("span", "", this.note));
    if (this.usage) parts.push(made("span", "quiet usage", this.usage));
    const hadFocus = this.foot.contains(document.activeElement);
    if (!this.isFinal) parts.push(button(this.texts.stop, "quiet small", () => this.parts.cancel(this.id)));
    this.foot.replaceChildren(...parts.flatMap((part) => [part, " "]));
    if (hadFocus) (this.foot.querySelector("button") ?? document.getElementById("query")).focus();
    this.parts.changed();
  }

  // What the status of the task says beyond its events.
  learn(status) {
    if (status.last_query) this.ask(status.last_query);
    const { usage } = status;
    if (usage?.calls) {
      const count = (name) => (usage[name] ?? 0).toLocaleString(document.documentElement.lang);
      const words = this.texts.usage.replace("%(calls)s", count("calls")).replace("%(input)s", count("input_tokens"));
      this.usage = words.replace("%(output)s", count("output_tokens"));
      if (usage.cost) this.usage += `, ${this.texts.cost.replace("%(cost)s", usage.cost).replace("%(currency)s", usage.currency ?? "")}`;
    }
    // An event that has come meanwhile is newer than this answer.
    const isNow = !this.status || this.status === status.status;
    this.stand(this.status || status.status, isNow ? (status.message ?? "") : "");
  }
}
