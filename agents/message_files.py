"""Broker without a server: Celery's messages as files in a folder, by a safer version of kombu's transport.

kombu creates a message's file before it writes to it, reads any file that it finds, and ends the consumer if it cannot
read one. Here, a message appears only when it is complete, a file that may still be being written is left alone, and a
file that stays unreadable is moved to a separate folder and logged.
"""

import fcntl
import logging
import os
import stat
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from queue import Empty
from typing import Any

from kombu.transport import filesystem
from kombu.utils.json import dumps, loads
from typing_extensions import override

from agents.observability import metrics

logger = logging.getLogger(__name__)

WRITING = 10.0  # seconds without a change after which a file no longer counts as being written
LONGEST = 1024 * 1024  # bytes of a message; Agentsite's are shorter than one kilobyte


class Channel(filesystem.Channel):
    """Channel that reads and writes the folders named in the transport's options."""

    @override
    def _put(self, queue: str, payload: Any, **kwargs: Any) -> None:  # type: ignore[override]
        """Write the message and then rename its file, so that it appears only when it is complete."""
        name = f"{round(time.monotonic() * 1000)}_{uuid.uuid4()}.{queue}.msg"
        _write_at_once(Path(self.data_folder_out), name, dumps(payload))

    @override
    def _get(self, queue: str, timeout: float | None = None) -> Any:
        """Return the next complete message of this queue. Raises Empty."""
        for path in _waiting(Path(self.data_folder_in), queue):
            try:
                payload = self._read(path)
            except FileNotFoundError:
                continue  # another worker took it
            except Exception as error:  # reading an arbitrary file may raise anything
                self._set_aside(path, error)
                continue
            try:
                os.rename(path, Path(self.processed_folder) / path.name)
            except FileNotFoundError:  # another worker took it, or the folder was removed
                Path(self.processed_folder).mkdir(parents=True, exist_ok=True)
            else:
                return payload
        raise Empty

    def _read(self, path: Path) -> Any:
        """Return the file's message. Raises if it is no regular file of up to LONGEST bytes or kombu cannot read it."""
        found = path.lstat()
        if not stat.S_ISREG(found.st_mode) or found.st_size > LONGEST:
            raise ValueError(f"not a file of up to {LONGEST} bytes")  # opening a pipe would block
        payload = loads(path.read_text(encoding="utf-8"))
        self.Message(payload, channel=self)
        return payload

    def _set_aside(self, path: Path, error: Exception) -> None:
        """Move an unreadable file out of the way, unless it may still be being written."""
        with suppress(OSError):
            if time.time() - path.lstat().st_mtime < WRITING and stat.S_ISREG(path.lstat().st_mode):
                return
            folder = Path(self.transport_options["unreadable_folder"])
            folder.mkdir(parents=True, exist_ok=True)
            os.rename(path, folder / path.name)
            metrics.count(metrics.UNREADABLE_MESSAGES)
            logger.error("the message %s can't be read and was moved to %s: %s", path.name, folder, error)

    @override
    def get_table(self, exchange: str) -> list[Any]:
        """Return the exchange's bindings. An unreadable table counts as empty: consumers bind their queues again."""
        try:
            rows = loads(self._exchange_file(exchange).read_text(encoding="utf-8"))
            return [filesystem.exchange_queue_t(*row) for row in rows]
        except (FileNotFoundError, ValueError, TypeError):
            return []

    @override
    def _queue_bind(self, exchange: str, routing_key: str, pattern: str, queue: str) -> None:
        row = filesystem.exchange_queue_t(routing_key or "", pattern or "", queue or "")
        file = self._exchange_file(exchange)
        with _locked(file.parent):
            if row not in (rows := self.get_table(exchange)):
                _write_at_once(file.parent, file.name, dumps([row, *rows]))


class Transport(filesystem.Transport):
    """Transport for the setting `broker_transport`."""

    Channel = Channel


def count(folder: str | None) -> int:
    """Return the number of messages in the folder for unreadable ones."""
    return len(os.listdir(folder)) if folder and os.path.isdir(folder) else 0


def _waiting(folder: Path, queue: str) -> Iterator[Path]:
    """Yield the files of this queue, oldest first."""
    try:
        names = sorted(os.listdir(folder))
    except FileNotFoundError:  # the data folder was emptied while the service runs
        folder.mkdir(parents=True, exist_ok=True)
        return
    yield from (folder / name for name in names if name.partition(".")[2] == f"{queue}.msg")


def _write_at_once(folder: Path, name: str, text: str) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    unfinished = folder / f".{uuid.uuid4()}.tmp"  # no queue's files end in this way
    try:
        unfinished.write_text(text, encoding="utf-8")
        os.replace(unfinished, folder / name)
    finally:
        unfinished.unlink(missing_ok=True)


@contextmanager
def _locked(folder: Path) -> Iterator[None]:
    """Hold the folder's lock, so that only one process at a time changes its files."""
    folder.mkdir(parents=True, exist_ok=True)
    with open(folder / ".lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield
