// When a request that failed is sent again.

import { type AgentsiteError, ApiError, NO_JSON, Unreachable } from "./errors.ts";

const [FIRST, LONGEST] = [0.25, 10]; // seconds between two tries: they double from the one to the other
const REFUSED = [429, 503]; // statuses with which nothing was changed
const UNSURE = [502, 504]; // statuses of a proxy, which does not know what became of the request

/** Tell whether the request may have been done all the same. `fetch` does not tell whether it was sent. */
export function isUnsure(error: unknown): boolean {
  return error instanceof Unreachable || (error instanceof ApiError && UNSURE.includes(error.status));
}

/** Tell whether the same request may succeed later, and can be sent again without being done twice. */
export function isPassing(error: unknown, repeatable: boolean): error is AgentsiteError {
  return (error instanceof ApiError && REFUSED.includes(error.status)) || (repeatable && isUnsure(error));
}

/** Tell whether the service says that there is no such object. */
export function isMissing(error: unknown): boolean {
  return error instanceof ApiError && error.status === 404 && error.code !== NO_JSON;
}

/** Wait. Throws the signal's reason once it is aborted. */
export function sleep(seconds: number, signal?: AbortSignal): Promise<void> {
  return new Promise((resolve, reject) => {
    if (signal?.aborted) return reject(signal.reason);
    const stop = () => {
      clearTimeout(timer);
      reject(signal?.reason);
    };
    const timer = setTimeout(() => {
      signal?.removeEventListener("abort", stop);
      resolve();
    }, seconds * 1000);
    signal?.addEventListener("abort", stop, { once: true });
  });
}

/** The tries of one request, and the pauses between them. */
export class Tries {
  #count = 0;
  #until = 0;
  readonly #patience: number;

  constructor(patience: number) {
    this.#patience = patience;
  }

  /** Begin anew, because the request has succeeded meanwhile. */
  forget(): void {
    this.#count = 0;
  }

  /** Return the seconds to wait before the next try. Throws the error if the patience does not last that long. */
  pauseAfter(error: AgentsiteError): number {
    const now = Date.now() / 1000;
    if (this.#count === 0) this.#until = now + this.#patience;
    const least = (error instanceof ApiError && error.retryAfter) || 0;
    const seconds = Math.max(least, Math.min(FIRST * 2 ** this.#count, LONGEST) * (0.5 + Math.random() / 2));
    if (now + seconds > this.#until) throw error;
    this.#count += 1;
    return seconds;
  }
}
