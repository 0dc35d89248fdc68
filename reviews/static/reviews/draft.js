// What was typed on a review outlives a reload, in this tab only.

const PREFIX = "agentsite-draft:";
const SENT = "agentsite-sent";

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

// Whether anything was put back.
export function restore(form) {
  const key = PREFIX + form.dataset.key;
  const sent = storage((store) => store.getItem(SENT));
  storage((store) => store.removeItem(SENT));
  if (sent && sent !== key) storage((store) => store.removeItem(sent)); // it was taken: we are elsewhere now
  if ("bound" in form.dataset) return false;
  const draft = JSON.parse(storage((store) => store.getItem(key)) ?? "{}");
  const found = controlsOf(form).filter((one) => one.name in draft);
  for (const control of found) {
    if (control.type === "checkbox") control.checked = draft[control.name];
    else control.value = draft[control.name];
  }
  return found.length > 0;
}

export function keep(form) {
  const typed = controlsOf(form).filter((one) => current(one) !== initial(one) || "bound" in form.dataset);
  const draft = Object.fromEntries(typed.map((one) => [one.name, current(one)]));
  const key = PREFIX + form.dataset.key;
  storage((store) => (typed.length ? store.setItem(key, JSON.stringify(draft)) : store.removeItem(key)));
}

export function sent(form) {
  storage((store) => store.setItem(SENT, PREFIX + form.dataset.key));
}
