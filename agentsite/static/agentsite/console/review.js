// A review in its place in the conversation. The first decision wins, whoever makes it and wherever.

import { inWords } from "./rest.js";
import { announce, button, followEnd, foreign, made, plain, readable, scrolling, word } from "./parts.js";

const OWN = ["accept", "response", "reject"]; // an edit has a form of its own, on the review page

const QUIET = 700; // ms after buttons have appeared: a click was meant for what was there before

let number = 0;

export class Card {
  constructor(id, asked, { rest, texts, reviews, zone }) {
    Object.assign(this, { id, asked, rest, texts, reviews, zone, review: null, isOpen: true });
    this.element = made("section", "review-card");
    this.element.dataset.review = id;
    this.title = foreign("h3", "", "");
    this.title.id = `review-${++number}`;
    this.title.tabIndex = -1;
    this.element.setAttribute("aria-labelledby", this.title.id);
    this.body = made("div");
    this.problem = made("p", "arg-error");
    this.problem.setAttribute("role", "alert");
    this.problem.hidden = true;
    this.element.append(this.title, this.body, this.problem);
    this.draw();
  }

  text(name) {
    return this.texts[`${this.kind}.${name}`] ?? this.texts[name];
  }

  get kind() {
    return this.review?.kind ?? this.asked.interrupt_type;
  }

  // Read the review. Once it is decided, nothing about it changes.
  async load() {
    if (!this.isOpen) return;
    try {
      const { version } = this.review ?? {};
      this.review = await this.rest.get(`/reviews/${this.id}`);
      this.isOpen = this.review.status === "pending";
      const isTyping = this.body.querySelector(".card-asking") !== null;
      if (!(this.isOpen && isTyping && version === this.review.version)) followEnd(() => this.draw());
    } catch (error) {
      this.tell(inWords(error, this.texts));
    }
  }

  draw() {
    const hadFocus = this.body.contains(document.activeElement);
    const { action, args } = (this.review ?? this.asked).action_request;
    this.title.textContent = word(this.texts, "kind", this.kind);
    const description = (this.review ?? this.asked).description;
    const shownArgs = readable(args ?? {});
    this.body.replaceChildren(
      ...(action ? [foreign("p", "dialog-tool", action)] : []),
      ...(this.review ? [this.facts()] : []),
      ...(description ? [foreign("p", "text", description)] : []),
      ...(shownArgs === "{}" || !action ? [] : [scrolling(shownArgs)]),
      ...(this.review ? [this.isOpen ? this.choices() : this.outcome()] : []),
    );
    if (hadFocus) this.title.focus();
  }

  facts() {
    const { risk, expires_at: until, claimed_by: claim } = this.review;
    const facts = made("p", "review-facts");
    if (risk) facts.append(made("span", `badge risk-${["low", "medium", "high"].includes(risk) ? risk : ""}`, word(this.texts, "risk", risk)));
    if (until && this.isOpen) facts.append(made("span", "", this.texts.expires.replace("%(time)s", this.time(until))));
    if (claim && this.isOpen) facts.append(foreign("span", "", this.texts.claimed.replace("%(name)s", () => claim.user)));
    return facts;
  }

  time(text) {
    const options = { dateStyle: "medium", timeStyle: "short", timeZone: this.zone };
    return new Date(text).toLocaleString(document.documentElement.lang, options);
  }

  choices() {
    const allowed = this.review.allowed;
    const row = made("div", "card-buttons");
    this.since = performance.now();
    const acts = { accept: () => this.approve(), response: () => this.write("response"), reject: () => this.write("reject") };
    const looks = { accept: "approve", response: "quiet", reject: "reject" };
    for (const one of OWN.filter((name) => allowed.includes(name))) row.append(this.button(this.text(one), looks[one], acts[one]));
    if (!allowed.length) row.append(made("p", "quiet", this.texts.not_yours));
    if (this.reviews) row.append(this.link(allowed.includes("edit") ? this.texts.edit_there : this.texts.open_review));
    return row;
  }

  button(label, look, act) {
    return button(label, look, () => performance.now() - this.since >= QUIET && act());
  }

  link(text) {
    const link = made("a", "", text);
    link.href = `${this.reviews}${this.id}/change/`;
    return link;
  }

  outcome() {
    const { status, decision } = this.review;
    const line = made("p", "", made("span", `badge state-${status}`, word(this.texts, "decided", status)));
    if (decision) line.append(" ", foreign("span", "", this.texts.by.replace("%(name)s", () => decision.by)));
    return made("div", "card-outcome", line, ...(decision?.message ? [foreign("p", "text", decision.message)] : []));
  }

  // A high risk is asked about once more, as on the review page.
  approve() {
    if (this.review.risk !== "high") return this.decide({ response_type: "accept" });
    const yes = this.button(this.texts.yes, "danger", () => this.decide({ response_type: "accept" }));
    return this.ask(made("p", "", this.texts.certain), yes);
  }

  write(type) {
    const field = made("textarea");
    field.rows = 2;
    field.id = `${this.title.id}-text`;
    const label = made("label", "", type === "reject" ? this.text("reason") : this.text("answer"));
    label.htmlFor = field.id;
    const send = () => this.decide({ response_type: type, ...(type === "reject" ? { message: field.value } : { args: field.value }) });
    field.addEventListener("keydown", (event) => {
      if (event.key === "Enter" && (event.ctrlKey || event.metaKey) && !event.isComposing) send();
    });
    return this.ask(made("p", "card-field", label, field), this.button(this.text(type), type === "reject" ? "danger" : "approve", send));
  }

  // Put a question in the place of the buttons. Escape goes back to them.
  ask(question, button_) {
    const place = this.body.querySelector(".card-buttons");
    this.since = performance.now();
    const back = button(this.texts.back, "quiet", () => {
      asking.replaceWith(place);
      place.querySelector("button")?.focus();
    });
    const asking = made("div", "card-asking", question, made("div", "card-buttons", button_, back));
    asking.addEventListener("keydown", (event) => event.key === "Escape" && back.click());
    place.replaceWith(asking);
    (asking.querySelector("textarea") ?? back).focus();
  }

  async decide(choice) {
    if (this.isSending) return;
    this.isSending = true;
    this.problem.hidden = true;
    try {
      this.review = await this.rest.post(`/reviews/${this.id}/decide`, { ...choice, version: this.review.version });
      this.isOpen = this.review.status === "pending";
      this.draw();
    } catch (error) {
      const text = inWords(error, this.texts);
      if (error.status === 409) await this.load();
      this.tell(error.code === "already_decided" ? `${text} ${this.texts.first}` : text);
    } finally {
      this.isSending = false;
    }
  }

  tell(text) {
    this.problem.textContent = text;
    this.problem.hidden = false;
  }

  // Read out that it waits.
  announce() {
    announce(this.texts.waits.replace("%(name)s", () => plain(this.asked.action_request.action) || word(this.texts, "kind", this.kind)));
  }
}
