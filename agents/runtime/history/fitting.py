"""Messages shortened to a number of tokens, so that a model can be asked with them.

A call is never parted from its result. Tools' results are shortened first, then the agent's words and calls, questions
last, and of each kind the longest most. Messages are dropped only by whole turns (a question and what followed), the
oldest first, and only where there is no room for a part of each.
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
MEDIA = 1_600  # tokens of an image or a recording: endpoints count those by their size, not by their characters
MEDIA_TYPES = frozenset({"image", "image_url", "input_image", "audio", "input_audio", "video", "file"})
SHARE = 16  # no message is shortened to less than this part of the budget while there is an older turn to drop
FLOOR = 64  # tokens, of a small budget: with less there would be little but the mark of what was left out
SHORTENED = (frozenset({"tool"}), frozenset({"tool", "ai"}), frozenset({"tool", "ai", "human"}))  # types, in this order
TRIES = 3  # at shortening arguments
CUT = "shortened"  # the one key of arguments that were too long to be kept as they are


def tokens_of(message: BaseMessage) -> int:
    """Estimate how many tokens the message is, with its calls."""
    calls = message.tool_calls if isinstance(message, AIMessage) else []
    called = sum(FRAME + tokens.count(call["name"]) + _size(call["args"]) for call in calls)
    more = _size(message.additional_kwargs) if message.additional_kwargs else 0  # a model's thoughts, for instance
    return FRAME + called + more + _content_tokens(message.content)


def capped(messages: Sequence[AnyMessage], limit: int) -> list[AnyMessage]:
    """The messages, with each tool's result of at most `limit` tokens."""
    return [shortened(one, limit) if isinstance(one, ToolMessage) else one for one in messages]


def fitted(messages: Sequence[AnyMessage], budget: int) -> list[AnyMessage]:
    """The messages within the budget (in tokens, as `tokens_of` estimates them); the last turn is always among them."""
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
    """How many tokens of the budget the messages take at least, unless they are the last turn."""
    floor = max(budget // SHARE, FLOOR)
    return sum(min(tokens_of(one), floor) for one in messages)


def shortened(message: Message, limit: int) -> Message:
    """The message with at most about `limit` tokens. What identifies it and its calls stays."""
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
    """The messages, with those of these kinds cut to one level, so that all of them fit the budget."""
    sizes = [tokens_of(one) for one in messages if one.type in kinds]
    room = budget - sum(tokens_of(one) for one in messages if one.type not in kinds)
    level = _level(sizes, max(room, 0))
    return [shortened(one, level) if one.type in kinds else one for one in messages]


def _level(sizes: Sequence[int], room: int) -> int:
    """The largest size to which each can be cut so that together they have room; what is smaller stays whole."""
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
    """The text of a block that is one, else None."""
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
        return block  # its thoughts and calls: an endpoint takes them unaltered or not at all
    # The characters of an image mean nothing without the rest of them.
    rest = f"[{block.get('type')} left out]" if _is_media(block) else tokens.shortened(_as_json(block), limit)
    return {"type": "text", "text": rest}


def _short_args(args: dict[str, Any], limit: int) -> dict[str, Any]:
    """Arguments of at most about `limit` tokens: their long texts are shortened, or all of them become one text."""
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
