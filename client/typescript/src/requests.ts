// Paths and bodies of requests.

import type { NamedTask } from "./types.ts";

/** Return the path of these parts, which may be in any script. Throws for what can be no part. */
export function path(...parts: string[]): string {
  for (const part of parts) {
    if (["", ".", ".."].includes(part)) throw new TypeError(`${JSON.stringify(part)} is no ID`);
  }
  return `/${parts.map(encodeURIComponent).join("/")}`;
}

/** Return a path that ends with the IDs of a task. */
export function pathOf(kind: string, task: NamedTask): string {
  return path("agent", kind, task.user_id, task.session_id, task.task_id);
}

/** Return only the IDs of a task. */
export function idsOf({ user_id, session_id, task_id }: NamedTask): NamedTask {
  return { user_id, session_id, task_id };
}

/** Return the fields that have a value. */
export function given(fields: object): Record<string, unknown> {
  return Object.fromEntries(Object.entries(fields).filter(([, value]) => value !== undefined && value !== null));
}

/** Return an ID that nobody else has. `crypto.randomUUID` is missing on pages that came over plain HTTP. */
export function newId(): string {
  const bytes = new Uint8Array(16);
  if (globalThis.crypto) crypto.getRandomValues(bytes);
  else bytes.forEach((_, place) => (bytes[place] = Math.random() * 256));
  return Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("");
}
