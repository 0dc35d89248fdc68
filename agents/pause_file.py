"""The file that pauses work where neither the web nor a shell with the settings is at hand.

`PAUSE` in the data folder: as long as it is there everything is paused, and its text is the reason. Lines such as
`agent=default`, `tool=send_email` or `user=ann` in it pause only those. What can't be understood pauses everything.
Every worker of the data folder looks for it once a second and before it claims a task, and makes pauses of it that
all workers obey, also those of other machines.
"""

import errno
import logging
import os
import re
import socket
import threading
import time
import uuid
from dataclasses import dataclass
from pathlib import Path

from django.conf import settings

from agents.desk import desk
from agents.models import Pause
from agents.models.pauses import VALUE_LENGTH
from core.identifiers import identifier
from core.text import shortened, storable

logger = logging.getLogger(__name__)

NAME = "PAUSE"
RESYNC = 10.0  # seconds after which the pauses are held against the file though it has not changed
LONGEST = 64 * 1024  # bytes that are read of it
REASON_LENGTH = 1000  # characters

Scope = Pause.Scope
_LINE = re.compile(r"(\w+)[ \t]*=[ \t]*(.*)")


@dataclass(frozen=True)
class Wanted:
    """One thing that the file pauses."""

    scope: str
    value: str
    reason: str


@dataclass(frozen=True)
class Found:
    """What a worker of this data folder has found in it."""

    wanted: tuple[Wanted, ...]
    source: str  # the id of the data folder
    host: str  # that looked


class _Watch:
    """What this process last made of the file."""

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.signature: object = None  # of the file when it was last looked at
        self.due = 0.0  # when to look again in any case, by the monotonic clock


_watch = _Watch()


def _forget_parents() -> None:
    global _watch
    _watch = _Watch()  # the lock may be held by a thread that the fork did not copy


os.register_at_fork(after_in_child=_forget_parents)


def path() -> Path:
    """Where the file stands."""
    return Path(settings.DATA_DIR) / NAME


def heed() -> None:
    """Make the pauses what the file says, where it has changed. Raises what a database that is away raises."""
    with _watch.lock:
        signature = _signature()
        if signature == _watch.signature and time.monotonic() < _watch.due:
            return
        desk().mirror_pauses(Found(wanted(), _folder_id(), socket.gethostname()))
        _watch.signature, _watch.due = signature, time.monotonic() + RESYNC


def wanted() -> tuple[Wanted, ...]:
    """What the file pauses: nothing where there is none."""
    try:
        text = _read()
    except FileNotFoundError:
        return ()
    except OSError as error:
        return (Wanted(Scope.EVERYTHING, "", f"{path()} can't be read ({error.strerror})"),)
    return _parsed(text)


def _read() -> str:
    with open(path(), "rb") as file:
        content = file.read(LONGEST + 1)
    if len(content) > LONGEST:
        raise OSError(errno.EFBIG, f"it has more than {LONGEST} bytes")
    return str(storable(content.decode("utf-8-sig", "replace")))


def _parsed(text: str) -> tuple[Wanted, ...]:
    """Each line that names an agent, a tool or a user; the others are the reason."""
    named: list[tuple[str, str]] = []
    said: list[str] = []
    mistakes: list[str] = []
    for line in filter(None, map(str.strip, text.splitlines())):
        if (match := _LINE.fullmatch(line)) is None:
            said.append(line)
        elif (value := _name(match[1].lower(), match[2].strip())) is None:
            mistakes.append(line)
        else:
            named.append((match[1].lower(), value))
    reason = shortened("\n".join(said), REASON_LENGTH)
    if mistakes or not named:
        if mistakes:
            logger.error("%s: everything is paused, because this can't be understood: %s", path(), "; ".join(mistakes))
        reason = shortened("\n".join([*said, *mistakes]), REASON_LENGTH)
        return (Wanted(Scope.EVERYTHING, "", reason),)
    return tuple(Wanted(scope, value, reason) for scope, value in dict.fromkeys(named))


def _name(scope: str, value: str) -> str | None:
    """The name in its stored form; None where the line is no such line."""
    if scope not in (Scope.AGENT, Scope.TOOL, Scope.USER) or not 1 <= len(value) <= VALUE_LENGTH:
        return None
    try:
        return identifier(value) if scope == Scope.USER else value
    except ValueError:
        return None


def _signature() -> object:
    """Something else after each change of the file."""
    try:
        found = path().stat()
    except FileNotFoundError:
        return "none"
    except OSError as error:
        return error.errno
    return found.st_ino, found.st_size, found.st_mtime_ns


def _folder_id() -> str:
    """The data folder's own id, the same for all processes and hosts that share it; made where there is none."""
    file = Path(settings.DATA_DIR) / ".folder-id"
    try:
        if not file.exists():
            _make_id(file)
        return file.read_text(encoding="ascii").strip()
    except OSError:  # a folder that only this host has, as nobody can write there
        return socket.gethostname()


def _make_id(file: Path) -> None:
    fresh = file.with_name(f".folder-id-{uuid.uuid4().hex}")
    try:
        fresh.write_text(uuid.uuid4().hex, encoding="ascii")
        os.link(fresh, file)  # whole or not at all, and only for the first
    except FileExistsError:
        return
    finally:
        fresh.unlink(missing_ok=True)
