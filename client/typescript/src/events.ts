// Events of tasks, and their way out of a stream of bytes.

import { AgentsiteError } from "./errors.ts";
import type { ActionRequest, Message, Task } from "./types.ts";

/** What happened in a task. `data` depends on `kind`. */
export interface TaskEvent<Kind extends string, Data> {
  kind: Kind;
  data: Data;
  task_id: string;
  /** The cursor, for `after` of another stream. Empty for `chunk` and `end`. */
  id: string;
  /** Counts a task's events from 1 without gaps. 0 for `chunk` and `end`. */
  seq: number;
  /** When it happened. Empty for `chunk` and `end`. */
  at: string;
}

export interface ToolStarted {
  name: string;
  tool_call_id: string;
  message_id: string;
}

export interface Asked {
  interrupt_id: string;
  interrupt_type: "tool_call" | "question" | "in_doubt" | "budget";
  action_request: ActionRequest;
  description: string;
}

/** A piece of a message that the model writes. The finished message follows under the same ID. */
export interface Chunk {
  message_id: string;
  /** Of its first character in the text, counted in characters as Python has them, not in halves of surrogate pairs. */
  position: number;
  text: string;
  kind: "text" | "reasoning";
}

/** A newer service may send other kinds: they come as they are. */
export type Event =
  | TaskEvent<"status", { status: Task["status"]; message?: string }>
  | TaskEvent<"message", Message>
  | TaskEvent<"tool_started", ToolStarted>
  | TaskEvent<"tool_finished", ToolStarted & { status: string }>
  | TaskEvent<"interrupt", Asked>
  | TaskEvent<"decision", { interrupt_id: string; response_type: string; by: string }>
  | TaskEvent<"custom", { value: unknown }>
  | TaskEvent<"chunk", Chunk>
  | TaskEvent<"end", { status: "completed" | "error" | "cancelled" | "not_found" }>;

/** Reads the events of one connection from its bytes, however these are cut. */
export class Decoder {
  readonly #characters = new TextDecoder();
  #rest = "";
  #fields = new Map<string, string[]>();

  /** Return the events that these bytes complete. Throws AgentsiteError if one is none of the service. */
  feed(data: Uint8Array): Event[] {
    const found: Event[] = [];
    const lines = (this.#rest + this.#characters.decode(data, { stream: true })).replaceAll("\r\n", "\n").split("\n");
    this.#rest = lines.pop() ?? "";
    for (const line of lines) {
      if (line) {
        const [name = "", value = ""] = line.split(/:(.*)/s, 2);
        this.#fields.set(name, [...(this.#fields.get(name) ?? []), value.replace(/^ /, "")]);
        continue;
      }
      const fields = this.#fields;
      this.#fields = new Map();
      if (fields.has("data")) found.push(eventOf(fields));
    }
    return found;
  }
}

function eventOf(fields: Map<string, string[]>): Event {
  const kind = fields.get("event")?.at(-1) ?? "message";
  try {
    const body = JSON.parse((fields.get("data") ?? []).join("\n"));
    const told = { kind, data: body, task_id: "", id: "", seq: 0, at: "" };
    if (typeof body !== "object" || body === null) throw new TypeError("its data is no object");
    if (kind === "chunk") {
      const { task_id, ...data } = body;
      if (typeof data.text !== "string" || typeof data.position !== "number") throw new TypeError("a chunk without text");
      return { ...told, data, task_id } as Event;
    }
    if (kind === "end") return told as Event;
    if (typeof body.data !== "object" || body.data === null) throw new TypeError("it has no data");
    const id = fields.get("id")?.at(-1) ?? "";
    return { ...told, data: body.data, task_id: body.task_id, id, seq: body.seq, at: body.at } as Event;
  } catch (error) {
    throw new AgentsiteError(`The stream has sent an event that is none: ${error}`);
  }
}

/** Which pieces of messages a reader has, over all the connections of a stream. */
export class Texts {
  readonly #length = new Map<string, number>(); // by task, message and kind of text
  readonly #finished = new Set<string>();

  /**
   * Return the event, a chunk without what came before, or null if nothing of it is new.
   *
   * After a reconnection the service sends the beginning of a message again. A piece behind a gap is left out: the
   * finished message has it.
   */
  restOf(event: Event): Event | null {
    if (event.kind === "message") this.#finished.add(JSON.stringify([event.task_id, event.data.id]));
    if (event.kind !== "chunk") return event;
    const { message_id, position, text, kind } = event.data;
    const key = JSON.stringify([event.task_id, message_id, kind]);
    const characters = [...text]; // whole ones
    const known = this.#length.get(key) ?? 0;
    const end = position + characters.length;
    const isFinished = this.#finished.has(JSON.stringify([event.task_id, message_id]));
    if (isFinished || position > known || end <= known) return null;
    this.#length.set(key, end);
    const rest = characters.slice(known - position).join("");
    return { ...event, data: { message_id, position: known, text: rest, kind } };
  }
}

/** Return the text of a message, whose content may be blocks. */
export function textOf(message: Message): string {
  if (typeof message.content === "string") return message.content;
  return message.content.map((block: any) => (typeof block === "string" ? block : (block?.text ?? ""))).join("");
}
