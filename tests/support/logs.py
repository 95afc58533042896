"""Logs for tests."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from factory.util.log import LogFile, LogSink
from factory.util.paths import default_layout


class MemoryLog:
    """A log sink that keeps its text."""

    path = Path("log")

    def __init__(self) -> None:
        self.text = ""

    def write(self, text: str) -> None:
        self.text += text


@contextmanager
def unreported(stage: str) -> Iterator[LogSink]:
    yield LogFile(default_layout().logs / "environment" / f"{stage.replace(' ', '-')}.log")
