// Deciding several at once: sent once, and Ctrl+Enter sends.

import { isReady, listen, sending } from "./keys.js";

const form = document.getElementById("content-main");

form.addEventListener("submit", (event) => {
  if (!isReady()) event.preventDefault();
  else sending();
});
form.querySelector("textarea")?.focus();
listen({}, () => form.requestSubmit());
