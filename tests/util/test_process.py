"""The doorway to subprocesses: what it logs, how it fails, and that nothing outlives the factory."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from factory.errors import CommandFailed, PrerequisiteMissing
from factory.util.log import LogFile
from factory.util.process import run
from tests.support.waiting import wait_until


def test_run_without_log_returns_output() -> None:
    assert run(["sh", "-c", "echo out; echo err >&2"]) == "out\nerr\n"


def test_run_logs_command_output_and_status(tmp_path: Path) -> None:
    lines: list[str] = []
    log = LogFile(tmp_path / "logs/x.log", lines.append)
    run(["echo", "two words"], log=log)
    written = log.path.read_text().splitlines()
    assert written[:2] == ["$ echo 'two words'", "two words"]
    assert written[2].startswith("# exit 0 after ")
    assert lines == written


def test_run_failure_has_output_tail_and_status() -> None:
    with pytest.raises(CommandFailed, match=r"^sh failed with exit status 3$") as caught:
        run(["sh", "-c", "seq 100; exit 3"])
    assert caught.value.output.splitlines() == [str(number) for number in range(76, 101)]


def test_run_failure_keeps_errors_before_much_output() -> None:
    errors = [
        "FAILED: x.o",
        "x.h:12:41: error: static assertion failed: wrong version",
        "x.cpp:(.text+0x1c): undefined reference to `f'",
        "error[E0433]: failed to resolve: use of undeclared crate",
        "ModuleNotFoundError: No module named 'yaml'",
        "CMake Error at CMakeLists.txt:7 (find_package):",
    ]
    lines = ["checking for errors: none", "  warning: unused", *errors]
    with pytest.raises(CommandFailed) as caught:
        run(["sh", "-c", 'printf "%s\\n" "$@"; seq 30; exit 1', "sh", *lines])
    assert caught.value.output.splitlines() == [*errors, "...", *map(str, range(6, 31))]


def test_run_failure_keeps_lines_before_a_long_traceback() -> None:
    """Some configure scripts say why they end in lines that look like no error."""
    said = ["checking for libfoo... no", "Sorry, libfoo 3 is needed"]
    frames = [text for number in range(40) for text in (f'  File "x.py", line {number}', "    f()")]
    chained = ["", "The above exception was the direct cause of the following exception:", ""]
    traceback = "Traceback (most recent call last):"
    lines = ["before", *said, traceback, *frames, "CalledProcessError: x", *chained, traceback, *frames[:20], "Oops: 1"]
    with pytest.raises(CommandFailed) as caught:
        run(["sh", "-c", 'seq 30; printf "%s\\n" "$@"; exit 1', "sh", *lines])
    output = caught.value.output.splitlines()
    assert output[:4] == ["30", "before", *said]
    assert output[-1] == "Oops: 1"


def test_run_failure_drops_lines_before_an_old_traceback() -> None:
    lines = ["handled", "Traceback (most recent call last):", "  f()", "Oops: 1"]
    with pytest.raises(CommandFailed) as caught:
        run(["sh", "-c", 'printf "%s\\n" "$@"; seq 200; exit 1', "sh", *lines])
    assert caught.value.output.splitlines()[0] == "176"


def test_run_killed_command_names_signal() -> None:
    with pytest.raises(CommandFailed, match="a child was ended by SIGSEGV"):
        run(["sh", "-c", "kill -SEGV $$"], what="a child")


def test_run_missing_program_raises_prerequisite_missing() -> None:
    with pytest.raises(PrerequisiteMissing, match="no-such-program: program is not installed") as caught:
        run(["no-such-program"])
    assert caught.value.hint == "run: factory doctor"


def test_run_binary_output_is_replaced() -> None:
    assert run(["printf", "a\\377b\\n"]) == "a\ufffdb\n"


def test_run_command_ends_with_killed_factory(tmp_path: Path) -> None:
    marker = tmp_path / "pid"
    script = f"from factory.util.process import run; run(['sh', '-c', 'echo $$ > {marker}; exec sleep 1000'])"
    parent = subprocess.Popen([sys.executable, "-c", script])
    wait_until(lambda: marker.is_file() and marker.read_text().strip(), process=parent)
    child = int(marker.read_text())
    parent.kill()
    parent.wait()
    wait_until(lambda: not is_running(child))


def is_running(pid: int) -> bool:
    try:
        os.kill(pid, signal.SIG_DFL)
    except ProcessLookupError:
        return False
    state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    return state not in ("Z", "X")
