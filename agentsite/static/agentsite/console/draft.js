// What was typed and not sent outlives a reload, in this tab only. Another person may log in in the same tab.

const PREFIX = "agentsite-console:";

function storage(work) {
  try {
    return work(sessionStorage);
  } catch {
    return null; // switched off, or full: a draft is a comfort
  }
}

export function keep(owner, text) {
  const key = PREFIX + JSON.stringify(owner);
  storage((store) => (text ? store.setItem(key, text) : store.removeItem(key)));
}

export function kept(owner) {
  return storage((store) => store.getItem(PREFIX + JSON.stringify(owner))) ?? "";
}
