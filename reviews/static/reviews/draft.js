// What was typed on a review outlives a reload, a send that failed and a way round by the queue, in this tab only. It
// goes when the server says that the decision was made, or when the review turns out to be decided by this person.

const PREFIX = "agentsite-draft:";
const TEXTS = new Set(["message", "answer", "override_reason"]); // of use also when the arguments have changed

function storage(work) {
  try {
    return work(sessionStorage);
  } catch {
    return null; // switched off, or full: a draft is a comfort
  }
}

function controlsOf(form) {
  return [...form.elements].filter((one) => one.name && !["submit", "button", "hidden"].includes(one.type));
}

function initial(control) {
  if (control instanceof HTMLSelectElement) return [...control.options].find((option) => option.defaultSelected)?.value ?? "";
  return control.type === "checkbox" ? control.defaultChecked : control.defaultValue;
}

function current(control) {
  return control.type === "checkbox" ? control.checked : control.value;
}

// A form's key is an id and the version that was seen; another person may log in in the same tab.
function partsOf(form) {
  const [id, version = ""] = form.dataset.key.split(":");
  return { id, version, key: `${PREFIX}${form.dataset.reader}:${id}` };
}

function read(key) {
  try {
    return JSON.parse(storage((store) => store.getItem(key)) ?? "null");
  } catch {
    return null; // not ours
  }
}

function forget(id) {
  storage((store) => {
    for (const key of Object.keys(store)) if (key.startsWith(PREFIX) && key.endsWith(`:${id}`)) store.removeItem(key);
  });
}

// The page after a decision carries a message about it, with the id among its classes.
export function forgetDecided() {
  for (const message of document.querySelectorAll(".messagelist [class*='decided-']")) {
    for (const name of message.classList) if (name.startsWith("decided-")) forget(name.slice("decided-".length));
  }
}

// Whether anything was put back.
export function restore(form) {
  forgetDecided();
  const { id, version, key } = partsOf(form);
  if ("decided" in form.dataset) forget(id);
  if ("bound" in form.dataset) {
    if (controlsOf(form).length) keep(form); // the server has sent it back: it may be left and come back to
    return false;
  }
  const { values = {}, version: seen } = read(key) ?? {};
  const isMeant = (one) => one.name in values && (seen === version || TEXTS.has(one.name));
  const found = controlsOf(form).filter((one) => isMeant(one) && current(one) !== values[one.name]);
  for (const control of found) {
    if (control.type === "checkbox") control.checked = values[control.name];
    else control.value = values[control.name];
  }
  // Where the reviewer was typing: Ctrl+Enter sends what has the focus, and approves where nothing has.
  const panels = found.filter((one) => one.value && one.closest("details"));
  for (const control of panels.slice(0, 1)) {
    control.closest("details").open = true;
    control.focus();
  }
  return found.length > 0;
}

export function keep(form) {
  const { id, version, key } = partsOf(form);
  const typed = controlsOf(form).filter((one) => current(one) !== initial(one) || "bound" in form.dataset);
  if (typed.length === 0) return forget(id);
  const values = Object.fromEntries(typed.map((one) => [one.name, current(one)]));
  return storage((store) => store.setItem(key, JSON.stringify({ version, values })));
}

// A page without fields, as of a review that somebody else has decided meanwhile, shows what was typed.
export function showKept(form, place, fill) {
  if ("bound" in form.dataset || controlsOf(form).length) return;
  const { values = {} } = read(partsOf(form).key) ?? {};
  const texts = Object.values(values).filter((value) => typeof value === "string" && value.trim());
  if (texts.length === 0) return;
  const [section, title] = ["section", "h3"].map((tag) => document.createElement(tag));
  section.className = "changes kept";
  title.textContent = form.dataset.kept;
  section.append(title);
  for (const text of texts) {
    const line = document.createElement("pre");
    line.className = "typed";
    fill(line, text);
    section.append(line);
  }
  place.append(section);
}
