// One message: whole, or growing while the model writes it. Its tool calls show how far they have come.

import { fill } from "../../reviews/marks.js";
import { folded, foreign, made, plain, readable, result, scrolling, textOf, word } from "./parts.js";

const SHORT = 300; // characters of arguments that are shown without a click

function roleOf(texts, message) {
  const role = word(texts, "type", message.type);
  return message.name ? `${role} · ${plain(message.name)}` : role;
}

function callOf(texts, one) {
  const args = readable(one.args ?? {});
  const state = made("span", "badge state", texts["call.requested"]);
  const call = made("div", "call", made("p", "", foreign("strong", "", String(one.name)), " ", state));
  if (args !== "{}") call.append(args.length > SHORT ? folded(texts.arguments, args, "fold") : scrolling(args));
  Object.assign(call, { state, given: { name: one.name, args } });
  call.dataset.call = one.id ?? "";
  return call;
}

// A finished message. The element stays where it is if it was growing there.
export function show(element, texts, message) {
  element.className = `said ${message.type}`;
  const text = textOf(message.content);
  const shown = message.type === "tool" ? result(texts, text) : foreign("p", "text", text);
  const calls = (message.tool_calls ?? []).map((one) => callOf(texts, one));
  const cut = message.cut_off ? [made("p", "quiet", word(texts, "cut", message.cut_off))] : [];
  element.replaceChildren(made("p", "who", roleOf(texts, message)), ...(text ? [shown] : []), ...calls, ...cut);
  element.growing = null;
  return calls;
}

// Add a piece to a message that is being written. What is painted follows once a frame.
export function grow(element, texts, piece) {
  if (!element.growing) {
    element.className = "said ai growing";
    const [thought, text] = [made("pre", "typed"), made("p", "text")];
    const reasoning = made("details", "fold", made("summary", "", texts.reasoning), thought);
    reasoning.hidden = true;
    thought.tabIndex = 0;
    element.replaceChildren(made("p", "who", texts["type.ai"]), reasoning, text);
    element.growing = { text: ["", text], reasoning: ["", thought], isDue: false };
  }
  const { growing } = element;
  const part = growing[piece.kind === "reasoning" ? "reasoning" : "text"];
  if (piece.position > part[0].length) return; // behind a gap: the finished message has it
  part[0] = part[0].slice(0, piece.position) + piece.text;
  if (growing.isDue) return;
  growing.isDue = true;
  requestAnimationFrame(() => {
    growing.isDue = false;
    if (element.growing !== growing) return;
    for (const [whole, place] of [growing.text, growing.reasoning]) if (whole) fill(place, whole);
    growing.reasoning[1].parentElement.hidden = !growing.reasoning[0];
  });
}

export function setState(texts, call, state) {
  call.dataset.state = state;
  call.state.textContent = word(texts, "call", state);
}

// The beginning of a message, as it is read out.
export function spoken(texts, message) {
  return `${roleOf(texts, message)}: ${plain(textOf(message.content)).slice(0, 300)}`;
}
