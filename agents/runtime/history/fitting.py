"""Shortening of messages to a number of tokens that a model has room for.

A call is never separated from its result. Tools' results are shortened first, then the agent's words and calls, and
questions last; within each kind, the longest are shortened most. Messages are dropped only in whole turns (a question
and what followed), the oldest first, and only if there is no room for a part of each.
"""

import json
from collections.abc import Sequence
from itertools import accumulate
from typing import Any, TypeVar

from langchain_core.messages import AIMessage, AnyMessage, BaseMessage, HumanMessage, ToolMessage

from core import tokens

Message = TypeVar("Message", bound=BaseMessage)
Turn = list[AnyMessage]

FRAME = 4  # tokens around each message
MEDIA = 1_600  # tokens of an image or a recording: endpoints count its size, not its characters
MEDIA_TYPES = frozenset({"image", "image_url", "input_image", "audio", "input_audio", "video", "file"})
SHARE = 16  # no message is shortened below 1/SHARE of the budget while there is an older turn to drop
FLOOR = 64  # tokens, for a small budget: with less, little more than the mark of the omission would remain
SHORTENED = (frozenset({"tool"}), frozenset({"tool", "ai"}), frozenset({"tool", "ai", "human"}))  # types, in this order
TRIES = 3  # at shortening arguments
CUT = "shortened"  # the only key of arguments that were replaced by one text


def tokens_of(message: BaseMessage) -> int:
    """Estimate the number of tokens of the message, including its calls."""
    calls = message.tool_calls if isinstance(message, AIMessage) else []
    called = sum(FRAME + tokens.count(call["name"]) + _size(call["args"]) for call in calls)
    more = _size(message.additional_kwargs) if message.additional_kwargs else 0  # such as a model's reasoning
    return FRAME + called + more + _content_tokens(message.content)


def capped(messages: Sequence[AnyMessage], limit: int) -> list[AnyMessage]:
    """Return the messages with each tool's result shortened to at most about `limit` tokens."""
    return [shortened(one, limit) if isinstance(one, ToolMessage) else one for one in messages]


def fitted(messages: Sequence[AnyMessage], budget: int) -> list[AnyMessage]:
    """Return the messages within the budget, in tokens as `tokens_of` estimates them. The last turn is always kept."""
    if sum(map(tokens_of, messages)) <= budget:
        return list(messages)
    turns = _turns(messages)
    sums = list(accumulate(least(turn, budget) for turn in reversed(turns)))
    kept = max(sum(one <= budget for one in sums), 1)
    newest = [message for turn in turns[-kept:] for message in turn]
    for kinds in SHORTENED:
        fixed = [one for one in newest if one.type not in kinds]
        free = [one for one in newest if one.type in kinds]
        if sum(map(tokens_of, fixed)) + least(free, budget) <= budget:
            return _shrunk(newest, budget, kinds)
    halved = [shortened(one, budget // 2) if isinstance(one, HumanMessage) else one for one in newest]
    return _shrunk(halved, budget, SHORTENED[1])


def least(messages: Sequence[AnyMessage], budget: int) -> int:
    """Return the smallest number of tokens to which the messages are shortened, unless they are the last turn."""
    floor = max(budget // SHARE, FLOOR)
    return sum(min(tokens_of(one), floor) for one in messages)


def shortened(message: Message, limit: int) -> Message:
    """Return the message with at most about `limit` tokens. Its id, and the names and ids of its calls, stay."""
    if tokens_of(message) <= limit:
        return message
    calls = message.tool_calls if isinstance(message, AIMessage) else []
    room = limit - FRAME - sum(FRAME + tokens.count(call["name"]) for call in calls)
    sizes = [_content_tokens(message.content), *(_size(call["args"]) for call in calls)]
    level = _level(sizes, max(room, 0))
    changed: dict[str, Any] = {"content": _short_content(message.content, level, by_model=message.type == "ai")}
    if calls:
        changed["tool_calls"] = [{**call, "args": _short_args(call["args"], level)} for call in calls]
    return message.model_copy(update=changed)


def _shrunk(messages: Sequence[AnyMessage], budget: int, kinds: frozenset[str]) -> list[AnyMessage]:
    """Return the messages with those of these kinds cut to one size, so that all of them fit the budget."""
    sizes = [tokens_of(one) for one in messages if one.type in kinds]
    room = budget - sum(tokens_of(one) for one in messages if one.type not in kinds)
    level = _level(sizes, max(room, 0))
    return [shortened(one, level) if one.type in kinds else one for one in messages]


def _level(sizes: Sequence[int], room: int) -> int:
    """Return the largest size such that all of them fit the room if longer ones are cut to it."""
    left = len(sizes)
    for size in sorted(sizes):
        if size * left > room:
            return room // left
        room -= size
        left -= 1
    return max(sizes, default=0)


def _turns(messages: Sequence[AnyMessage]) -> list[Turn]:
    turns: list[Turn] = []
    for message in messages:
        if not turns or isinstance(message, HumanMessage):
            turns.append([])
        turns[-1].append(message)
    return turns


def _content_tokens(content: Any) -> int:
    return tokens.count(content) if isinstance(content, str) else sum(map(_block_tokens, content))


def _block_tokens(block: Any) -> int:
    if _is_media(block):
        return MEDIA
    text = _text_of(block)
    return _size(block) if text is None else tokens.count(text)


def _is_media(block: Any) -> bool:
    return isinstance(block, dict) and block.get("type") in MEDIA_TYPES


def _text_of(block: Any) -> str | None:
    """Return the text of a text block, else None."""
    if isinstance(block, str):
        return block
    text = block.get("text") if block.get("type") == "text" else None
    return text if isinstance(text, str) else None


def _short_content(content: Any, limit: int, *, by_model: bool) -> Any:
    if isinstance(content, str):
        return tokens.shortened(content, limit)
    level = _level([_block_tokens(block) for block in content], limit)
    return [_short_block(block, level, by_model=by_model) for block in content]


def _short_block(block: Any, limit: int, *, by_model: bool) -> Any:
    if _block_tokens(block) <= limit:
        return block
    text = _text_of(block)
    if text is not None:
        short = tokens.shortened(text, limit)
        return short if isinstance(block, str) else {**block, "text": short}
    if by_model:
        return block  # reasoning and calls: an endpoint accepts them only unaltered
    # A part of an image's characters is of no use.
    rest = f"[{block.get('type')} left out]" if _is_media(block) else tokens.shortened(_as_json(block), limit)
    return {"type": "text", "text": rest}


def _short_args(args: dict[str, Any], limit: int) -> dict[str, Any]:
    """Return the arguments with at most about `limit` tokens: their long texts are cut, or all become one text."""
    if _size(args) <= limit:
        return args
    texts = {name: value for name, value in args.items() if isinstance(value, str)}
    rest = _size({**args, **dict.fromkeys(texts, "")})
    if rest > limit // 2 and args.keys() != {CUT}:
        return _short_args({CUT: _as_json(args)}, limit)
    room = limit - rest
    for _ in range(TRIES):
        level = _level([tokens.count(text) for text in texts.values()], max(room, 0))
        short = {**args, **{name: tokens.shortened(text, level) for name, text in texts.items()}}
        if (over := _size(short) - limit) <= 0:
            break
        room -= over  # quotes and line ends take more in JSON than in the text
    return short


def _size(value: Any) -> int:
    return tokens.count(_as_json(value))


def _as_json(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, default=str)
