// Client of Agentsite: submit tasks, watch them, decide what waits for a person.

export { Client, type Decision, type ResponseType, type Submission, type Waiting } from "./client.ts";
export type { Options, Watching } from "./connection.ts";
export { AgentsiteError, ApiError, NotInTime, Unreachable } from "./errors.ts";
export { type Asked, type Chunk, type Event, type TaskEvent, textOf, type ToolStarted } from "./events.ts";
export type * from "./types.ts";
