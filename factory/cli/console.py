"""What people see while the factory works: a live board on a terminal, plain lines elsewhere, folds on GitHub Actions.

The only importer of rich. Standard output carries results; progress goes to standard error.
"""

from __future__ import annotations

import os
import re
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from rich.console import Console
from rich.live import Live
from rich.markup import escape
from rich.table import Table
from rich.text import Text

from factory.util.log import LogFile, LogSink

# How often a log without a terminal gets a sign of life from a stage.
QUIET_SECONDS = 60.0
# By how much a build that compiles several files at once may seem to go back; by more, and another one has begun.
OUT_OF_ORDER = 0.05
# Ninja's `[12/345]`, and what make has of CMake's: `[ 45%]`.
_OF_TOTAL = re.compile(r"\[(\d+)/(\d+)\] ")
_PERCENT = re.compile(r"\[ *(\d+)%\] ")


@dataclass(slots=True)
class Row:
    """One stage that runs: since when, the last line that it wrote, and how much of its build is done."""

    title: str
    started: float = field(default_factory=time.monotonic)
    last: str = ""
    done: float | None = None
    _first: tuple[float, float] | None = None

    def heard(self, line: str) -> None:
        """Take note of a line of the stage's output."""
        if line := line.strip():
            self.last = line
            self._measure(line)

    def _measure(self, line: str) -> None:
        if match := _OF_TOTAL.match(line):
            done = int(match[1]) / max(int(match[2]), 1)
        elif match := _PERCENT.match(line):
            done = int(match[1]) / 100
        else:
            return
        if self._first is None or self.done is None or done < self.done - OUT_OF_ORDER:
            self._first = (time.monotonic(), done)
        self.done = done

    @property
    def elapsed(self) -> str:
        return duration(time.monotonic() - self.started)

    @property
    def progress(self) -> str:
        """How much is done, and how long the rest may take; nothing where the output doesn't tell."""
        if self.done is None or self._first is None:
            return ""
        since, before = self._first
        seconds, done = time.monotonic() - since, self.done - before
        if done <= 0 or seconds < 1:
            return f"{self.done:.0%}"
        return f"{self.done:.0%}, {duration(round(seconds / done * (1 - self.done)))} left"


class Board:
    """The stages that run, drawn as a line each on a terminal as long as there are any."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._lock = threading.Lock()
        self._rows: list[Row] = []
        self._live: Live | None = None
        self.total = 0
        self.done = 0

    def add(self, row: Row) -> None:
        """Draw one line more."""
        with self._lock:
            self._rows.append(row)
            if self._live is None:
                self._live = Live(self, console=self._console, refresh_per_second=4, transient=True)
                self._live.start()

    def remove(self, row: Row) -> None:
        """Draw one line less; with the last one goes the board."""
        with self._lock:
            self._rows.remove(row)
            if not self._rows and self._live is not None:
                self._live.stop()
                self._live = None

    def __rich__(self) -> Table:
        """The board as it is now."""
        grid = Table.grid(padding=(0, 1), expand=True)
        for width in (None, 13, 22):
            grid.add_column(no_wrap=True, width=width)
        grid.add_column(no_wrap=True, overflow="ellipsis", ratio=1)
        for row in list(self._rows):
            grid.add_row(*(Text(cell) for cell in (row.title, row.elapsed, row.progress, row.last)))
        if self.total > 1:
            grid.add_row(Text(f"{self.done} of {self.total} done"))
        return grid


class Reporter:
    """Tells a person how far a run has come; stages of several packages may be open at once, in several threads."""

    def __init__(self, console: Console | None = None) -> None:
        self.console = console or Console(stderr=True, highlight=False)
        self._board = Board(self.console)
        self._interleaved = False

    @contextmanager
    def overall(self, total: int, *, at_once: int) -> Iterator[None]:
        """While the body runs, `total` packages are worked on, so many of them at once."""
        self._board.total, self._board.done = total, 0
        self._interleaved = at_once > 1
        try:
            yield
        finally:
            self._board.total, self._interleaved = 0, False

    def one_done(self) -> None:
        """One package of those is done."""
        self._board.done += 1

    @contextmanager
    def stage(self, label: str, stage: str, log: Path) -> Iterator[LogSink]:
        """Report one stage of one package; yields the log that it writes to."""
        row = Row(f"{label}: {stage}")
        with self._shown(row, log) as listener:
            yield LogFile(log, listener)
        self.line(f"{row.title}: done in {row.elapsed}")

    @contextmanager
    def _shown(self, row: Row, log: Path) -> Iterator[Callable[[str], None]]:
        if os.environ.get("GITHUB_ACTIONS") == "true":
            with self._folded(row, log) as listener:
                yield listener
        elif self.console.is_terminal:
            self._board.add(row)
            try:
                yield row.heard
            finally:
                self._board.remove(row)
        else:
            self.line(f"{row.title}: started")
            yield self._signs_of_life(row)

    @contextmanager
    def _folded(self, row: Row, log: Path) -> Iterator[Callable[[str], None]]:
        """A fold of the stage's lines: as they come, or, where those of another stage would get into it, at its end."""
        if not self._interleaved:
            self.line(f"::group::{row.title}")
            try:
                yield self.line
            finally:
                self.line("::endgroup::")
            return
        before = log.stat().st_size if log.is_file() else 0
        self.line(f"{row.title}: started")
        try:
            yield self._signs_of_life(row)
        finally:
            with log.open(encoding="utf-8", errors="replace") as file:
                file.seek(before)
                self.line(f"::group::{row.title}\n{file.read().rstrip()}\n::endgroup::")

    def _signs_of_life(self, row: Row) -> Callable[[str], None]:
        """A line now and then; systems that run builds end those that are silent."""
        shown = time.monotonic()

        def listener(line: str) -> None:
            nonlocal shown
            row.heard(line)
            if time.monotonic() - shown >= QUIET_SECONDS:
                shown = time.monotonic()
                self.line(" | ".join(filter(None, (f"{row.title}: {row.elapsed}", row.progress, row.last))))

        return listener

    def line(self, text: str) -> None:
        """Print one line."""
        self.console.print(text, markup=False, soft_wrap=True)


def duration(seconds: float) -> str:
    """Seconds as people read them."""
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
