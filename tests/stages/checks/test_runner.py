"""Runs of checks that end by signals and hang, with real processes in place of a root."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from factory.errors import CheckFailed
from factory.model.protocols import Command
from factory.model.recipe import CheckOptions, Recipe
from factory.model.record import CheckResult
from factory.stages.checks import runner
from factory.stages.sources.local import LocalSource
from factory.util import hang_limits
from factory.util.log import LogSink
from factory.util.process import run
from factory.util.resource_usage import metered
from tests.support.logs import MemoryLog


@dataclass(frozen=True, kw_only=True)
class HostSandbox:
    """The machine itself as a root: a command's /build and /inputs are folders of the machine."""

    work: Path
    inputs: Path

    def run(self, command: Command, *, log: LogSink) -> None:
        argv = [sys.executable, *map(self._outside, command.argv[1:])]
        env = {name: self._outside(value) for name, value in command.env.items()}
        # As bubblewrap, a shell reports signals as 128 + their number.
        script = 'ulimit -c 0; "$@"; exit $?'
        run(["sh", "-c", script, "root", *argv], log=log, env={"PATH": os.environ["PATH"], **env}, what="python")

    def _outside(self, text: str) -> str:
        return text.replace("/build", str(self.work)).replace("/inputs", str(self.inputs))


Check = Callable[..., CheckResult]


@pytest.fixture
def check(tmp_path: Path, log: MemoryLog) -> Check:
    """Run a script as the check of one profile."""

    def run_script(script: str, **options: str) -> CheckResult:
        (tmp_path / "smoke.py").write_text(script)
        sandbox = HostSandbox(work=tmp_path / "work", inputs=tmp_path / "inputs")
        sandbox.work.mkdir()
        sandbox.inputs.mkdir()
        recipe = Recipe(
            name="demo",
            version="1.0",
            directory=tmp_path,
            source=LocalSource(project="demo", version="1.0", path=tmp_path),
            check=replace(CheckOptions(script=tmp_path / "smoke.py"), **options),  # type: ignore[arg-type]
        )
        with metered():
            return runner.run_profiles(sandbox, recipe, "3.13", None, ["rv64gc"], log)[0]

    return run_script


KILL = "import os, signal\ndef crash():\n    os.kill(os.getpid(), signal.{})\ncrash()\n"


@pytest.mark.parametrize("name", ["SIGSEGV", "SIGABRT", "SIGBUS", "SIGFPE", "SIGILL"])
def test_signal_is_named_with_python_frame(check: Check, tmp_path: Path, name: str) -> None:
    result = check(KILL.format(name))
    assert not result.passed
    assert f"ended by {name}, " in result.shown
    assert f"in crash, {tmp_path}/inputs/smoke.py:3" in result.shown


def test_script_imports_modules_beside_it(check: Check, tmp_path: Path) -> None:
    (tmp_path / "checks").mkdir()
    (tmp_path / "checks/sums.py").write_text("TOTAL = 3")
    script = "import json, os\nfrom checks.sums import TOTAL\n"
    script += "answer = {'shown': f'total {TOTAL}', 'facts': {}, 'tokens': [], 'logits': []}\n"
    result = check(f"{script}json.dump(answer, open(os.environ['FACTORY_RESULT'], 'w'))\n")
    assert (result.passed, result.shown) == (True, "total 3")


def test_crash_in_native_code_names_the_frame(check: Check) -> None:
    result = check("import ctypes\ndef read():\n    ctypes.string_at(0)\nread()\n")
    assert result.shown.startswith("ended by SIGSEGV, a segmentation fault")
    assert "string_at" in result.shown


@pytest.mark.parametrize(
    ("printed", "expected"),
    [
        ("terminate called after throwing an instance of 'std::bad_cast'\n", "; terminate called after throwing an"),
        ("started\n\nLLVM ERROR: 'zvl*b' requires 'v'\n", "; after: LLVM ERROR: 'zvl*b' requires 'v'; in "),
        ("", "gave up; in "),
    ],
)
def test_abort_shows_the_last_words(check: Check, printed: str, expected: str) -> None:
    """Known words of libraries, or any program's last line above that of Python's fault handler."""
    words = f"import os\nos.write(2, {printed.encode()!r})\nos.abort()\n"
    assert expected in check(words).shown


def test_crash_of_one_of_many_threads_is_found(check: Check) -> None:
    script = (
        "import ctypes, threading, time\n"
        "for _ in range(30): threading.Thread(target=time.sleep, args=(60,), daemon=True).start()\n"
        "def crash():\n    ctypes.string_at(0)\n"
        "thread = threading.Thread(target=crash)\nthread.start()\nthread.join()\n"
    )
    result = check(script)
    assert "ended by SIGSEGV" in result.shown
    assert "string_at" in result.shown


def test_exit_status_is_shown_with_the_last_line(check: Check) -> None:
    assert check("print('twice')\nraise SystemExit(3)").shown == "python failed with exit status 3; last line: twice"


def test_killed_check_is_the_machines_fault(check: Check) -> None:
    with pytest.raises(CheckFailed, match=r"the check on rv64gc was not finished: .* SIGKILL") as caught:
        check(KILL.format("SIGKILL"))
    assert caught.value.machines_fault
    assert "out of memory" in str(caught.value.hint)


def test_hanging_check_ends_at_its_limit(check: Check, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(hang_limits, "POLL_SECONDS", 0.1)
    result = check("print('loading', flush=True)\nwhile True: pass", time_limit="1s")
    assert result.shown == "the check hangs: not finished after 1 s; it printed last: loading"
    assert not result.passed


def test_idle_check_ends_before_its_limit(check: Check, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(hang_limits, "POLL_SECONDS", 0.1)
    monkeypatch.setattr(runner, "IDLE_SECONDS", 2.0)
    shown = check("print('loading', flush=True)\nimport time\ntime.sleep(100)").shown
    assert "nothing printed and no processor time used for" in shown
    assert shown.endswith("it printed last: loading")
