"""Text that a person can check: characters that take up room without being seen are named, and cuts are stated.

`core.text.visible` marks single characters and is reversible. This module also names runs of blanks and of marks
("⟨55 × ideographic space⟩"), for text that is only read. `static/reviews/marks.js` does the same in the browser.
"""

import math
import re
import unicodedata
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache, lru_cache
from typing import Any

from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy, ngettext

from core.text import HIDDEN, visible

OTHER_BLANKS = "\xa0\u1680\u2000-\u200a\u2800\u3000"  # other than space and tab; U+202F and U+205F are in HIDDEN
INDENT = 16  # spaces at the beginning of a line that need no mark
TABS = 4  # tabs at the beginning of a line that need no mark
BETWEEN = 2  # spaces between two words that need no mark
REPEATED = 3  # marks of the same hidden character in a row that are written one by one
STACKED = 8  # combining characters on one letter; more would overlap other lines
NAMES: dict[str, Any] = {
    " ": gettext_lazy("space"),
    "\t": gettext_lazy("tab"),
    "\xa0": gettext_lazy("no-break space"),
    "\u2003": gettext_lazy("em space"),
    "\u3000": gettext_lazy("ideographic space"),
}
NARROW = 0.6  # em: width of a lowercase Latin letter, with some reserve for other fonts
ONE_LINE = 80 * NARROW  # em shown on one line of a list
SLACK = 10.0  # em that may be shown beyond the limit, rather than cut off such a short rest
RETURN = "↵"
_STACK = ("Mn", "Me")  # Unicode categories of characters placed above, below or around a letter


@dataclass(frozen=True)
class Piece:
    """A part of a text: the text itself, or a mark that names it."""

    text: str
    is_mark: bool
    length: int  # characters of the text that it represents


def phrases() -> dict[str, str]:
    """Return the names of blanks, in the reader's language, for the script that marks text in the browser."""
    return {
        **{char: str(name) for char, name in NAMES.items()},
        "": _("blank"),
        "\n": _("blank line"),
        "stack": _("combining character"),
    }


def pieces(text: str) -> Iterator[Piece]:
    """Yield the parts of the text in order."""
    at = 0
    for found in _tokens().finditer(text):
        if found.start() > at:
            yield Piece(text[at : found.start()], False, found.start() - at)
        yield from _named(text, found)
        at = found.end()
    if at < len(text):
        yield Piece(text[at:], False, len(text) - at)


def has_marks(text: str) -> bool:
    """Return whether any part of the text needs a mark."""
    return any(piece.is_mark for piece in pieces(text))


def html(text: str) -> SafeString:
    """Return the whole text as HTML, for an element that keeps line ends and wraps."""
    return _joined(pieces(text))


def one_line(text: str, limit: float = ONE_LINE) -> SafeString:
    """Return the beginning of the text as HTML, about `limit` em wide, and how many characters follow."""
    if len(text) * NARROW <= limit + SLACK:
        everything = list(_in_one_line(text))
        if sum(width(piece.text) for piece in everything) <= limit + SLACK:
            return _joined(everything)
    shown: list[Piece] = []
    room, done = limit, 0
    for piece in _in_one_line(text):
        if room <= 0:
            break
        taken = len(piece.text) if piece.is_mark else _fitting(piece.text, room)  # marks are not cut
        if taken < len(piece.text):
            shown.append(Piece(piece.text[:taken], False, taken))
            done += taken
            break
        shown.append(piece)
        room -= width(piece.text)
        done += piece.length
    if left := len(text) - done:
        shown += [Piece(" ", False, 0), Piece(more(left), True, left)]
    return _joined(shown)


def more(count: int) -> str:
    """Return a text that says how many characters are not shown."""
    return ngettext("+%(count)s character", "+%(count)s characters", count) % {"count": f"{count:,}"}


def length(text: str) -> str:
    """Return a text that says how long the text is."""
    count = len(text)
    return ngettext("%(count)s character", "%(count)s characters", count) % {"count": f"{count:,}"}


def rows(text: str, room: float) -> int:
    """Return how many lines the text takes if each is `room` em wide."""
    return sum(max(1, math.ceil(width(line) / room)) for line in text.split("\n"))


def width(text: str) -> float:
    """Return the estimated width of the text in em: rather too large than too small, because fonts differ."""
    return sum(map(_width, text))


@lru_cache(4096)
def _width(char: str) -> float:
    if char in "MW@%mw":
        return 1.0
    if char < "\x80":
        return 0.8 if char.isupper() else NARROW
    if unicodedata.east_asian_width(char) in "WF":
        return 1.0
    if char < "\u0530":
        return 1.0 if char.islower() else 1.4
    if "\U00012000" <= char <= "\U0001254f" or "\ufdf0" <= char <= "\ufdff":  # cuneiform, words in one glyph
        return 12.0
    return 1.3


def _in_one_line(text: str) -> Iterator[Piece]:
    """Yield the parts of the text, with each line end as a mark."""
    for piece in pieces(text):
        if piece.is_mark or "\n" not in piece.text:
            yield piece
            continue
        for number, part in enumerate(piece.text.split("\n")):
            if number:
                yield Piece(RETURN, True, 1)
            if part:
                yield Piece(part, False, len(part))


def _fitting(text: str, room: float) -> int:
    """Return how many characters of the text fit into `room` em."""
    for count, char in enumerate(text):
        room -= _width(char)
        if room < 0:
            return count
    return len(text)


def _joined(shown: Any) -> SafeString:
    parts = ((format_html('<mark class="unseen">{}</mark>', one.text) if one.is_mark else one.text,) for one in shown)
    return format_html_join("", "{}", parts)


def _named(text: str, found: "re.Match[str]") -> Iterator[Piece]:
    """Yield the marks for one token, or the token unchanged."""
    run, start, end = found[0], found.start(), found.end()
    if found["hidden"]:
        mark = visible(found["hidden"])
        yield Piece(mark * len(run) if len(run) <= REPEATED else _times(len(run), mark), True, len(run))
    elif found["lines"]:
        # The first and the last line end are kept.
        yield Piece("\n", False, 1)
        yield Piece(_times(run.count("\n") - 1, _("blank line")), True, len(run) - 2)
        yield Piece("\n", False, 1)
    elif found["stack"]:
        yield Piece(run[:STACKED], False, STACKED)
        yield Piece(_times(len(run) - STACKED, _("combining character")), True, len(run) - STACKED)
    else:
        is_first = start == 0 or text[start - 1] == "\n"
        is_last = end == len(text) or text[end] == "\n"
        yield Piece(run, False, len(run)) if _is_plain(run, is_first, is_last) else Piece(_blanks(run), True, len(run))


def _is_plain(run: str, is_first: bool, is_last: bool) -> bool:
    """Return whether these blanks need no mark: they are an indentation, or the space between two words."""
    if is_last or run.strip(" \t"):
        return False
    if is_first:
        return run.count(" ") <= INDENT and run.count("\t") <= TABS
    return "\t" not in run and len(run) <= BETWEEN


def _blanks(run: str) -> str:
    kinds = set(run)
    if len(kinds) > 1:
        return _times(len(run), _("blank"))
    char = run[0]
    return _times(len(run), str(NAMES[char]) if char in NAMES else f"{_('blank')} U+{ord(char):04X}")


def _times(count: int, name: str) -> str:
    return f"⟨{count:,} × {name}⟩" if count > 1 else f"⟨{name}⟩"


@cache
def _tokens() -> "re.Pattern[str]":
    stacking = "".join(map(chr, (code for code in range(0x300, 0x20000) if unicodedata.category(chr(code)) in _STACK)))
    blanks = f"[ \t{OTHER_BLANKS}]"
    return re.compile(
        f"(?P<hidden>[{HIDDEN}])(?P=hidden)*|(?P<lines>\n(?:{blanks}*\n){{3,}})|(?P<blanks>{blanks}+)"
        f"|(?P<stack>[{stacking}]{{{STACKED + 1},}})"
    )
