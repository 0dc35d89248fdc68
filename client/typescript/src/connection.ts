// Requests that are tried again, and streams that reconnect.

import { AgentsiteError, ApiError, jsonOf, Unreachable } from "./errors.ts";
import { Decoder, type Event, Texts } from "./events.ts";
import { given } from "./requests.ts";
import { isMissing, isPassing, isUnsure, sleep, Tries } from "./retries.ts";

const STEADY = 5; // seconds after which a connection counts as one that worked

export interface Options {
  /** Seconds to wait for a response. */
  timeout?: number;
  /** Seconds for which a request that fails for a passing reason (no connection, 429, 503) is tried again. */
  patience?: number;
  /** Seconds without a byte after which the connection of a stream counts as dead. Each 10 s something is sent. */
  silence?: number;
  fetch?: typeof fetch;
}

export interface Watching {
  /** The `id` of the last event that was read. */
  after?: string;
  signal?: AbortSignal;
}

interface Sending {
  params?: Record<string, string | number | null | undefined>;
  /** Whether the service may get the request twice, as when the connection broke before the response. */
  repeatable?: boolean;
  /** Seconds for which the service may hold the response back. */
  held?: number;
  signal?: AbortSignal;
}

/** A time limit, and a signal of the caller, for a piece of work. */
class Limit {
  readonly #controller = new AbortController();
  readonly #outer: AbortSignal | undefined;
  #timer: ReturnType<typeof setTimeout> | undefined;

  constructor(seconds: number, outer?: AbortSignal) {
    this.#outer = outer;
    if (outer?.aborted) this.#controller.abort(outer.reason);
    outer?.addEventListener("abort", this.#stop, { once: true });
    this.restart(seconds);
  }

  get signal(): AbortSignal {
    return this.#controller.signal;
  }

  /** Let the time begin anew. */
  restart(seconds: number): void {
    this.pause();
    const stop = () => this.#controller.abort(new Unreachable(`Nothing came for ${seconds} s.`));
    this.#timer = setTimeout(stop, seconds * 1000);
  }

  /** Let no time pass. */
  pause(): void {
    clearTimeout(this.#timer);
  }

  /** Do the work. Throws the reason of the caller's signal, or Unreachable for what else breaks. */
  async hold<T>(work: () => Promise<T>): Promise<T> {
    try {
      return await work();
    } catch (error: any) {
      if (this.#outer?.aborted) throw this.#outer.reason;
      if (error instanceof AgentsiteError) throw error;
      throw new Unreachable(`${error?.message ?? error}${error?.cause?.message ? `: ${error.cause.message}` : ""}`);
    }
  }

  /** Close the connection, if it is still open. */
  end(): void {
    this.pause();
    this.#outer?.removeEventListener("abort", this.#stop);
    this.#controller.abort();
  }

  readonly #stop = () => this.#controller.abort(this.#outer?.reason);
}

/** What the client is built on. */
export class Connection {
  readonly #url: string;
  readonly #headers: Record<string, string>;
  readonly #options: Required<Options>;

  /** `url` is the address of the service, such as `http://127.0.0.1:8000`; `key` is an API key. */
  constructor(url: string, key: string, options: Options = {}) {
    this.#url = new URL(url, globalThis.location?.href).href.replace(/\/+$/, ""); // throws for what is no address
    this.#headers = { Authorization: `Bearer ${key.trim()}` };
    new Headers(this.#headers); // throws for what is no key
    this.#options = { timeout: 30, patience: 60, silence: 30, fetch: (...args) => fetch(...args), ...options };
  }

  /** Send a request, again if it fails for a passing reason, and return the JSON of the response. */
  async request(method: string, path: string, body?: unknown, sending: Sending = {}): Promise<any> {
    const { params = {}, repeatable = true, held = 0, signal } = sending;
    const tries = new Tries(this.#options.patience);
    for (let mayBeDone = false; ; ) {
      const limit = new Limit(this.#options.timeout + held, signal);
      try {
        return await limit.hold(async () => jsonOf(await this.#fetch(method, path, params, body, limit.signal)));
      } catch (error) {
        if (method === "DELETE" && mayBeDone && isMissing(error)) {
          return { status: "success", message: "An earlier request has deleted it." };
        }
        if (!isPassing(error, repeatable)) throw error;
        mayBeDone ||= isUnsure(error);
        await sleep(tries.pauseAfter(error), signal);
      } finally {
        limit.end();
      }
    }
  }

  #fetch(method: string, path: string, params: Sending["params"], body: unknown, signal: AbortSignal) {
    const query = new URLSearchParams(Object.entries(given(params ?? {})).map(([name, value]) => [name, `${value}`]));
    const headers: Record<string, string> = { ...this.#headers };
    if (body !== undefined) headers["Content-Type"] = "application/json";
    const url = `${this.#url}${path}${String(query) && `?${query}`}`;
    return this.#options.fetch(url, { method, headers, signal, body: body === undefined ? null : JSON.stringify(body) });
  }

  protected async *all(field: string, path: string, params: Record<string, string | undefined> = {}): AsyncGenerator<any, void> {
    let cursor: string | null | undefined;
    do {
      const page = await this.request("GET", path, undefined, { params: { ...params, cursor } });
      yield* page[field];
      cursor = page.next;
    } while (cursor);
  }

  protected async *events(path: string, { after = "", signal }: Watching): AsyncGenerator<Event, void> {
    const [tries, texts] = [new Tries(this.#options.patience), new Texts()];
    for (let cursor = after; ; ) {
      const began = Date.now();
      let failure: AgentsiteError = new Unreachable("The stream ended too early.");
      try {
        for await (const event of this.#connection(path, cursor, signal)) {
          tries.forget();
          cursor = event.id || cursor;
          const rest = texts.restOf(event);
          if (rest) yield rest;
          if (event.kind === "end") return;
        }
      } catch (error) {
        if (!isPassing(error, true)) throw error;
        failure = error;
      }
      if (Date.now() - began > STEADY * 1000) tries.forget();
      await sleep(tries.pauseAfter(failure), signal);
    }
  }

  /** Yield the events of one connection. */
  async *#connection(path: string, cursor: string, signal?: AbortSignal): AsyncGenerator<Event, void> {
    const limit = new Limit(this.#options.timeout, signal);
    try {
      const params = { after: cursor || undefined };
      const response = await limit.hold(() => this.#fetch("GET", path, params, undefined, limit.signal));
      if (!response.headers.get("Content-Type")?.startsWith("text/event-stream")) {
        await limit.hold(() => jsonOf(response));
        throw new ApiError(response.status, { detail: "The response is no stream of events." });
      }
      const [reader, decoder] = [response.body!.getReader(), new Decoder()];
      for (;;) {
        limit.restart(this.#options.silence);
        const { done, value } = await limit.hold(() => reader.read());
        if (done) return;
        limit.pause(); // the caller may take its time
        yield* decoder.feed(value);
      }
    } finally {
      limit.end();
    }
  }
}
