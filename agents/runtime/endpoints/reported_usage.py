"""Reader of the token counts in an endpoint's answer, in the forms of OpenAI, Anthropic, Google, Ollama and the like.

It reads the body itself and not LangChain's message: an answer that no client understands has cost something too.
"""

import re
from collections.abc import Iterator, Mapping
from typing import Any

from agents.runtime.endpoints import responses
from agents.usage.tokens import NOTHING, Tokens

MOST = 10**9  # tokens of one call; a larger number is a mistake of the endpoint
# Lines of a stream that can hold counts: the others are many, and are not parsed.
_COUNTING = re.compile(rb'"(?:usage|usageMetadata|usage_metadata)"\s*:\s*\{|"(?:prompt_)?eval_count"')
_ENDS = (b"[DONE]", b"message_stop", b"response.completed")  # last event of a stream that some clients don't read past
TAIL = 2_000  # bytes at the end of a stream in which its last event is looked for

INPUT = ("prompt_tokens", "input_tokens", "promptTokenCount", "prompt_eval_count")
OUTPUT = ("completion_tokens", "output_tokens", "candidatesTokenCount", "eval_count")
CACHED = (
    *("prompt_tokens_details.cached_tokens", "input_tokens_details.cached_tokens", "cache_read_input_tokens"),
    *("cachedContentTokenCount", "prompt_cache_hit_tokens"),
)
REASONING = (
    *("completion_tokens_details.reasoning_tokens", "output_tokens_details.reasoning_tokens", "thoughtsTokenCount"),
)
BESIDE_INPUT = ("cache_read_input_tokens", "cache_creation_input_tokens")  # Anthropic's
TOTAL = ("total_tokens", "totalTokenCount")


def read(body: bytes) -> Tokens:
    """Return the counts in a whole answer: a JSON document, a stream of events, or lines of JSON.

    In a stream, the last report counts: counts grow with it.
    """
    found: dict[str, Any] = {}
    for report in _reports(body):
        found.update({name: value for name, value in report.items() if value is not None})
    return _tokens(found) if found else NOTHING


def is_over(body: bytes) -> bool:
    """Return whether a stream has sent its last event, so that a client need not read on."""
    return any(end in body[-TAIL:] for end in _ENDS)


def _reports(body: bytes) -> Iterator[Mapping[str, Any]]:
    if (whole := responses.decoded(body)) is not None:
        yield from _of_document(whole)
        return
    for line in body.splitlines():
        if _COUNTING.search(line):
            yield from _of_document(responses.decoded(line.strip().removeprefix(b"data:").strip()))


def _of_document(document: Any) -> Iterator[Mapping[str, Any]]:
    for one in document if isinstance(document, list) else [document]:
        if not isinstance(one, dict):
            continue
        begun = _part(one, "message").get("usage")  # of Anthropic's first event: its output has only begun
        if isinstance(begun, dict):
            yield {name: value for name, value in begun.items() if name not in OUTPUT}
        for holder in (one, _part(one, "response"), _part(one, "x_groq")):
            for name in ("usage", "usageMetadata", "usage_metadata"):
                yield _part(holder, name)
        if "eval_count" in one or "prompt_eval_count" in one:
            yield {name: one.get(name) for name in ("eval_count", "prompt_eval_count")}


def _tokens(report: Mapping[str, Any]) -> Tokens:
    given, output = _first(report, INPUT), _first(report, OUTPUT)
    cached, reasoning = _first(report, CACHED), _first(report, REASONING)
    if "prompt_tokens" not in report and (
        "cache_read_input_tokens" in report or "cache_creation_input_tokens" in report
    ):
        # Anthropic counts what it read from its cache or wrote to it beside the input.
        others = (_count(report.get(name)) or 0 for name in ("cache_read_input_tokens", "cache_creation_input_tokens"))
        given = None if given is None else given + sum(others)
    if given is not None and output is not None and reasoning and _first(report, TOTAL) == given + output + reasoning:
        output += reasoning  # Google and xAI count it beside the output
    return Tokens(
        input=given,
        cached=None if cached is None or given is None or cached > given else cached,
        output=output,
        reasoning=None if reasoning is None or output is None or reasoning > output else reasoning,
    )


def _first(report: Mapping[str, Any], paths: tuple[str, ...]) -> int | None:
    """Return the first of these values that can be a count, or None."""
    for path in paths:
        holder, _, name = path.rpartition(".")
        found = _count((_part(report, holder) if holder else report).get(name))
        if found is not None:
            return found
    return None


def _count(value: Any) -> int | None:
    is_count = isinstance(value, int) and not isinstance(value, bool) and 0 <= value <= MOST
    return value if is_count else None


def _part(holder: Mapping[str, Any], name: str) -> dict[str, Any]:
    found = holder.get(name)
    return found if isinstance(found, dict) else {}
