"""Pause file: pauses work without access to the web interface or to a shell with the settings.

While the file `PAUSE` exists in the data folder, everything is paused, and the text of the file is the reason. Lines
such as `agent=default`, `tool=send_email` or `user=ann` limit the pause to what they name. A line of this form that
cannot be understood pauses everything. Every worker of the data folder checks the file once a second and before it
claims a task, and turns it into pauses that all workers obey, also those on other machines.
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
RESYNC = 10.0  # seconds after which the pauses are compared with the file even if it has not changed
LONGEST = 64 * 1024  # bytes; a longer file counts as unreadable
REASON_LENGTH = 1000  # characters

Scope = Pause.Scope
_LINE = re.compile(r"(\w+)[ \t]*=[ \t]*(.*)")


@dataclass(frozen=True)
class Wanted:
    """One pause that the file asks for."""

    scope: str
    value: str
    reason: str


@dataclass(frozen=True)
class Found:
    """Content of the pause file as a worker of the data folder found it."""

    wanted: tuple[Wanted, ...]
    source: str  # the id of the data folder
    host: str  # of the worker


class _Watch:
    """State of this process's last check of the file."""

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.signature: object = None  # of the file at the last check
        self.due = 0.0  # monotonic time of the next check in any case


_watch = _Watch()


def _forget_parents() -> None:
    global _watch
    _watch = _Watch()  # the lock may be held by a thread that the fork did not copy


os.register_at_fork(after_in_child=_forget_parents)


def path() -> Path:
    """Return the path of the pause file."""
    return Path(settings.DATA_DIR) / NAME


def heed() -> None:
    """Update the pauses if the file has changed or a resync is due. Raises database errors."""
    with _watch.lock:
        signature = _signature()
        if signature == _watch.signature and time.monotonic() < _watch.due:
            return
        desk().mirror_pauses(Found(wanted(), _folder_id(), socket.gethostname()))
        _watch.signature, _watch.due = signature, time.monotonic() + RESYNC


def wanted() -> tuple[Wanted, ...]:
    """Return the pauses that the file asks for: none if there is no file, one of everything if it cannot be read."""
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
    """Return a pause for each line that names an agent, a tool or a user. The other lines are the reason.

    Without such a line, or with one that cannot be understood, everything is paused.
    """
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
    """Return the name in its stored form, or None if the line does not name an agent, a tool or a user."""
    if scope not in (Scope.AGENT, Scope.TOOL, Scope.USER) or not 1 <= len(value) <= VALUE_LENGTH:
        return None
    try:
        return identifier(value) if scope == Scope.USER else value
    except ValueError:
        return None


def _signature() -> object:
    """Return a value that changes with every change of the file."""
    try:
        found = path().stat()
    except FileNotFoundError:
        return "none"
    except OSError as error:
        return error.errno
    return found.st_ino, found.st_size, found.st_mtime_ns


def _folder_id() -> str:
    """Return the data folder's id, common to all processes and hosts that share it. Creates it if missing."""
    file = Path(settings.DATA_DIR) / ".folder-id"
    try:
        if not file.exists():
            _make_id(file)
        return file.read_text(encoding="ascii").strip()
    except OSError:  # not writable, so no other host shares the folder
        return socket.gethostname()


def _make_id(file: Path) -> None:
    fresh = file.with_name(f".folder-id-{uuid.uuid4().hex}")
    try:
        fresh.write_text(uuid.uuid4().hex, encoding="ascii")
        os.link(fresh, file)  # atomic, and only the first process succeeds
    except FileExistsError:
        return
    finally:
        fresh.unlink(missing_ok=True)
