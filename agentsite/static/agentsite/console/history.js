// What was said before: page by page from the newest on. A page has whole tasks.

const [TASKS, MESSAGES] = [20, 200]; // read at once
const LEARNT = ["error", "cancelled"]; // ended in a way that only the status of the task explains

export class History {
  constructor({ rest, path, tasks, make, holder, learn, tried }) {
    Object.assign(this, { rest, path, tasks, make, holder, learn, tried });
    this.cursors = { tasks: "", messages: "" }; // of the next page; null when there is none
    this.held = []; // messages of tasks of the next page
    this.button = document.getElementById("earlier");
    this.button.addEventListener("click", () => this.more());
  }

  async begin() {
    await this.read();
    const page = document.scrollingElement;
    page.scrollTop = page.scrollHeight;
  }

  // Read the newest page once more: what has ended while nobody listened.
  async catchUp() {
    const { cursors, held } = this;
    [this.cursors, this.held] = [{ tasks: "", messages: "" }, []];
    await this.read();
    [this.cursors, this.held] = [cursors, held];
    this.button.hidden = this.cursors.tasks === null;
  }

  // The reader stays where they are reading.
  async more() {
    const page = document.scrollingElement;
    const below = page.scrollHeight - page.scrollTop;
    const oldest = this.holder.firstElementChild;
    await this.read();
    page.scrollTop = page.scrollHeight - below;
    if (!this.button.hidden || !oldest) return;
    oldest.tabIndex = -1; // the button is gone: go on from where the new messages end
    oldest.focus({ preventScroll: true });
  }

  async read() {
    if (this.isReading) return;
    this.isReading = true;
    this.button.setAttribute("aria-disabled", "true"); // it keeps the focus
    await this.tried(() => this.page());
    this.isReading = false;
    this.button.removeAttribute("aria-disabled");
    this.button.hidden = this.cursors.tasks === null;
  }

  next(path, limit, cursor) {
    return this.rest.get(`${path}?order=desc&limit=${limit}${cursor ? `&cursor=${encodeURIComponent(cursor)}` : ""}`);
  }

  async page() {
    const found = await this.next(`/agent/tasks/${this.path}`, TASKS, this.cursors.tasks);
    this.cursors.tasks = found.next;
    const entered = found.tasks.map((row) => this.enter(row));
    await this.messages();
    for (const [at, { task, row }] of entered.entries()) {
      task.ask(row.query);
      if (!task.status) task.stand(row.status);
      if (LEARNT.includes(row.status) || (at === 0 && !task.usage)) this.learn(task);
    }
  }

  // Newest first: each goes before those that are there, unless the stream has brought it.
  enter(row) {
    let task = this.tasks.get(row.task_id);
    if (!task) {
      task = this.make(row.task_id);
      const rest = [...this.tasks];
      const at = rest.findIndex(([, one]) => one.created === undefined || one.created > row.created_at);
      rest.splice(at < 0 ? rest.length : at, 0, [row.task_id, task]);
      this.tasks.clear();
      for (const [id, one] of rest) this.tasks.set(id, one);
      this.holder.insertBefore(task.element, at < 0 ? null : this.holder.children[at]);
    }
    task.created = row.created_at;
    return { task, row };
  }

  // Read messages until one is of a task that is not here yet.
  async messages() {
    const waiting = this.held;
    this.held = [];
    while (true) {
      for (const message of waiting.splice(0)) {
        if (this.tasks.has(message.task_id)) this.tasks.get(message.task_id).prepend(message);
        else this.held.push(message);
      }
      if (this.held.length || this.cursors.messages === null) return;
      const found = await this.next(`/agent/session/${this.path}`, MESSAGES, this.cursors.messages);
      this.cursors.messages = found.next;
      waiting.push(...found.messages);
    }
  }
}

