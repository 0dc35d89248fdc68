"""Estimates of the tokens in a text, by its script, and texts shortened to a number of tokens.

The estimate needs no tokenizer, because every endpoint has its own. It is meant to be too high rather than too low.
"""

import re
from collections import Counter
from functools import lru_cache

# Characters up to this code point (exclusive), and what each costs in quarters of a token.
_COSTS = (
    (0x0250, 2),  # Latin with accents
    (0x0530, 2),  # Greek, Cyrillic
    (0x0900, 3),  # Armenian, Hebrew, Arabic
    (0x10000, 4),  # Indic and other scripts, symbols, kana, Han, hangul
    (0x110000, 8),  # emoji and rare Han characters: several bytes, which few vocabularies join
)
_CHEAP = frozenset("abcdefghijklmnopqrstuvwxyz ")  # about four characters of a word make a token
_CODED = re.compile(r"[A-Za-z0-9+/=_-]{32,}")  # no word is that long: base64, hashes, keys
QUARTERS = 4
MARK_TOKENS = 24  # tokens of `_mark`
LONG = 2_000  # characters from which on a count is remembered: one request asks for that of a long result many times
REMEMBERED = 32  # long texts; the longest result of a tool has 256 KB
HEAD = 2 / 3  # share of the beginning in the kept text: it more often says what a text is about than the end does


def count(text: str) -> int:
    """Estimate the number of tokens in the text.

    Latin words: four characters per token. Digits, capitals and punctuation, which are frequent in JSON and code, and
    other alphabets: about two. Chinese, Japanese, Korean: one. Emoji: two tokens each.
    """
    return _count(text) if len(text) < LONG else _remembered(text)


def _count(text: str) -> int:
    words, coded = _CODED.subn("", text)
    quarters = 2 * (len(text) - len(words)) if coded else 0
    quarters += sum(_cost(character) * times for character, times in Counter(words).items())
    return -(-quarters // QUARTERS)


_remembered = lru_cache(maxsize=REMEMBERED)(_count)


def shortened(text: str, limit: int) -> str:
    """Return about `limit` tokens of the text at most: its beginning and end, and how much was left out."""
    if count(text) <= limit:
        return text
    room = max(limit - MARK_TOKENS, 0)
    head = _beginning(text, round(room * HEAD))
    tail = _beginning(text[::-1], room - round(room * HEAD))
    short = text[:head] + _mark(len(text) - head - tail, len(text)) + text[len(text) - tail :]
    return short if count(short) < count(text) else text


def _mark(left_out: int, whole: int) -> str:
    return f"\n[… {left_out:,} of {whole:,} characters left out …]\n"


def _beginning(text: str, limit: int) -> int:
    """Return how many of the first characters are at most `limit` tokens."""
    length = spent = 0
    step = limit * QUARTERS
    while step:
        cost = count(piece := text[length : length + step])
        if spent + cost <= limit:
            length, spent = length + len(piece), spent + cost
        step //= 2
    while count(text[:length]) > limit:  # a coded run costs less in pieces
        length -= 1 + length // 50
    return length


def _cost(character: str) -> int:
    if character in _CHEAP:
        return 1
    if character < "\x80":
        return 2
    return next(cost for end, cost in _COSTS if ord(character) < end)
