// The REST API as the logged-in user, and its errors in words.

const PATIENCE = 30_000; // ms for an answer

export class Refused extends Error {
  constructor(status, body) {
    super(body.detail ?? `${status}`);
    Object.assign(this, { status, body, code: body.code ?? "" });
  }
}

export function idsIn(...ids) {
  return ids.map(encodeURIComponent).join("/");
}

async function call(method, path, headers, body) {
  let answer;
  try {
    answer = await fetch(path, { method, headers, body, redirect: "error", signal: AbortSignal.timeout(PATIENCE) });
  } catch {
    throw new Refused(0, { code: "offline" });
  }
  const found = await answer.json().catch(() => ({}));
  if (!answer.ok) throw new Refused(answer.status, found);
  return found;
}

export function clientWith(token) {
  return {
    get: (path) => call("GET", path, { Accept: "application/json" }),
    post: (path, body) =>
      call("POST", path, { "Content-Type": "application/json", Accept: "application/json", "X-CSRFToken": token }, JSON.stringify(body)),
  };
}

// What the reader is told: in their language where the code is known, else as the API says it, and what is wrong where.
export function inWords(error, texts) {
  if (!(error instanceof Refused)) throw error;
  if (error.status === 401) return texts.logged_out;
  const known = texts[`error.${error.code}`] ?? error.body.detail ?? texts["error.unknown"].replace("%(status)s", error.status);
  const fields = Object.entries(error.body.errors ?? {}).map(([name, problems]) => `${name}: ${[problems].flat().join(" ")}`);
  return [known, ...fields].join(" ");
}
