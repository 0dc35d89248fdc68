// The events of a session. The browser connects again by itself; where it gives up, this does.

const KINDS = ["status", "message", "tool_started", "tool_finished", "interrupt", "decision", "custom"];
const AGAIN = 3000; // ms until the next try after the server has refused

// `on` has opened (with whether it goes on behind an event), told(kind, task, data), lost, refused (returns whether to try again) and ended.
export function watch(path, on) {
  let [source, last, isClosed] = [null, "", false];

  function connect() {
    if (isClosed) return;
    source = new EventSource(last ? `${path}?after=${encodeURIComponent(last)}` : path);
    source.addEventListener("open", () => on.opened(last !== ""));
    for (const kind of KINDS) source.addEventListener(kind, (event) => tell(event));
    source.addEventListener("chunk", (event) => {
      const { task_id: task, ...piece } = JSON.parse(event.data);
      on.told("chunk", task, piece);
    });
    source.addEventListener("end", () => {
      source.close();
      on.ended();
    });
    source.addEventListener("error", failed);
  }

  function tell(event) {
    last = event.lastEventId || last;
    const { task_id: task, kind, data } = JSON.parse(event.data);
    on.told(kind, task, data);
  }

  async function failed() {
    on.lost();
    if (source.readyState !== EventSource.CLOSED) return;
    if (await on.refused()) setTimeout(connect, AGAIN);
  }

  connect();
  return () => {
    isClosed = true;
    source.close();
  };
}
