// The client: a method for each request.

import { Connection, type Watching } from "./connection.ts";
import { NotInTime } from "./errors.ts";
import type { Event } from "./events.ts";
import { given, idsOf, newId, path, pathOf } from "./requests.ts";
import { sleep } from "./retries.ts";
import type * as api from "./types.ts";

const LONGEST_WAIT = 50; // seconds that one request waits for a task: proxies often give up after 60
const BETWEEN = 0.2; // seconds between two of them, in case that something answers at once

export type ResponseType = "accept" | "edit" | "response" | "reject";

/** What `invoke` takes besides the query. */
export interface Submission {
  user_id?: string;
  session_id?: string;
  task_id?: string;
  system_message?: string;
  agent?: string;
  multitask_strategy?: "enqueue" | "reject" | "interrupt" | "rollback";
}

/** What a decision says besides its type. */
export interface Decision {
  /** `edit`: the full arguments; `response`: a string that replaces the result. */
  args?: unknown;
  /** `reject`: the reason. */
  message?: string;
  override_reason?: string;
}

export interface Waiting {
  /** Throw NotInTime after so many seconds. */
  seconds?: number;
  signal?: AbortSignal;
}

/**
 * A connection to one Agentsite service.
 *
 * Each method throws ApiError if the service refuses, Unreachable if it can't be reached for so long, and the reason of
 * a signal that was aborted.
 */
export class Client extends Connection {
  // Tasks

  /** Submit a task and return its IDs. However often the request is repeated, one task starts. */
  invoke(query: string, fields: Submission = {}): Promise<api.NamedTask> {
    const ids = fields.task_id === undefined ? { session_id: newId(), task_id: newId() } : {};
    return this.request("POST", "/agent/invoke", { ...ids, ...given(fields), query });
  }

  /** Submit a task, and return it once it has ended or waits for a person. Throws NotInTime. */
  async run(query: string, { seconds, signal, ...fields }: Submission & Waiting = {}): Promise<api.Task> {
    return this.wait(await this.invoke(query, fields), { seconds, signal });
  }

  /** Return a task as it is now. */
  status(task: api.NamedTask): Promise<api.Task> {
    return this.request("GET", pathOf("status", task));
  }

  /** Return a task once it has ended or waits for a person. Throws NotInTime after so many seconds. */
  async wait(task: api.NamedTask, { seconds = Infinity, signal }: Waiting = {}): Promise<api.Task> {
    const until = Date.now() / 1000 + seconds;
    for (;;) {
      const held = Math.ceil(Math.max(0, Math.min(LONGEST_WAIT, until - Date.now() / 1000)));
      const sending = { params: { wait: held }, held, signal };
      const found: api.Task = await this.request("GET", pathOf("status", task), undefined, sending);
      if (found.status !== "pending" && found.status !== "running") return found;
      if (Date.now() / 1000 >= until) throw new NotInTime(`The task is ${found.status} after ${seconds} s.`);
      await sleep(BETWEEN, signal);
    }
  }

  /** Yield the tasks of a session, oldest first. */
  tasks(user_id: string, session_id: string): AsyncGenerator<api.TaskRow, void> {
    return this.all("tasks", path("agent", "tasks", user_id, session_id));
  }

  /** Cancel a task. One that has ended stays as it is. */
  cancel(task: api.NamedTask): Promise<api.Cancelled> {
    return this.request("POST", "/agent/cancel", idsOf(task));
  }

  /** Delete a task and everything that belongs to it. */
  deleteTask(task: api.NamedTask): Promise<api.Done> {
    return this.request("DELETE", pathOf("task", task));
  }

  /** Decide a question of a task, which then continues. `interrupt_id` says which, if it has asked several. */
  async resume(
    task: api.NamedTask,
    response_type: ResponseType,
    choice: Decision & { interrupt_id?: string } = {},
  ): Promise<void> {
    await this.request("POST", "/agent/resume", { ...idsOf(task), response_type, ...given(choice) });
  }

  /** Decide several questions of a task at once: all of them, or none if one decision is refused. */
  async resumeAll(task: api.NamedTask, decisions: api.Addressed[]): Promise<void> {
    await this.request("POST", "/agent/resume", { ...idsOf(task), decisions });
  }

  // Streams

  /**
   * Yield what happens in a task, from its first event or after the `id` of one, to `end`.
   *
   * A connection that breaks is replaced, as often as it takes: nothing is lost or repeated. The reader of a task that
   * waits for a person waits as well. Throws ApiError once the caller may not see the task.
   */
  stream(task: api.NamedTask, watching: Watching = {}): AsyncGenerator<Event, void> {
    return this.events(pathOf("stream", task), watching);
  }

  /** Yield what happens in the tasks of a session that have not ended, and in all that follow. */
  streamSession(user_id: string, session_id: string, watching: Watching = {}): AsyncGenerator<Event, void> {
    return this.events(path("agent", "session", user_id, session_id, "stream"), watching);
  }

  // Sessions

  /** Open a session before its first task, or return the existing one. */
  openSession(
    fields: { user_id?: string; session_id?: string; title?: string; agent?: string } = {},
  ): Promise<api.Session> {
    return this.request("POST", "/agent/session", { session_id: newId(), ...given(fields) });
  }

  /** Return a session with the first page of its messages. */
  session(user_id: string, session_id: string): Promise<api.Conversation> {
    return this.request("GET", path("agent", "session", user_id, session_id));
  }

  /** Yield all messages of a session, oldest first. */
  messages(user_id: string, session_id: string): AsyncGenerator<api.SessionMessage, void> {
    return this.all("messages", path("agent", "session", user_id, session_id));
  }

  /** Yield the IDs of a user's sessions, newest first. */
  sessions(user_id: string): AsyncGenerator<string, void> {
    return this.all("session_ids", path("agent", "sessionids", user_id));
  }

  /** Return the ID of the session whose task changed last, or an empty string. */
  async activeSession(user_id: string): Promise<string> {
    const found: api.ActiveSession = await this.request("GET", path("agent", "active", "sessionid", user_id));
    return found.active_session_id;
  }

  /** Delete a session and everything that belongs to it. */
  deleteSession(user_id: string, session_id: string): Promise<api.Done> {
    return this.request("DELETE", path("agent", "session", user_id, session_id));
  }

  // Memories

  /** Store a text as a memory. A text that is already stored stays one memory. */
  writeMemory(text: string, fields: { user_id?: string } = {}): Promise<api.Written> {
    return this.request("POST", "/agent/write/longterm", { ...given(fields), memory_info: text });
  }

  /** Yield a user's memories that are active or wait for approval, newest first. */
  memories(user_id: string): AsyncGenerator<api.Memory, void> {
    return this.all("results", path("agent", "longterm", user_id));
  }

  /** Return the memories that match these words best. */
  async searchMemories(user_id: string, query: string, limit = 10): Promise<api.Memory[]> {
    const sending = { params: { query, limit } };
    const found: api.MemoryList = await this.request("GET", path("agent", "longterm", user_id), undefined, sending);
    return found.results;
  }

  /** Replace the text of a memory, and return the memory with its new ID. */
  changeMemory(user_id: string, memory_id: string, text: string): Promise<api.Memory> {
    const sending = { repeatable: false };
    return this.request("PATCH", path("agent", "longterm", user_id, memory_id), { memory_info: text }, sending);
  }

  /** Forget a memory. */
  forgetMemory(user_id: string, memory_id: string): Promise<api.Done> {
    return this.request("DELETE", path("agent", "longterm", user_id, memory_id));
  }

  // Reviews

  /** Yield the reviews that the caller may see, oldest first; `pending` ones wait for a decision. */
  reviews(fields: { status?: api.Review["status"] } = {}): AsyncGenerator<api.Review, void> {
    return this.all("results", "/reviews", { ...fields });
  }

  /** Return a review. */
  review(id: string): Promise<api.Review> {
    return this.request("GET", path("reviews", id));
  }

  /** Show other reviewers for five minutes that the caller works on this review. */
  claim(review: api.Review, take_over = false): Promise<api.Review> {
    return this.request("POST", path("reviews", review.id, "claim"), { take_over });
  }

  /** Release the caller's claim on a review. */
  release(review: api.Review): Promise<api.Review> {
    return this.request("POST", path("reviews", review.id, "release"), {});
  }

  /** Decide a review as it was read: if it has changed since, nothing is decided. */
  decide(review: api.Review, response_type: ResponseType, choice: Decision = {}): Promise<api.Review> {
    const body = { response_type, version: review.version, ...given(choice) };
    return this.request("POST", path("reviews", review.id, "decide"), body);
  }
}
