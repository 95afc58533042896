"""Console output: a live board, plain lines, or folds on GitHub Actions.

The only importer of rich. Standard output carries results; progress goes to standard error.
"""

from __future__ import annotations

import os
import re
import sys
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from rich.cells import cell_len, set_cell_size
from rich.console import Console
from rich.live import Live
from rich.markup import escape
from rich.table import Table
from rich.text import Text

from factory.cli.printable import printable
from factory.cli.progress_text import shorten
from factory.util.durations import time_taken
from factory.util.log import LogFile, LogSink
from factory.util.repetition import repeated

# Interval between progress lines of a stage where there is no terminal, in seconds.
QUIET_SECONDS = 60.0
# A stage that takes a moment as a rule is reported only if it takes longer, in seconds.
BRIEF_SECONDS = 5.0
# Progress may go back by this much, since parallel steps end out of order; more means that another build started.
OUT_OF_ORDER = 0.05
# Progress of ninja, `[12/345]`, and of make under CMake, `[ 45%]`. Other programs can print the same, with any numbers.
_OF_TOTAL = re.compile(r"\[([0-9]{1,9})/([0-9]{1,9})\] ")
_PERCENT = re.compile(r"\[ *([0-9]{1,3})%\] ")


@dataclass(slots=True)
class Row:
    """A running stage: its start, last output line and progress.

    `expected` is its duration in the last build, in seconds, 0 if unknown.
    """

    title: str
    expected: float = 0.0
    started: float = field(default_factory=time.monotonic)
    last: str = ""
    done: float | None = None
    printed: float = field(default_factory=time.monotonic)
    _first: tuple[float, float] | None = None

    def record_line(self, line: str) -> None:
        """Record a line of the stage's output."""
        self.printed = time.monotonic()
        if line := line.strip():
            self.last = line
            self._measure(line)

    def _measure(self, line: str) -> None:
        done = _share_done(line)
        if done is None:
            return
        if self._first is None or self.done is None or done < self.done - OUT_OF_ORDER:
            self._first = (time.monotonic(), done)
        self.done = done

    @property
    def elapsed(self) -> str:
        return time_taken(time.monotonic() - self.started)

    @property
    def silence(self) -> str:
        """Notice that nothing is printed; empty for the first minute."""
        seconds = time.monotonic() - self.printed
        return f"nothing printed for {time_taken(round(seconds))}" if seconds >= QUIET_SECONDS else ""

    @property
    def progress(self) -> str:
        """Progress and estimated time left, by the output, else by the last build."""
        if self.done is None or self._first is None:
            left = self.expected - (time.monotonic() - self.started)
            return f"about {time_taken(round(left))} left" if left >= 1 else ""
        since, before = self._first
        seconds, done = time.monotonic() - since, self.done - before
        if done <= 0 or seconds < 1:
            return f"{self.done:.0%}"
        return f"{self.done:.0%}, {time_taken(round(seconds / done * (1 - self.done)))} left"


def _share_done(line: str) -> float | None:
    """Return the share of a build that a line of its output reports as done, if any."""
    if match := _OF_TOTAL.match(line):
        done = int(match[1]) / max(int(match[2]), 1)
    elif match := _PERCENT.match(line):
        done = int(match[1]) / 100
    else:
        return None
    return done if done <= 1 else None


class Board:
    """Live table of the running stages, one line each."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._lock = threading.Lock()
        self._rows: list[Row] = []
        self._live: Live | None = None
        self.total = 0
        self.done = 0

    def add(self, row: Row) -> None:
        """Add a line."""
        with self._lock:
            self._rows.append(row)
            if self._live is None:
                self._live = Live(self, console=self._console, refresh_per_second=4, transient=True)
                self._live.start()

    def remove(self, row: Row) -> None:
        """Remove a line; the last one ends the board."""
        with self._lock:
            self._rows.remove(row)
            if not self._rows and self._live is not None:
                self._live.stop()
                self._live = None

    def __rich__(self) -> Table:
        """Render the board."""
        grid = Table.grid(padding=(0, 1), expand=True)
        for width in (None, 13, 22):
            grid.add_column(no_wrap=True, width=width)
        grid.add_column(no_wrap=True, overflow="ellipsis", ratio=1)
        for row in list(self._rows):
            last = f"({row.silence}) {shorten(row.last)}" if row.silence else shorten(row.last)
            grid.add_row(*(Text(printable(cell)) for cell in (row.title, row.elapsed, row.progress, last)))
        if self.total > 1:
            grid.add_row(Text(f"{self.done} of {self.total} done"))
        return grid


class Reporter:
    """Progress of a run; stages of several packages may be open at once, in several threads."""

    def __init__(self, console: Console | None = None) -> None:
        self.console = console or Console(stderr=True, highlight=False)
        self._board = Board(self.console)
        self._interleaved = False

    @contextmanager
    def overall(self, total: int, *, at_once: int) -> Iterator[None]:
        """Announce `total` packages, `at_once` of them at the same time, while the body runs."""
        self._board.total, self._board.done = total, 0
        self._interleaved = at_once > 1
        try:
            yield
        finally:
            self._board.total, self._interleaved = 0, False

    def one_done(self) -> None:
        """Count one of those packages as done."""
        self._board.done += 1

    @contextmanager
    def stage(
        self, label: str, stage: str, log: Path, *, expected: float = 0.0, brief: bool = False
    ) -> Iterator[LogSink]:
        """Report one stage of one package; yields the log that it writes to.

        `expected` is its probable duration in seconds, 0 if unknown. A `brief` stage is reported only if it takes long.
        """
        row = Row(f"{label}: {stage}", expected=expected)
        with self._shown(row, log, brief=brief) as listener:
            yield LogFile(log, listener)
        if not brief or time.monotonic() - row.started >= BRIEF_SECONDS:
            self.line(f"{row.title}: done in {row.elapsed}")

    @contextmanager
    def _shown(self, row: Row, log: Path, *, brief: bool) -> Iterator[Callable[[str], None]]:
        if os.environ.get("GITHUB_ACTIONS") == "true" and not brief:
            with self._folded(row, log) as listener:
                yield listener
        elif self.console.is_terminal:
            self._board.add(row)
            try:
                yield row.record_line
            finally:
                self._board.remove(row)
        else:
            if not brief:
                self.line(f"{row.title}: started")
            with self._progress_lines(row) as listener:
                yield listener

    @contextmanager
    def _folded(self, row: Row, log: Path) -> Iterator[Callable[[str], None]]:
        """Fold the stage's lines: live, or at its end if lines of other stages could mix in."""
        if not self._interleaved:
            self._print(f"::group::{row.title}")
            try:
                with self._silence_lines(row) as listener:
                    yield listener
            finally:
                self._print("::endgroup::")
            return
        before = log.stat().st_size if log.is_file() else 0
        self.line(f"{row.title}: started")
        try:
            with self._progress_lines(row) as listener:
                yield listener
        finally:
            with log.open(encoding="utf-8", errors="replace") as file:
                file.seek(before)
                self._print(f"::group::{row.title}")
                self.line(file.read().rstrip())
                self._print("::endgroup::")

    @contextmanager
    def _progress_lines(self, row: Row) -> Iterator[Callable[[str], None]]:
        """Print a progress line now and then, also without output: CI systems end silent builds."""
        with repeated(QUIET_SECONDS, lambda: self.line(_progress_line(row))):
            yield row.record_line

    @contextmanager
    def _silence_lines(self, row: Row) -> Iterator[Callable[[str], None]]:
        """Print each line of the output, and now and then that there is none."""

        def listener(line: str) -> None:
            row.record_line(line)
            self.line(line)

        def tell() -> None:
            if row.silence:
                self.line(_progress_line(row))

        with repeated(QUIET_SECONDS, tell):
            yield listener

    def line(self, text: str) -> None:
        """Print one line, or several."""
        self._print(printable(text))

    def _print(self, text: str) -> None:
        self.console.print(text, markup=False, soft_wrap=True)


def _progress_line(row: Row) -> str:
    return " | ".join(filter(None, (f"{row.title}: {row.elapsed}", row.progress, row.silence, shorten(row.last))))


def print_table(headings: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """Print a table to standard output."""
    shown = [[printable(cell) for cell in row] for row in rows]
    if not sys.stdout.isatty():
        print("\n".join(table_lines([list(headings), *shown])))
        return
    table = Table(*headings, box=None, pad_edge=False)
    for row in shown:
        table.add_row(*map(escape, row))
    Console(highlight=False).print(table)


def print_paths(paths: Iterable[Path]) -> None:
    """Print paths to standard output, in whole; on a terminal as links."""
    console = Console(highlight=False)
    for path in paths:
        if sys.stdout.isatty():
            console.print(Text(printable(str(path)), style=f"link {path.as_uri()}"), soft_wrap=True)
        else:
            print(printable(str(path)))


def table_lines(rows: Sequence[Sequence[str]]) -> list[str]:
    """Return a table's lines for programs and files: none is wrapped.

    rich takes a second for a thousand of them.
    """
    widths = [max(map(cell_len, column)) for column in zip(*rows, strict=True)]
    return ["  ".join(set_cell_size(cell, width) for cell, width in zip(row, widths, strict=True)) for row in rows]
