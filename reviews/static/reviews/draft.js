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

// What was sent was taken where the page after it is another one.
export function forgetSent(here = "") {
  const key = storage((store) => store.getItem(SENT));
  storage((store) => store.removeItem(SENT));
  if (key && key !== here) storage((store) => store.removeItem(key));
}

// Whether anything was put back.
export function restore(form) {
  const key = PREFIX + form.dataset.key;
  forgetSent(key);
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
