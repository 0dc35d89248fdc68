// Reads a task's stream with the TypeScript client and writes each event as a line of JSON.

import { Client } from "../../client/typescript/src/index.ts";

const [url, key, user_id, session_id, task_id] = process.argv.slice(2);
for await (const event of new Client(url, key).stream({ user_id, session_id, task_id })) {
  console.log(JSON.stringify(event));
}
