// As core/marks.py: whatever would take room without being seen is named.

const HIDDEN =
  "(?![\\n\\t])[\\p{Cc}\\p{Cf}\\p{Zl}\\p{Zp}\\p{Co}\\p{Default_Ignorable_Code_Point}\\p{Noncharacter_Code_Point}" +
  "\\u202f\\u205f\\ufff9-\\ufffb\\u{13440}\\u{16fe4}\\u{1d159}\\u{e0000}-\\u{10ffff}]";
const OTHER_BLANKS = "\\xa0\\u1680\\u2000-\\u200a\\u2800\\u3000";
const BLANK = `[ \\t${OTHER_BLANKS}]`;
const [INDENT, TABS, BETWEEN, REPEATED, STACKED] = [16, 4, 2, 3, 8];
const TOKENS = new RegExp(
  `(?<hidden>${HIDDEN})\\k<hidden>*|(?<lines>\\n(?:${BLANK}*\\n){3,})|(?<blanks>${BLANK}+)|(?<stack>[\\p{Mn}\\p{Me}]{${STACKED + 1},})`,
  "gu",
);
const ODD = new RegExp(`^[ \\t]*[${OTHER_BLANKS}]`, "u");

let names = {}; // of the blanks, in the reader's language

export function nameBlanks(given) {
  names = given;
}

const count = (number) => number.toLocaleString("en-US");
const code = (char) => char.codePointAt(0).toString(16);
const times = (number, name) => (number > 1 ? `⟨${count(number)} × ${name}⟩` : `⟨${name}⟩`);

function ofBlanks(run) {
  const kinds = new Set(run);
  if (kinds.size > 1) return times(run.length, names[""]);
  const name = names[run[0]] ?? `${names[""]} U+${code(run[0]).toUpperCase().padStart(4, "0")}`;
  return times(run.length, name);
}

function isPlain(run, isFirst, isLast) {
  if (isLast || ODD.test(run)) return false;
  const tabs = run.split("\t").length - 1;
  return isFirst ? run.length - tabs <= INDENT && tabs <= TABS : tabs === 0 && run.length <= BETWEEN;
}

// [[text, isMark], …]
function named(text, found) {
  const [run, start] = [found[0], found.index];
  const { hidden, lines, stack } = found.groups;
  if (hidden) {
    const length = [...run].length;
    const mark = `\\u{${code(hidden)}}`;
    return [[length <= REPEATED ? mark.repeat(length) : times(length, mark), true]];
  }
  if (lines) return [["\n", false], [times(run.split("\n").length - 2, names["\n"]), true], ["\n", false]];
  if (stack) {
    const all = [...run];
    return [[all.slice(0, STACKED).join(""), false], [times(all.length - STACKED, names.stack), true]];
  }
  const isFirst = start === 0 || text[start - 1] === "\n";
  const end = start + run.length;
  const isLast = end === text.length || text[end] === "\n";
  return [isPlain(run, isFirst, isLast) ? [run, false] : [ofBlanks(run), true]];
}

export function pieces(text) {
  const found = [];
  let at = 0;
  for (const token of text.matchAll(TOKENS)) {
    if (token.index > at) found.push([text.slice(at, token.index), false]);
    found.push(...named(text, token));
    at = token.index + token[0].length;
  }
  if (at < text.length) found.push([text.slice(at), false]);
  return found;
}

// The text as the content of an element.
export function fill(element, text) {
  element.replaceChildren(
    ...pieces(text).map(([part, isMark]) => {
      if (!isMark) return document.createTextNode(part);
      const mark = document.createElement("mark");
      mark.className = "unseen";
      mark.textContent = part;
      return mark;
    }),
  );
}
