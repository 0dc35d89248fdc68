// Small parts of the page. Text that a model, a tool or a person wrote is only ever shown as text, with what is hidden named.

import { fill, pieces } from "../../reviews/marks.js";

const LONG = 600; // characters of a result above which it is folded

// An element of this class with these children; a string among them is a text of the interface.
export function made(tag, className = "", ...children) {
  const element = document.createElement(tag);
  if (className) element.className = className;
  element.append(...children);
  return element;
}

// An element that holds a foreign text.
export function foreign(tag, className, text) {
  const element = made(tag, className);
  fill(element, text);
  return element;
}

// A foreign text where there is no room for elements.
export function plain(text) {
  return pieces(String(text)).map(([part]) => part).join("");
}

// The reader's word for a value of the API, or the value itself.
export function word(texts, name, value) {
  return texts[`${name}.${value}`] ?? plain(value);
}

export function button(label, className, act) {
  const element = made("button", `button ${className}`.trim(), label);
  element.type = "button";
  element.addEventListener("click", act);
  return element;
}

export function readable(value) {
  return typeof value === "string" ? value : JSON.stringify(value, null, 2);
}

// A message's content is a string, or blocks of which some are text.
export function textOf(content) {
  if (!Array.isArray(content)) return readable(content ?? "");
  return content.map((one) => (typeof one === "string" ? one : one?.type === "text" && typeof one.text === "string" ? one.text : readable(one))).join("\n");
}

export function folded(summary, text, className) {
  return made("details", className, made("summary", "", summary), scrolling(text));
}

// A box that scrolls can be reached by the keyboard.
export function scrolling(text) {
  const box = foreign("pre", "typed", text);
  box.tabIndex = 0;
  return box;
}

export function result(texts, text) {
  return text.length > LONG ? folded(texts.result.replace("%(length)s", text.length.toLocaleString(document.documentElement.lang)), text, "fold") : foreign("p", "text", text);
}

// Keep the end of the page in sight while it grows, for a reader who is there.
export function followEnd(change) {
  const page = document.scrollingElement;
  const isAtEnd = page.scrollHeight - page.scrollTop - page.clientHeight < 80;
  const found = change();
  if (isAtEnd) page.scrollTop = page.scrollHeight;
  return found;
}

export function announce(text) {
  const news = document.getElementById("news");
  news.textContent = "";
  news.textContent = text;
}
