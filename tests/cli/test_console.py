"""Tests of reports on a terminal, in a log and on GitHub Actions."""

from __future__ import annotations

import codecs
import io
import os
import pty
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from rich.console import Console

from factory.cli import console as module
from factory.cli.console import Reporter, Row, print_paths, print_table
from factory.util.durations import time_taken
from tests.support.waiting import wait_until


def reported(tmp_path: Path, *, terminal: bool = False, brief: bool = False) -> str:
    """Return the output of one stage that logs one line."""
    console = Console(file=io.StringIO(), force_terminal=terminal, width=80, highlight=False)
    with Reporter(console).stage("numpy 2.5.5", "build", tmp_path / "build.log", brief=brief) as log:
        log.write("[1/2] compiling [bold]x.c[/bold]\n")
    assert (tmp_path / "build.log").read_text() == "[1/2] compiling [bold]x.c[/bold]\n"
    return console.file.getvalue()  # type: ignore[attr-defined, no-any-return]


def test_a_log_gets_a_line_at_the_start_and_one_at_the_end(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("GITHUB_ACTIONS", raising=False)
    started, done = reported(tmp_path).splitlines()
    assert started == "numpy 2.5.5: build: started"
    assert done.startswith("numpy 2.5.5: build: done in 0.")


@pytest.mark.parametrize("actions", ["true", ""])
def test_brief_stage_is_reported_only_if_it_takes_long(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, actions: str
) -> None:
    """A look at fifty recipes reads their metadata first: a hundred lines before the answer."""
    monkeypatch.setenv("GITHUB_ACTIONS", actions)
    assert reported(tmp_path, brief=True) == ""
    (tmp_path / "build.log").unlink()
    monkeypatch.setattr(module, "BRIEF_SECONDS", 0.0)
    assert reported(tmp_path, brief=True).startswith("numpy 2.5.5: build: done in 0.")


def test_github_actions_gets_the_whole_log_in_a_fold(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GITHUB_ACTIONS", "true")
    lines = reported(tmp_path).splitlines()
    assert lines[:3] == ["::group::numpy 2.5.5: build", "[1/2] compiling [bold]x.c[/bold]", "::endgroup::"]


def test_a_terminal_shows_the_last_line_while_it_works(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("GITHUB_ACTIONS", raising=False)
    shown = reported(tmp_path, terminal=True)
    assert "numpy 2.5.5: build: started" not in shown
    assert "numpy 2.5.5: build: done in" in shown


def test_ci_folds_of_parallel_builds_are_printed_whole(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GITHUB_ACTIONS", "true")
    console = Console(file=io.StringIO(), width=80, highlight=False)
    reporter = Reporter(console)
    with (
        reporter.overall(2, at_once=2),
        reporter.stage("one", "build", tmp_path / "1.log") as one,
        reporter.stage("two", "build", tmp_path / "2.log") as two,
    ):
        for number in range(2):
            one.write(f"of one {number}\n")
            two.write(f"of two {number}\n")
    lines = console.file.getvalue().splitlines()  # type: ignore[attr-defined]
    assert [line for line in lines if "done" not in line] == [
        *("one: build: started", "two: build: started"),
        *("::group::two: build", "of two 0", "of two 1", "::endgroup::"),
        *("::group::one: build", "of one 0", "of one 1", "::endgroup::"),
    ]


def logged(tmp_path: Path, lines: list[str]) -> list[str]:
    """Return the output of a stage that logs these lines and then falls silent."""
    console = Console(file=io.StringIO(), width=120, highlight=False)
    with Reporter(console).stage("numpy 2.5.5", "build", tmp_path / "build.log") as log:
        for line in lines:
            log.write(line)
        wait_until(lambda: "nothing printed for" in console.file.getvalue())  # type: ignore[attr-defined]
    return console.file.getvalue().splitlines()  # type: ignore[attr-defined, no-any-return]


def test_log_gets_progress_lines_while_nothing_is_printed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("GITHUB_ACTIONS", raising=False)
    monkeypatch.setattr("factory.cli.console.QUIET_SECONDS", 0.2)
    lines = logged(tmp_path, ["[1/4] a.c\n", "[2/4] b.c\n"])
    assert lines[0] == "numpy 2.5.5: build: started"
    told = next(line for line in lines if "nothing printed for" in line)
    assert told.startswith("numpy 2.5.5: build: ")
    assert " | 50% | nothing printed for " in told
    assert told.endswith(" | [2/4] b.c")


def test_ci_fold_tells_that_nothing_is_printed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GITHUB_ACTIONS", "true")
    monkeypatch.setattr("factory.cli.console.QUIET_SECONDS", 0.2)
    lines = logged(tmp_path, ["compiling\n"])
    assert lines[:2] == ["::group::numpy 2.5.5: build", "compiling"]
    assert [line for line in lines if "nothing printed for" in line]


def test_board_tells_that_nothing_is_printed(clock: list[float]) -> None:
    row = Row("numpy: build")
    row.record_line("linking")
    clock[0] = 59.0
    assert row.silence == ""
    clock[0] = 300.0
    assert row.silence == "nothing printed for 5 min 0 s"


@pytest.mark.parametrize(("line", "done"), [("[412/824] CXX x.o", 0.5), ("[ 25%] Building", 0.25), ("cc -c x.c", None)])
def test_how_much_is_done_is_read_from_ninja_and_make(line: str, done: float | None) -> None:
    row = Row("numpy: build")
    row.record_line(line)
    assert row.done == done


@pytest.mark.parametrize(
    "line", ["[12/3] a", f"[1/{'9' * 400}] a", f"[{'9' * 5000}/1] a", f"[{'9' * 5000}%] a", "[450%] a", "[\u0661/2] a"]
)
def test_progress_of_impossible_numbers_is_ignored(line: str) -> None:
    """A build can print anything; Python refuses to read 5,000 digits."""
    row = Row("numpy: build")
    row.record_line(line)
    assert (row.done, row.progress) == (None, "")


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """Replace the clock by one number, in seconds."""
    now = [0.0]
    monkeypatch.setattr("factory.cli.console.time.monotonic", lambda: now[0])
    return now


def test_remaining_time_counts_from_first_progress_line(clock: list[float]) -> None:
    row = Row("numpy: build")
    row.record_line("[20/100] a.o")
    clock[0] = 60.0
    row.record_line("[60/100] b.o")
    assert row.progress == "60%, 1 min 0 s left"


def test_row_without_progress_goes_by_the_last_build(clock: list[float]) -> None:
    row = Row("numpy 2.5.5: check", expected=90.0, started=0.0)
    clock[0] = 30.0
    assert row.progress == "about 1 min 0 s left"
    clock[0] = 100.0
    assert row.progress == ""
    row.record_line("[1/4] a.c")
    assert row.progress == "25%"


def test_an_estimate_begins_anew_with_a_builds_next_run_of_ninja(clock: list[float]) -> None:
    row = Row("torch: build")
    row.record_line("[1/4] Generating sources")
    clock[0] = 60.0
    row.record_line("[0/100] c.o")
    clock[0] = 120.0
    row.record_line("[51/100] d.o")
    row.record_line("[50/100] e.o")
    assert row.progress == "50%, 1 min 0 s left"


TWO_STAGES = """
import threading
from pathlib import Path
from factory.cli.console import Reporter

reporter, seen = Reporter(), threading.Event()
def package(name, tool):
    with reporter.stage(name, "build", Path(name + ".log")) as log:
        for number in range(1, 7):
            log.write(f"[{number}/8] {tool} [bold]{name}[/bold]\\n")
            if number == 3:
                seen.wait()
    reporter.one_done()

with reporter.overall(2, at_once=2):
    threads = [threading.Thread(target=package, args=args) for args in (("numpy", "meson"), ("llama", "cmake"))]
    for thread in threads: thread.start()
    input()
    seen.set()
    for thread in threads: thread.join()
"""
BOARD = re.compile(
    r"(numpy|llama): build +\d\.\d s +\d\d% +\[3/8\] \w+ \[bold\]\1\[/bold\] *\n"
    r"(?!\1)(numpy|llama): build +\d\.\d s +\d\d% +\[3/8\] \w+ \[bold\]\2\[/bold\] *\n0 of 2 done"
)


def test_a_real_terminal_shows_a_board_of_what_is_built_at_once(tmp_path: Path) -> None:
    environment = {**os.environ, "TERM": "xterm", "COLUMNS": "100", "PYTHONPATH": str(Path(__file__).parents[2])}
    environment.pop("GITHUB_ACTIONS", None)
    ours, theirs = pty.openpty()
    command = [sys.executable, "-c", TWO_STAGES]
    with subprocess.Popen(command, cwd=tmp_path, env=environment, stdin=theirs, stdout=theirs, stderr=theirs):
        os.close(theirs)
        text = ""
        for piece in pieces_of(ours):
            before, text = text, plain(text + piece)
            if BOARD.search(text) and not BOARD.search(before):
                os.write(ours, b"\n")
    assert BOARD.search(text), text
    assert re.search(r"numpy: build: done in \d", text)
    assert re.search(r"llama: build: done in \d", text)
    for name, tool in (("numpy", "meson"), ("llama", "cmake")):
        lines = (tmp_path / f"{name}.log").read_text().splitlines()
        assert lines == [f"[{number}/8] {tool} [bold]{name}[/bold]" for number in range(1, 7)]


def plain(text: str) -> str:
    """Remove control sequences; half of one at the end stays for the next time."""
    return re.sub(r"\x1b\[[0-9;?]*[a-zA-Z]|\r", "", text)


def pieces_of(terminal: int) -> Iterator[str]:
    """Yield the text on a terminal until its other side is closed."""
    decoder = codecs.getincrementaldecoder("utf-8")()
    while True:
        try:
            piece = os.read(terminal, 4096)
        except OSError:  # Linux reports the closed other side so
            break
        if not piece:
            break
        yield decoder.decode(piece)
    os.close(terminal)


@pytest.mark.parametrize(
    ("seconds", "shown"), [(0.04, "0.0 s"), (59.4, "59.4 s"), (119.7, "2 min 0 s"), (524.7, "8 min 45 s")]
)
def test_times_have_no_sixty_seconds(seconds: float, shown: str) -> None:
    assert time_taken(seconds) == shown


def test_a_table_in_a_file_is_not_broken_into_lines(capsys: pytest.CaptureFixture[str]) -> None:
    print_table(("wheel", "sha256"), [("w" * 90 + ".whl", "s" * 64)])
    assert f"{'w' * 90}.whl  {'s' * 64}" in capsys.readouterr().out


def test_paths_are_printed_in_whole(capsys: pytest.CaptureFixture[str]) -> None:
    path = Path("/cache", "x" * 300, "demo.whl")
    print_paths([path])
    assert capsys.readouterr().out == f"{path}\n"
