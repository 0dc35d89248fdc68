"""Sentences that the rule model understands, and its response to each."""

import json
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from demo.model_server.conversation import Conversation

SUBJECT_WORDS = 6
NUMBER = r"(-?\d+(?:\.\d+)?)"
NIGHTS = {"a": 1, "one": 1, "two": 2, "three": 3, "four": 4, "five": 5, "six": 6, "seven": 7}

# "then" starts a new turn. A comma or full stop separates only if a space follows: 1,000 is a number.
# Here and below, (?<!…) tries a run of spaces only from its beginning; otherwise long runs take quadratic time.
SEPARATOR = re.compile(
    r"[,;.!?]?(?<!\s)\s+(?:and\s+)?(then),?\s+|[,;.!?]?(?<!\s)\s+and\s+|[,;.!?]\s+|\n", re.IGNORECASE
)
CALL = re.compile(r"\bcall\s+[\w.-]+\s+with\s+(?=\{)", re.IGNORECASE)


@dataclass(frozen=True)
class ToolCall:
    """Tool call that the model requests."""

    name: str
    args: dict[str, Any]


Step = ToolCall | str  # a str is something to say


@dataclass(frozen=True)
class Rule:
    """One kind of sentence."""

    example: str  # for the help text
    pattern: re.Pattern[str]  # of the whole sentence
    act: Callable[[re.Match[str], Conversation], Step]


def plan(conversation: Conversation) -> list[list[Step]]:
    """Return the steps of the current question, turn by turn; the steps of one turn are for one reply."""
    turns: list[list[Step]] = []
    for is_new_turn, sentence in _sentences(conversation.questions[-1] if conversation.questions else ""):
        step = _step(sentence, conversation)
        if step is None:
            continue
        if is_new_turn or not turns:
            turns.append([])
        turns[-1].append(step)
    return turns


def help_text() -> str:
    """Return a text for people that lists example sentences."""
    examples = "\n".join(f"- {rule.example}" for rule in RULES)
    return (
        f"I am not a real model and only follow a few rules. Try one of these sentences:\n{examples}\n"
        'Join them with "and" to make several calls at once, or with "then" to make one after the other.'
    )


def _step(sentence: str, conversation: Conversation) -> Step | None:
    for rule in RULES:
        if match := rule.pattern.fullmatch(sentence):
            step = rule.act(match, conversation)
            if isinstance(step, ToolCall) and step.name not in conversation.tools:
                return f"I have no tool called {step.name}."
            return step
    return None


def _sentences(text: str) -> Iterator[tuple[bool, str]]:
    """Yield the sentences of the text, each with whether it comes after a "then".

    A separator counts only if a sentence that a rule matches follows it: "remember that I like tea and coffee" is one.
    """
    masked = _without_json(text)
    start, is_new_turn = 0, False
    separators = list(SEPARATOR.finditer(masked))
    ends = [separator.start() for separator in separators[1:]] + [len(text)]
    for separator, end in zip(separators, ends, strict=True) if separators else ():
        piece = text[separator.end() : end]
        if any(rule.pattern.fullmatch(piece) for rule in RULES):
            yield is_new_turn, text[start : separator.start()]
            start, is_new_turn = separator.end(), separator[1] is not None
    yield is_new_turn, text[start:]


def _without_json(text: str) -> str:
    """Return the text, equally long, with the arguments of calls masked, so that nothing in them separates."""
    place = 0
    while match := CALL.search(text, place):
        place = match.end()
        if (decoded := _json_at(text, place)) is not None:
            end = decoded[1]
            text = text[:place] + "x" * (end - place) + text[end:]
            place = end
    return text


def _json_at(text: str, place: int = 0) -> tuple[dict[str, Any], int] | None:
    """Return the JSON object that begins there and where it ends, or None."""
    try:
        return json.JSONDecoder().raw_decode(text, place)
    except (ValueError, RecursionError):
        return None


def _book(match: re.Match[str], _: Conversation) -> Step:
    hotel, nights = match[1], (match[2] or "1").lower()
    return ToolCall("book_hotel", {"hotel_name": hotel, "nights": NIGHTS.get(nights) or int(nights)})


def _multiply(match: re.Match[str], _: Conversation) -> Step:
    a, b = (float(number) if "." in number else int(number) for number in match.groups())
    return ToolCall("multiply", {"a": a, "b": b})


def _email(match: re.Match[str], _: Conversation) -> Step:
    to, body = match[1], match[2]
    if not body:
        return f"What should I write? For example: email {to} saying hello there"
    words = body.split()
    subject = " ".join(words[:SUBJECT_WORDS]) + ("…" if len(words) > SUBJECT_WORDS else "")
    return ToolCall("send_email", {"to": to, "subject": subject[:100], "body": body})


def _remember(match: re.Match[str], _: Conversation) -> Step:
    return ToolCall("remember", {"text": match[1]})


def _search(match: re.Match[str], _: Conversation) -> Step:
    return ToolCall("search_memory", {"query": match[1]})


def _known(match: re.Match[str], conversation: Conversation) -> Step:
    if conversation.facts:
        return "\n- ".join(("This is what I know about you:", *conversation.facts))
    if "search_memory" in conversation.tools:
        return ToolCall("search_memory", {"query": match[1]})
    return "I know nothing about you yet."


def _asked(_: re.Match[str], conversation: Conversation) -> Step:
    earlier = conversation.questions[:-1]
    return "\n- ".join(("You said earlier:", *earlier)) if earlier else "This is your first message."


def _call(match: re.Match[str], _: Conversation) -> Step:
    decoded = _json_at(match[2])
    return ToolCall(match[1], decoded[0]) if decoded else f"The arguments for {match[1]} are not a JSON object."


def _sentence(pattern: str) -> re.Pattern[str]:
    """Return the pattern with optional polite words before it and punctuation after it."""
    polite = r"\s*(?:(?:please|now|can you|could you|would you)\s+)*"
    return re.compile(polite + pattern + r"(?:(?<![\s.!?])[\s.!?]+)?", re.IGNORECASE | re.DOTALL)


BOOK = (
    r"book\s+(?:(?:me|us)\s+)?(?:a\s+room\s+(?:at|in)\s+)?(?:(?:the|an?)\s+)?(\S.*?)"
    rf"(?:(?<!\s)\s+for\s+(\d{{1,9}}|{'|'.join(NIGHTS)})\s+nights?\b.*)?"
)
EMAIL = r"(?:e-?mail|send\s+an\s+e-?mail\s+to)\s+([^\s,]+@[^\s,:]+)(?:(?:\s+and)?(?:\s+(?:saying|say)|:)\s+(\S.*))?"

RULES = (
    Rule('call multiply with {"a": 6, "b": 7}', _sentence(r"call\s+([\w.-]+)\s+with\s+(\{.*)"), _call),
    Rule("book the Ritz for 2 nights", _sentence(BOOK), _book),
    Rule("multiply 6 by 7", _sentence(rf"multiply\s+{NUMBER}\s+(?:by|with|and)\s+{NUMBER}"), _multiply),
    Rule(
        "what is 6 times 7",
        _sentence(rf"(?:(?:what\s+is|what's)\s+)?{NUMBER}\s*(?:\*|x|×|times|multiplied\s+by)\s*{NUMBER}"),
        _multiply,
    ),
    Rule("email bob@example.com saying hello there", _sentence(EMAIL), _email),
    Rule("remember that I prefer window seats", _sentence(r"remember(?:\s+that\s+|:\s*)(\S.*?)"), _remember),
    Rule(
        "what do you know about me",
        _sentence(r"(what\s+do\s+(?:you\s+(?:know|remember)\s+about\s+me|i\s+(?:prefer|like)))"),
        _known,
    ),
    Rule("search memory for seats", _sentence(r"search\s+(?:the\s+|your\s+)?memory\s+for\s+(\S.*?)"), _search),
    Rule(
        "what did I ask before",
        _sentence(r"what\s+(?:did\s+i\s+(?:ask|say)(?:\s+you)?(?:\s+before)?|have\s+we\s+talked\s+about)"),
        _asked,
    ),
)
