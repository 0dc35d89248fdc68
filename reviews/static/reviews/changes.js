// What has been changed in the arguments form, and the live difference.

import { difference } from "./lines.js";
import { fill } from "./marks.js";

function fieldsOf(form) {
  return [...form.querySelectorAll("[data-original]")];
}

function boxOf(form, field) {
  return form.querySelector(`[data-none-of="${field.id}"]`);
}

// A tick counts only while nothing else is written, as on the server.
function isNone(form, field) {
  return Boolean(boxOf(form, field)?.checked) && (field.value === "" || field.value === field.dataset.original);
}

function isChanged(form, field) {
  const box = boxOf(form, field);
  if (field.value !== field.dataset.original) return true;
  return box !== null && box.checked !== (box.dataset.was === "1");
}

function labelOf(field) {
  const names = [];
  for (let part = field.closest("[data-arg]"); part; part = part.parentElement?.closest("fieldset")) {
    const name = part.dataset.arg ?? part.querySelector(":scope > legend")?.textContent;
    if (name) names.unshift(name);
  }
  return names.join(" › ");
}

function shown(form, field, text, isMissing) {
  if (isMissing) return form.dataset.left_out;
  if (!(field instanceof HTMLSelectElement)) return text;
  return [...field.options].find((option) => option.value === text)?.textContent ?? text;
}

export function changesOf(form) {
  const found = fieldsOf(form)
    .filter((field) => isChanged(form, field))
    .map((field) => {
      const box = boxOf(form, field);
      const before = shown(form, field, field.dataset.original, box?.dataset.was === "1");
      const after = shown(form, field, field.value, isNone(form, field));
      return { name: labelOf(field), lines: difference(before, after) };
    });
  const removed = [...form.querySelectorAll("[data-remove]:checked")];
  return [...found, ...removed.map((box) => ({ name: box.dataset.remove, lines: [["-", form.dataset.left_out]] }))];
}

export function show(list, changes) {
  list.replaceChildren(
    ...changes.map(({ name, lines }) => {
      const [one, title, pre] = ["div", "p", "pre"].map((tag) => document.createElement(tag));
      one.className = "diff-one";
      title.className = "diff-name";
      fill(title, name);
      pre.className = "diff";
      for (const [sign, text] of lines) {
        const line = document.createElement({ "+": "ins", "-": "del" }[sign] ?? "span");
        fill(line, text);
        pre.append(line);
      }
      one.append(title, pre);
      return one;
    }),
  );
}

// What nobody touched need not travel: a field that is not sent stays as it was asked.
export function leaveOutUntouched(form, isLeftOut) {
  for (const field of fieldsOf(form)) {
    if (!isChanged(form, field)) field.disabled = isLeftOut;
  }
}
