"""The broker without a server: Celery's messages as files in a folder, by kombu's transport made safe to read.

kombu writes a message after it has opened its file, takes whatever it finds, and ends the consumer over what it can't
read. Here a message appears whole, one that is still being written is left alone until it is, and what stays unreadable
is set aside in a folder of its own and told.
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

WRITING = 10.0  # seconds without a change after which a file is not taken for one that is being written
LONGEST = 1024 * 1024  # bytes of a message; ours have less than one kilobyte


class Channel(filesystem.Channel):
    """Reads and writes the folders that the transport's options name."""

    @override
    def _put(self, queue: str, payload: Any, **kwargs: Any) -> None:  # type: ignore[override]
        """Under its name a message is there all at once, or not at all."""
        name = f"{round(time.monotonic() * 1000)}_{uuid.uuid4()}.{queue}.msg"
        _write_at_once(Path(self.data_folder_out), name, dumps(payload))

    @override
    def _get(self, queue: str, timeout: float | None = None) -> Any:
        """The next whole message of this queue. Raises Empty."""
        for path in _waiting(Path(self.data_folder_in), queue):
            try:
                payload = self._read(path)
            except FileNotFoundError:
                continue  # another worker was faster
            except Exception as error:  # whatever reading such a thing raises
                self._set_aside(path, error)
                continue
            try:
                os.rename(path, Path(self.processed_folder) / path.name)
            except FileNotFoundError:  # another worker was faster, or somebody has removed the folder
                Path(self.processed_folder).mkdir(parents=True, exist_ok=True)
            else:
                return payload
        raise Empty

    def _read(self, path: Path) -> Any:
        """The message, where kombu can make one of the file."""
        found = path.lstat()
        if not stat.S_ISREG(found.st_mode) or found.st_size > LONGEST:
            raise ValueError(f"not a file of up to {LONGEST} bytes")  # opening a pipe would wait for ever
        payload = loads(path.read_text(encoding="utf-8"))
        self.Message(payload, channel=self)
        return payload

    def _set_aside(self, path: Path, error: Exception) -> None:
        """Move it out of the way, unless somebody may still be writing it."""
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
        """A table that can't be read is an empty one: whoever listens enters its queue again."""
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
    """For the setting `broker_transport`."""

    Channel = Channel


def count(folder: str | None) -> int:
    """How many messages stand in the folder of those that were set aside."""
    return len(os.listdir(folder)) if folder and os.path.isdir(folder) else 0


def _waiting(folder: Path, queue: str) -> Iterator[Path]:
    """The files of this queue, the oldest first."""
    try:
        names = sorted(os.listdir(folder))
    except FileNotFoundError:  # somebody has emptied the data folder under the running service
        folder.mkdir(parents=True, exist_ok=True)
        return
    yield from (folder / name for name in names if name.partition(".")[2] == f"{queue}.msg")


def _write_at_once(folder: Path, name: str, text: str) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    unfinished = folder / f".{uuid.uuid4()}.tmp"  # no queue's name ends so
    try:
        unfinished.write_text(text, encoding="utf-8")
        os.replace(unfinished, folder / name)
    finally:
        unfinished.unlink(missing_ok=True)


@contextmanager
def _locked(folder: Path) -> Iterator[None]:
    """Only one process at a time changes what stands in the folder."""
    folder.mkdir(parents=True, exist_ok=True)
    with open(folder / ".lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield
