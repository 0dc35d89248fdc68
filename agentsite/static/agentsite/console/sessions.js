// The sessions of the chosen user, and users to choose from.

import { fill } from "../../reviews/marks.js";
import { idsIn } from "./rest.js";
import { made } from "./parts.js";

const AT_ONCE = 30;

export async function listSessions({ rest, texts, user, session, tried }) {
  const [list, more] = [document.getElementById("sessions"), document.getElementById("more")];
  let cursor = "";

  function entry(id) {
    const link = made("a");
    fill(link, id);
    link.href = `?user=${encodeURIComponent(user)}&session=${encodeURIComponent(id)}`;
    if (id === session) link.setAttribute("aria-current", "page");
    return made("li", "", link);
  }

  async function read() {
    const found = await tried(() => rest.get(`/agent/sessionids/${idsIn(user)}?limit=${AT_ONCE}${cursor ? `&cursor=${encodeURIComponent(cursor)}` : ""}`));
    if (!found) return;
    if (!cursor) list.replaceChildren();
    list.append(...found.session_ids.map(entry));
    if (!list.children.length) list.append(made("li", "quiet", texts.no_sessions));
    cursor = found.next;
    more.hidden = !cursor;
  }

  more.onclick = read;
  await read();
}

// For whoever may act for any user, those who were active last.
export async function fillUsers(rest) {
  const list = document.getElementById("users");
  if (!list) return;
  try {
    const { users } = await rest.get("/system/info");
    list.append(...Object.keys(users ?? {}).map((name) => new Option(name, name)));
  } catch {
    // A name can be typed.
  }
}
