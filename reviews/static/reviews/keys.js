// When a key may mean something: the rules that keep one press from deciding two reviews.

const QUIET = 700; // ms after the page has appeared: a second press was meant for the page before

let since = performance.now();
let isSending = false;

export function rest() {
  since = performance.now();
  isSending = false;
}

export function sending() {
  isSending = true;
}

// Whether a press of a button counts: the second one of a double click may land on the next page.
export function isReady() {
  return !isSending && performance.now() - since >= QUIET;
}

export function isTyping(target) {
  return target instanceof Element && target.closest("input:not([type=checkbox]), textarea, select, [contenteditable]") !== null;
}

function isLive(event) {
  return isReady() && !event.repeat && !event.isComposing && event.keyCode !== 229;
}

// One handler a key; `send` is Ctrl+Enter, which also counts while typing.
export function listen(handlers, send) {
  document.addEventListener("keydown", (event) => {
    const isSend = event.key === "Enter" && (event.ctrlKey || event.metaKey);
    const handler = isSend ? send : handlers[event.key];
    if (!handler || event.defaultPrevented) return;
    if (!isSend && (event.ctrlKey || event.metaKey || event.altKey || isTyping(event.target))) return;
    if (!isSend && document.querySelector("dialog[open]")) return;
    if (!isLive(event)) {
      event.preventDefault();
      return;
    }
    if (handler(event) !== false) event.preventDefault();
  });
  document.addEventListener("keydown", (event) => {
    if (event.key === "Escape" && isTyping(event.target)) event.target.blur();
  });
  // A page that comes back from the browser's memory is a page that has just appeared.
  window.addEventListener("pageshow", (event) => {
    if (event.persisted) rest();
  });
}
