// The client against servers and networks that misbehave. It runs from its source: Node.js takes the types out.

import assert from "node:assert/strict";
import { test } from "node:test";
import { AgentsiteError, ApiError, Client, NotInTime, textOf, Unreachable } from "../src/index.ts";
import { Decoder } from "../src/events.ts";
import { chunk, END, event, HEAD, refusal, reply, serve } from "./odd_server.mjs";

const TASK = { user_id: "ann", session_id: "s", task_id: "t" };
const [OPEN, DONE] = [{ ...TASK, status: "running" }, { ...TASK, status: "completed" }];

async function all(source) {
  const found = [];
  for await (const one of source) found.push(one);
  return found;
}

const watched = (url, options) => all(new Client(url, "key", options).stream(TASK));
const seqs = (events) => events.map((one) => one.seq);

for (const newline of ["\n", "\r\n"]) {
  test(`bytes may be cut anywhere, with ${JSON.stringify(newline)}`, () => {
    const text = `retry: 1000\n\n${event(1, { value: "Grüße 你好 🙂" })}: \n\n${chunk(0, "é🙂")}${event(2, { value: "a\n\nb" })}${END}`;
    const sent = new TextEncoder().encode(text.replaceAll("\n", newline));
    const whole = new Decoder().feed(sent);
    assert.deepEqual(whole.map((one) => one.kind), ["custom", "chunk", "custom", "end"]);
    assert.deepEqual([whole[0].data, whole[2].data], [{ value: "Grüße 你好 🙂" }, { value: "a\n\nb" }]);
    for (let cut = 0; cut < sent.length; cut++) {
      const decoder = new Decoder();
      assert.deepEqual([...decoder.feed(sent.slice(0, cut)), ...decoder.feed(sent.slice(cut))], whole);
    }
  });
}

test("a connection that breaks in an event loses and repeats nothing", async (t) => {
  const second = event(2, { value: "你好" });
  const cut = Buffer.from(second).subarray(0, Buffer.byteLength(second) - 8); // in a letter
  const { url, asked } = await serve(t, [HEAD + event(1, {}), cut], [HEAD + second + event(3, {}) + END]);
  const found = await watched(url);
  assert.deepEqual([seqs(found), found[1].data.value], [[1, 2, 3, 0], "你好"]);
  assert.deepEqual(asked, ["GET /agent/stream/ann/s/t", "GET /agent/stream/ann/s/t?after=1"]);
});

test("pieces that are sent again after a break come once, counted in whole characters", async (t) => {
  const message = event(1, { id: "m", type: "ai", content: [{ type: "text", text: "Hi 🙂 all" }] }, "message");
  const again = HEAD + chunk(0, "Hi 🙂 a") + chunk(6, "l") + chunk(9, "gap") + message + chunk(7, "l") + END;
  const { url } = await serve(t, [HEAD + chunk(0, "Hi 🙂")], [again]);
  const found = await watched(url);
  assert.deepEqual(found.filter((one) => one.kind === "chunk").map((one) => one.data.text), ["Hi 🙂", " a", "l"]);
  assert.deepEqual(found.filter((one) => one.kind === "message").map((one) => textOf(one.data)), ["Hi 🙂 all"]);
});

test("a reader who may not see the task any more gives up", async (t) => {
  for (const [status, code] of [[401, "not_authenticated"], [404, "not_found"]]) {
    const { url } = await serve(t, [HEAD + event(1, {})], refusal(status, code));
    await assert.rejects(watched(url), { name: "ApiError", status, code });
  }
});

test("a reader outlasts a service that is away, and a silent connection", async (t) => {
  const away = [refusal(503, "unavailable"), reply(502, "<html>")];
  const silent = [HEAD + event(2, {}), 9000];
  const { url } = await serve(t, [HEAD + event(1, {})], ...away, silent, [HEAD + event(3, {}) + END]);
  const began = Date.now();
  assert.deepEqual(seqs(await watched(url, { silence: 0.3 })), [1, 2, 3, 0]);
  assert.ok(Date.now() - began < 6000); // the silence would last longer
});

test("pieces do not change where to go on; the patience begins anew with each event", async (t) => {
  const { url, asked } = await serve(t, [HEAD + event(1, {}) + chunk(0, "a")], [HEAD + END]);
  await watched(url);
  assert.equal(asked[1], "GET /agent/stream/ann/s/t?after=1");
  const slow = [1, 2, 3, 4].map((number) => [HEAD, 100, event(number, {})]);
  const other = await serve(t, ...slow, [HEAD + END]);
  assert.deepEqual(seqs(await watched(other.url, { patience: 0.4 })), [1, 2, 3, 4, 0]);
});

test("a reader gives up when its patience ends", async (t) => {
  const { url } = await serve(t, [HEAD + event(1, {})], [], [], []);
  await assert.rejects(watched(url, { patience: 0.3 }), Unreachable);
});

test("a page in place of a stream, and an event that is none, are errors", async (t) => {
  const { url } = await serve(t, reply(200, "{}", { "Content-Type": "text/html" }), [`${HEAD}data: {\n\n`]);
  await assert.rejects(watched(url), ApiError);
  await assert.rejects(watched(url), /an event that is none/);
});

test("a reader who leaves closes the connection; one who aborts learns why", async (t) => {
  const pieces = Array.from({ length: 200 }, () => [20, ": \n\n"]).flat();
  const { url, server } = await serve(t, [HEAD + event(1, {}), ...pieces], [HEAD + event(1, {}), ...pieces]);
  const client = new Client(url, "key");
  for await (const one of client.stream(TASK)) if (one.seq === 1) break;
  const controller = new AbortController();
  const reading = all(client.stream(TASK, { signal: controller.signal }));
  setTimeout(() => controller.abort(new Error("enough")), 100);
  await assert.rejects(reading, /enough/);
  const began = Date.now();
  await new Promise((resolve) => server.close(resolve)); // once no connection is open
  assert.ok(Date.now() - began < 2000); // the server would send for four seconds
});

// Requests

test("a submission is repeated with the same IDs", async (t) => {
  const broken = ["HTTP/1.1 202 Accepted\r\nContent-Length: 90\r\n\r\n{"];
  const { url, bodies } = await serve(t, [], broken, refusal(503, "unavailable"), reply(202, TASK));
  assert.deepEqual(await new Client(url, "key\n").invoke("hi", { user_id: "ann" }), TASK);
  assert.equal(bodies.length, 4);
  for (const body of bodies) assert.deepEqual(body, bodies[0]);
  assert.deepEqual(Object.keys(bodies[0]).sort(), ["query", "session_id", "task_id", "user_id"]);
});

test("Retry-After is respected, and left to the caller beyond the patience", async (t) => {
  const busy = (seconds) => refusal(429, "rate_limited", { "Retry-After": seconds });
  const { url, asked } = await serve(t, busy(1), reply(200, DONE), busy(61));
  const began = Date.now();
  assert.deepEqual(await new Client(url, "key").status(TASK), DONE);
  assert.ok(Date.now() - began >= 1000);
  await assert.rejects(new Client(url, "key").status(TASK), { code: "rate_limited", retryAfter: 61 });
  assert.equal(asked.length, 3);
});

test("other refusals, and what could be done twice, are not repeated", async (t) => {
  const refused = reply(409, { detail: "no", code: "session_busy", errors: { query: ["Too long."] } });
  const { url, asked } = await serve(t, refused, []);
  const client = new Client(url, "key");
  await assert.rejects(client.invoke("hi"), { message: "409 session_busy: no query: Too long." });
  await assert.rejects(client.changeMemory("ann", "m", "new"), Unreachable);
  assert.equal(asked.length, 2);
});

test("a deletion whose response was lost is a success", async (t) => {
  const { url } = await serve(t, [], refusal(404, "not_found"), refusal(404, "not_found"));
  const client = new Client(url, "key");
  assert.equal((await client.deleteSession("ann", "s")).status, "success");
  await assert.rejects(client.deleteSession("ann", "s"), ApiError); // control: nothing was sent before
});

test("wait asks again until the task has ended, and ends in time", async (t) => {
  const { url, asked } = await serve(t, reply(200, OPEN), reply(200, DONE), ...Array(5).fill(reply(200, OPEN)));
  const client = new Client(url, "key");
  assert.deepEqual(await client.wait(TASK), DONE);
  assert.deepEqual(asked, Array(2).fill("GET /agent/status/ann/s/t?wait=50"));
  await assert.rejects(client.wait(TASK, { seconds: 0.3 }), NotInTime);
});

test("lists go on to the last page", async (t) => {
  const { url, asked } = await serve(t, reply(200, { results: [1], next: "c d" }), reply(200, { results: [2], next: null }));
  assert.deepEqual(await all(new Client(url, "key").reviews({ status: "pending" })), [1, 2]);
  assert.deepEqual(asked, ["GET /reviews?status=pending", "GET /reviews?status=pending&cursor=c+d"]);
});

test("what can be no address, key or ID is refused at once", async (t) => {
  assert.throws(() => new Client("nowhere", "key"), TypeError);
  assert.throws(() => new Client("http://127.0.0.1:9", "a\nb"), TypeError);
  assert.throws(() => new Client("http://127.0.0.1:9", "key").status({ ...TASK, task_id: ".." }), /is no ID/);
  const { url, asked } = await serve(t, reply(200, DONE));
  await new Client(`${url}/under/`, "key").status({ user_id: "安/娜", session_id: "a|b", task_id: "t:1" });
  assert.deepEqual(asked, ["GET /under/agent/status/%E5%AE%89%2F%E5%A8%9C/a%7Cb/t%3A1"]);
});
