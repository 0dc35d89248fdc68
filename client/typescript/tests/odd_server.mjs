// A web server that sends exactly the bytes it is told to, a list of pieces for each connection, and then closes it.

import net from "node:net";
import { once } from "node:events";
import { setTimeout as pause } from "node:timers/promises";

export const HEAD = "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nConnection: close\r\n\r\n";
export const END = 'event: end\ndata: {"status": "completed"}\n\n';

/** A whole response. */
export function reply(status, body, headers = {}) {
  const text = typeof body === "string" ? body : JSON.stringify(body);
  const lines = [`HTTP/1.1 ${status} Odd`, `Content-Length: ${Buffer.byteLength(text)}`, "Connection: close"];
  return [[...lines, ...Object.entries(headers).map((pair) => pair.join(": ")), "", ""].join("\r\n") + text];
}

/** An error of the service. */
export const refusal = (status, code, headers) => reply(status, { detail: "no", code }, headers);

/** A stored event, as the service sends it. */
export function event(number, data, kind = "custom") {
  const told = { task_id: "t", seq: number, at: "2026-01-01T00:00:00Z", kind, data };
  return `id: ${number}\nevent: ${kind}\ndata: ${JSON.stringify(told)}\n\n`;
}

export function chunk(position, text, message_id = "m", kind = "text") {
  return `event: chunk\ndata: ${JSON.stringify({ task_id: "t", message_id, position, text, kind })}\n\n`;
}

/** Answer each connection with the next reply. Returns the address, and what was asked. */
export async function serve(t, ...replies) {
  const [asked, bodies] = [[], []];
  const server = net.createServer(async (socket) => {
    socket.on("error", () => {});
    let text = "";
    while (!text.includes("\r\n\r\n")) text += (await once(socket, "data"))[0];
    const [head, start] = text.split("\r\n\r\n");
    const length = Number(/^content-length: (\d+)/im.exec(head)?.[1] ?? 0);
    let body = start;
    while (Buffer.byteLength(body) < length) body += (await once(socket, "data"))[0];
    asked.push(head.split("\r\n")[0].replace(" HTTP/1.1", ""));
    bodies.push(body && JSON.parse(body));
    for (const piece of replies.shift() ?? reply(500, { code: "too_many_requests_of_a_test" })) {
      if (typeof piece === "number") await pause(piece, undefined, { ref: false });
      else if (!socket.destroyed) socket.write(piece);
    }
    socket.end();
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  t.after(() => server.close());
  return { url: `http://127.0.0.1:${server.address().port}`, asked, bodies, server };
}
