"""Logs: sinks for the output of stages."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Protocol

from factory.util.full_disk import naming
from factory.util.redaction import redact


class LogSink(Protocol):
    """A sink for a stage's text, which is kept in full in a file and shown as progress."""

    @property
    def path(self) -> Path: ...

    def write(self, text: str) -> None: ...


OpenStage = Callable[[str], AbstractContextManager[LogSink]]


class LogFile:
    """A stage's log, appended to `path` immediately, so that a killed run leaves its output.

    Known secrets are hidden in it, if each is within the text of one call.
    """

    def __init__(self, path: Path, listener: Callable[[str], None] | None = None) -> None:
        self.path = path
        self._listener = listener
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()

    def write(self, text: str) -> None:
        text = redact(text)
        with naming(self.path), self.path.open("a", encoding="utf-8", errors="replace") as file:
            file.write(text)
        if self._listener is not None:
            for line in text.splitlines():
                self._listener(line)


class Recording:
    """A log that also keeps the text written to it, as `text`."""

    def __init__(self, log: LogSink) -> None:
        self._log = log
        self._written: list[str] = []

    @property
    def path(self) -> Path:
        return self._log.path

    @property
    def text(self) -> str:
        return "".join(self._written)

    def write(self, text: str) -> None:
        self._written.append(redact(text))
        self._log.write(text)
