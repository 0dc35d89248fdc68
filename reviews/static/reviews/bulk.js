// Deciding several at once: sent once, and Ctrl+Enter sends. The reason that was typed is kept until it was taken.

import * as draft from "./draft.js";
import { isReady, listen, sending } from "./keys.js";

const form = document.getElementById("content-main");

form.addEventListener("submit", (event) => {
  if (!isReady()) event.preventDefault();
  else sending();
});
form.addEventListener("input", () => draft.keep(form));
draft.restore(form);
form.querySelector("textarea")?.focus();
listen({}, () => form.requestSubmit());
