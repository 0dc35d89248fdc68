"""What a browser paints holds the whole of what is approved: measured on the screen, not read from the HTML."""

import json
import random
import sys
from typing import Any

import pytest

from agents.models import Interrupt
from core import marks
from core.text import canonical, visible

pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True)]

WIDE = "\u3000"
END = "ZENDZ"
# Whether every letter of the needle is on the screen once somebody scrolls there: each of its boxes has a size, lies
# within the page's width, and nothing else is in front of it.
PAINTED = """(needle) => {
  const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  for (let node = walker.nextNode(); node; node = walker.nextNode()) {
    for (let at = node.data.indexOf(needle); at >= 0; at = node.data.indexOf(needle, at + 1)) {
      const range = document.createRange();
      range.setStart(node, at);
      range.setEnd(node, at + needle.length);
      const top = range.getBoundingClientRect().top + scrollY;
      scrollTo(0, top - innerHeight / 3);
      const boxes = [...range.getClientRects()].filter((box) => box.width > 0);
      const isSeen = (box) => {
        const front = document.elementFromPoint((box.left + box.right) / 2, (box.top + box.bottom) / 2);
        return box.left >= 0 && box.right <= innerWidth && box.height > 0 && front !== null
          && (front === node.parentElement || front.contains(node));
      };
      if (boxes.length && boxes.every(isSeen)) return true;
    }
  }
  return false;
}"""


@pytest.fixture(params=[390, 1280])
def sized(desk: Any, request: Any) -> Any:
    desk.page.set_viewport_size({"width": request.param, "height": 844})
    return desk


def painted(desk: Any, needle: str) -> bool:
    return bool(desk.page.evaluate(PAINTED, needle))


def asks(review: Interrupt, **args: Any) -> Interrupt:
    """The review, of a call with these arguments."""
    schema = {"type": "object", "properties": {name: {"type": "string"} for name in args}}
    Interrupt.objects.update(args_text=canonical(args), args_schema=schema, risk="high")
    return Interrupt.objects.get()


LONG = "\n".join(f"line {number} of a long letter with Z{number:04}Z in it" for number in range(1200))  # 50 KB
TEXTS = {
    "55 ideographic blanks": "Pay rent" + WIDE * 55 + END,
    "em spaces": "Pay rent" + "\u2003" * 60 + END,
    "plain spaces": "Pay rent" + " " * 400 + END,
    "no-break spaces": "Pay rent" + "\xa0" * 400 + END,
    "wide letters": "W" * 75 + END,
    "ideographs": "漢" * 70 + END,
    "the widest letter": "\ufdfd" * 30 + END,
    "one long word": "x" * 300 + END,
    "more than 16 lines": "a\n" * 40 + END,
    "empty lines": "a" + "\n" * 500 + END,
    "tabs": "a" + "\t" * 60 + END,
    "invisible ones": "a" + "\U0001d173" * 200 + "\u200b" * 400 + END,
    "50 KB": LONG + END,
    "50 KB in one line": "x" * 50_000 + END,
}
TYPICAL = {"55 ideographic blanks", "one long word", "more than 16 lines", "50 KB in one line"}  # the others are long


def test_18_the_ends_of_all_of_them_are_painted(sized: Any, booking: Interrupt) -> None:
    ends = {f"a{number}": text.replace(END, f"Z{number}E") for number, text in enumerate(TEXTS.values())}
    sized.open(asks(booking, **ends))
    assert [name for name, text in ends.items() if not painted(sized, text[-len(name) - 1 :])] == []
    assert sized.page.evaluate("document.documentElement.scrollWidth") <= sized.page.viewport_size["width"]
    assert sized.errors == []


@pytest.mark.long
@pytest.mark.parametrize("name", TEXTS)
def test_18_the_end_of_an_argument_is_painted(sized: Any, booking: Interrupt, name: str) -> None:
    sized.open(asks(booking, note=TEXTS[name]))
    assert painted(sized, END)
    assert painted(sized, f"{len(TEXTS[name]):,} characters")
    assert sized.page.evaluate("document.documentElement.scrollWidth") <= sized.page.viewport_size["width"]
    assert sized.errors == []


@pytest.mark.parametrize(
    "name", [pytest.param(name, marks=[] if name in TYPICAL else pytest.mark.long) for name in TEXTS]
)
def test_18_it_is_painted_in_the_question_before_a_high_risk(sized: Any, booking: Interrupt, name: str) -> None:
    sized.open(asks(booking, note=TEXTS[name]))
    sized.press("a")
    assert sized.page.is_visible("#once-more")
    script = "(end) => { const d = document.querySelector('.dialog-body'); d.scrollTop = d.scrollHeight; }"
    sized.page.evaluate(script, END)
    assert sized.page.evaluate(IN_DIALOG, END)
    assert sized.button("Yes, run it").is_visible()


IN_DIALOG = """(end) => {
  const body = document.querySelector(".dialog-body");
  const frame = body.getBoundingClientRect();
  const walker = document.createTreeWalker(body, NodeFilter.SHOW_TEXT);
  for (let node = walker.nextNode(); node; node = walker.nextNode()) {
    const at = node.data.indexOf(end);
    if (at < 0) continue;
    const range = document.createRange();
    range.setStart(node, at);
    range.setEnd(node, at + end.length);
    const box = range.getBoundingClientRect();
    return box.width > 0 && box.left >= frame.left && box.right <= frame.right
      && box.bottom <= innerHeight && box.top >= 0;
  }
  return false;
}"""


def test_18_every_line_of_50_kb_is_painted(sized: Any, booking: Interrupt) -> None:
    sized.open(asks(booking, note=LONG))
    for number in range(0, 1200, 97):
        assert painted(sized, f"Z{number:04}Z"), number


def test_18_keys_and_long_values_of_every_kind_are_painted(sized: Any, booking: Interrupt) -> None:
    args = {"a" + WIDE * 60 + "KEY1": 10**60 + 7, "deep": {"b" * 200 + "KEY2": "c" + WIDE * 60 + "DEEP"}}
    args |= {"choice": "d" * 120 + "CHOICE", "many": ["e" * 90, "f" + " " * 200 + "ITEM"]}
    schema = {
        "type": "object",
        "properties": {
            next(iter(args)): {"type": "integer"},
            "deep": {"type": "object", "properties": {"b" * 200 + "KEY2": {"type": "string"}}},
            "choice": {"enum": [args["choice"], "other"]},
            "many": {"type": "array", "items": {"type": "string"}},
        },
    }
    Interrupt.objects.update(args_text=canonical(args), args_schema=schema)
    sized.open(booking)
    for needle in ("KEY1", "KEY2", "DEEP", "CHOICE", "ITEM", "0000000007"):
        assert painted(sized, needle), needle


CUT = """() => [...document.querySelectorAll(".arg input[type=text], .arg textarea, .arg select")]
  .filter((one) => one.checkVisibility() && !one.closest(".arg").querySelector(".whole"))
  .filter((one) => one.scrollWidth > one.clientWidth || one.scrollHeight > one.clientHeight)
  .map((one) => one.value)"""


@pytest.mark.parametrize(
    "letter", ["W", "漢", "\ufdfd", *(pytest.param(one, marks=pytest.mark.long) for one in ("i", "m", "Щ"))]
)
def test_18_a_field_without_a_copy_cuts_nothing(sized: Any, booking: Interrupt, letter: str) -> None:
    inner: dict[str, Any] = {f"n{count}": letter * count for count in range(1, 40, 3)}
    args = inner
    schema: Any = {"type": "object", "properties": {name: {"type": "string"} for name in inner}}
    for _depth in range(3):
        args = {**inner, "deep": args}
        schema = {"type": "object", "properties": {**schema["properties"], "deep": schema}}
    Interrupt.objects.update(args_text=canonical(args), args_schema=schema)
    sized.open(booking)
    assert sized.page.evaluate(CUT) == []
    assert sized.page.locator(".arg input[type=text]").count() > 3


def test_18_a_number_or_an_option_without_a_copy_is_not_cut(sized: Any, booking: Interrupt) -> None:
    args: Any = {f"n{count}": int("8" * count) for count in range(1, 40, 4)}
    args |= {f"c{count}": "M" * count for count in range(1, 40, 4)}
    known = {name: {"type": "integer"} if name[0] == "n" else {"enum": [value]} for name, value in args.items()}
    schema: Any = {"type": "object", "properties": known}
    Interrupt.objects.update(args_text=canonical(args), args_schema=schema)
    sized.open(booking)
    assert sized.page.evaluate(CUT) == []
    widest = """() => Math.max(...[...document.querySelectorAll(".arg select")]
      .filter((one) => !one.closest(".arg").querySelector(".whole"))
      .map((one) => { const c = document.createElement("canvas").getContext("2d"); c.font = getComputedStyle(one).font;
        return c.measureText(one.selectedOptions[0].textContent).width + 40 - one.clientWidth; }))"""
    assert sized.page.evaluate(widest) <= 0  # with 40 px for its arrow and borders


def test_18_what_is_typed_is_painted_with_its_blanks_named(sized: Any, booking: Interrupt) -> None:
    sized.open(booking)
    sized.page.fill("#id-arg-0", "Savoy" + WIDE * 55 + END)
    assert painted(sized, "⟨55 × ideographic space⟩")
    assert painted(sized, END)


def test_18_the_queue_says_what_it_does_not_show(sized: Any, booking: Interrupt) -> None:
    asks(booking, note="Pay" + WIDE * 55 + "x" * 1204, other="y")
    sized.queue()
    assert painted(sized, "⟨55 × ideographic space⟩")
    line = sized.page.inner_text("td.field-arguments")
    left = int(line.split("+")[1].split(" ")[0].replace(",", ""))
    assert left + line.split("⟩")[1].count("x") == 1204 + len(", other: y")
    assert painted(sized, f"+{left:,} characters")


def test_18_the_page_of_several_decisions_paints_all_of_them(sized: Any, booking: Interrupt) -> None:
    asks(booking, note="Pay" + WIDE * 55 + LONG + END)
    Interrupt.objects.update(risk="low")
    sized.queue()
    sized.page.locator("input.action-select").check()
    sized.page.get_by_role("button", name="Approve selected").click()
    sized.page.wait_for_selector(".bulk-list")
    assert painted(sized, "⟨55 × ideographic space⟩")
    assert painted(sized, END)


def test_18_what_was_said_and_decided_is_painted(sized: Any, booking: Interrupt, reviewer: Any) -> None:
    booking.task.query = "Book" + WIDE * 55 + END
    booking.task.save()
    Interrupt.objects.update(answer_args_text=canonical({"hotel_name": "Savoy" + WIDE * 30 + "NEWZ", "nights": 2}))
    sized.open(booking)
    conversation = sized.page.inner_text(".conversation")
    assert "Book⟨55 × ideographic space⟩" + END in conversation.replace("\n", "")


def test_18_the_measure_can_fail(desk: Any, booking: Interrupt) -> None:
    desk.open(asks(booking, note=TEXTS["55 ideographic blanks"]))
    assert painted(desk, END)
    for rule in ("max-height: 1px; overflow: hidden", "text-indent: -9999px", "display: none"):
        desk.page.evaluate("(css) => { document.querySelector('.whole').style.cssText = css; }", rule)
        assert not painted(desk, END), rule


def joined(pieces: Any) -> list[list[Any]]:
    """The pieces, those of one kind in a row as one."""
    found: list[list[Any]] = []
    for text, is_mark in pieces:
        if found and found[-1][1] == is_mark:
            found[-1][0] += text
        else:
            found.append([text, is_mark])
    return found


def in_browser(desk: Any, texts: list[str]) -> list[Any]:
    script = (
        "async (texts) => { const { pieces } = await import('/static/reviews/marks.js'); return texts.map(pieces); }"
    )
    return list(desk.page.evaluate(script, texts))


def test_18_the_script_marks_what_the_server_marks(desk: Any, booking: Interrupt) -> None:
    chosen = random.Random(5)
    letters = ["a", "b ", " ", "\t", "\n", WIDE, "\xa0", "\u2003", "\u2009", "\u200b", "\u202e", "\u0301", "漢", "😀"]
    texts = ["".join(chosen.choice(letters) * chosen.choice((1, 1, 2, 3, 5, 20)) for _ in range(9)) for _ in range(400)]
    desk.open(booking)
    for text, found in zip(texts, in_browser(desk, texts), strict=True):
        assert joined(found) == joined((piece.text, piece.is_mark) for piece in marks.pieces(text)), json.dumps(text)


@pytest.mark.long
def test_18_the_script_hides_no_other_characters_than_the_server(desk: Any, booking: Interrupt) -> None:
    desk.open(booking)
    chars = [chr(code) for code in range(1, sys.maxunicode + 1) if not 0xD800 <= code <= 0xDFFF]
    script = """async (chars) => { const { pieces } = await import('/static/reviews/marks.js');
      return chars.filter((char) => pieces(char)[0][0].startsWith("\\\\u{")); }"""
    assert desk.page.evaluate(script, chars) == [char for char in chars if visible(char) != char]
