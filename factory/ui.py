"""What people see while the factory works: a live line on a terminal, plain lines elsewhere, folds on GitHub Actions.

The only importer of rich. Standard output carries results; progress goes to standard error.
"""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from rich.console import Console
from rich.markup import escape
from rich.status import Status
from rich.table import Table

from factory.model import LogSink
from factory.process import LogFile


@dataclass(frozen=True, slots=True)
class Reporter:
    """Tells a person how far a run has come."""

    console: Console = field(default_factory=lambda: Console(stderr=True, highlight=False))

    @contextmanager
    def stage(self, label: str, stage: str, log: Path) -> Iterator[LogSink]:
        """Report one stage of one package; yields the log that it writes to."""
        started = time.monotonic()
        title = f"{label}: {stage}"
        with self._progress(title) as listener:
            yield LogFile(log, listener)
        self.line(f"{title}: done in {_duration(time.monotonic() - started)}")

    @contextmanager
    def _progress(self, title: str) -> Iterator[Callable[[str], None] | None]:
        if os.environ.get("GITHUB_ACTIONS") == "true":
            self.line(f"::group::{title}")
            try:
                yield self.line
            finally:
                self.line("::endgroup::")
        elif self.console.is_terminal:
            with self.console.status(escape(title)) as status:
                yield _last_line(status, title, time.monotonic(), self.console.width)
        else:
            self.line(f"{title}: started")
            yield None

    def line(self, text: str) -> None:
        """Print one line."""
        self.console.print(text, markup=False, soft_wrap=True)


def _last_line(status: Status, title: str, started: float, width: int) -> Callable[[str], None]:
    def listener(line: str) -> None:
        text = f"{title} {_duration(time.monotonic() - started)} | {line.strip()}"
        status.update(escape(text[: width - 4]))

    return listener


def _duration(seconds: float) -> str:
    minutes, rest = divmod(seconds, 60)
    return f"{int(minutes)} min {rest:.0f} s" if minutes else f"{rest:.1f} s"


def print_table(headings: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """Print a table to standard output."""
    table = Table(*headings, box=None, pad_edge=False)
    for row in rows:
        table.add_row(*(escape(cell) for cell in row))
    # Rows that a program or a log reads are not broken at the width of a terminal that isn't there.
    width = None if sys.stdout.isatty() else 1000
    Console(highlight=False, width=width).print(table)
