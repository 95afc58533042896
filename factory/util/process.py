"""Subprocesses, started here only.

They are logged with output and time, and errors carry the end of the output.
"""

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
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from pathlib import Path

from factory.errors import CommandFailed, PrerequisiteMissing
from factory.util import cancellation
from factory.util.log import LogSink
from factory.util.process_tree import end_workers
from factory.util.redaction import redact
from factory.util.resource_usage import watched

# The context of a running command, by its number.
Guard = Callable[[int], AbstractContextManager[None]]

TAIL_LINES, ERROR_LINES = 25, 6
# Lines before a traceback: the last ones of a program that a Python script called, such as `configure`. They count for
# tracebacks of at most this many lines.
BEFORE_TRACEBACK, TRACEBACK_LINES = 4, 150
_TRACEBACK = "Traceback (most recent call last):"
# Python writes this between the tracebacks of one failure.
_CHAINED = ("The above exception was the direct cause", "During handling of the above exception")
# Exit statuses of commands that were ended by SIGKILL, directly and in a shell or a sandbox.
KILLED = (-signal.SIGKILL, 128 + signal.SIGKILL)
# In lines of ours; failure_hints knows it.
OUT_OF_MEMORY = "out of memory"
# Error messages of compilers, linkers, ninja and Python. Commands that run in parallel with the failed one may print
# much more after it.
_ERROR = re.compile(
    r"(?:^|[\s:])(?:fatal )?(?:internal compiler )?error(?:\[\w+\])?: |^FAILED: |undefined reference to"
    r"|^fatal: |^(?:CMake Error|ERROR\b)|^(?:\w+\.)*[A-Z]\w*(?:Error|Exception)(?:: |$)"
)


class Tail:
    """The most useful part of a failed command's output.

    It consists of the last lines, errors before them, and what was printed before the last traceback.
    """

    def __init__(self) -> None:
        self._errors: deque[str] = deque(maxlen=ERROR_LINES)
        self._last: deque[str] = deque(maxlen=TAIL_LINES)
        self._count = 0
        # Lines before the last traceback, and the number of lines before it.
        self._before: list[str] = []
        self._traceback = -TRACEBACK_LINES

    def append(self, line: str) -> None:
        """Add a line, without its newline and known secrets."""
        line = redact(line)
        if line == _TRACEBACK:
            printed = [each for each in self._last if each.strip()]
            if not printed or not printed[-1].startswith(_CHAINED):
                self._before, self._traceback = printed[-BEFORE_TRACEBACK:], self._count
        if len(self._last) == TAIL_LINES and _ERROR.search(self._last[0]):
            self._errors.append(self._last[0])
        self._last.append(line)
        self._count += 1

    def __str__(self) -> str:
        hidden = self._hidden()
        errors = [line for line in self._errors if line not in hidden]
        before = [*hidden, *errors, "..."] if hidden or errors else []
        return "\n".join([*before, *self._last])

    def _hidden(self) -> list[str]:
        """Return the lines before the last traceback that are not among the last lines."""
        after = self._count - self._traceback
        return [line for line in self._before if line not in self._last] if after <= TRACEBACK_LINES else []


def unguarded(process: int) -> AbstractContextManager[None]:
    """Return the context of a command that nothing watches."""
    return contextlib.nullcontext()


def run(
    argv: Sequence[str],
    *,
    log: LogSink | None = None,
    env: Mapping[str, str] | None = None,
    cwd: Path | None = None,
    what: str | None = None,
    show_command: bool = True,
    inherited: Sequence[int] = (),
    guard: Guard = unguarded,
    output_limit: int | None = None,
) -> str:
    """Run a command and return its output (standard output and standard error together).

    `env` replaces the whole environment. `what` names the command in errors, if its first word is not clear enough. The
    log has the command line unless `show_command` is false. The command keeps the open files `inherited`, and runs
    in the context that `guard` makes of its number. One that prints more characters than `output_limit` is ended and
    has failed. A cancelled command (see `factory.util.cancellation`) raises the
    reason.

    Raises:
        CommandFailed: with the exit status and the last lines, when it ended with another status than 0.
        PrerequisiteMissing: when the program is not installed.
    """
    if shutil.which(argv[0], path=None if env is None else env.get("PATH")) is None:
        raise PrerequisiteMissing(f"{argv[0]}: program is not installed", hint="run: factory doctor")
    stop = cancellation.current()
    stop.check()
    started, killed_before = time.monotonic(), kernel_kills()
    tail, printed = Tail(), 0
    collected: list[str] = []
    if log is not None and show_command:
        log.write(f"$ {shlex.join(argv)}\n")
    with _start(argv, env, cwd, inherited) as child, stop.ended_by(lambda: _end_cleanly(child)):
        assert child.stdout is not None
        try:
            with watched(child), guard(child.pid):
                for line in child.stdout:
                    printed += len(line)
                    if output_limit is not None and printed > output_limit:
                        raise CommandFailed(f"{what or argv[0]} printed more than {output_limit} characters")
                    tail.append(line.rstrip())
                    if log is None:
                        collected.append(line)
                    else:
                        log.write(line)
            status = child.wait()
        except BaseException:
            _end(child)
            raise
    if status != 0 and kernel_kills() > killed_before:
        note(f"# {OUT_OF_MEMORY}: the kernel ended a program while {what or argv[0]} ran", tail, log)
    conclude(what or argv[0], status, time.monotonic() - started, tail, log)
    return "".join(collected)


def conclude(what: str, status: int, seconds: float, tail: Tail, log: LogSink | None) -> None:
    """Log a command's exit status and raise if it failed.

    This is also for commands that a container engine ran.

    Raises:
        CommandFailed: with the exit status and the last lines, when it ended with another status than 0.
        BaseException: the reason, when it was cancelled.
    """
    if log is not None:
        log.write(f"# exit {status} after {seconds:.1f} s\n")
    if status != 0:
        cancellation.current().check()
        if status in KILLED and OUT_OF_MEMORY not in str(tail):
            note(f"# {what} was killed, as the kernel does when a machine is {OUT_OF_MEMORY}", tail, log)
        raise CommandFailed(f"{what} {_describe(status)}", status=status, output=str(tail))


def note(line: str, tail: Tail, log: LogSink | None) -> None:
    """Add a line of our own to a command's output and log."""
    tail.append(line)
    if log is not None:
        log.write(f"{line}\n")


def kernel_kills() -> int:
    """Return the number of processes that the kernel ended for lack of memory, 0 if unknown."""
    with contextlib.suppress(OSError):
        match = re.search(r"^oom_kill (\d+)$", Path("/proc/vmstat").read_text(), re.MULTILINE)
        return int(match[1]) if match else 0
    return 0


def tied(argv: Sequence[str]) -> list[str]:
    """Return the command tied to this process: it ends with it, even by kill -9.

    setpriv asks the kernel for that signal; a parent that died before is detected by $PPID.
    """
    alive = '[ "$PPID" = "$0" ] || exit 137; exec "$@"'
    return ["setpriv", "--pdeathsig", "KILL", "sh", "-c", alive, str(os.getpid()), *argv]


def with_own_programs(environment: Mapping[str, str]) -> dict[str, str]:
    """Return the environment with this Python's own programs first in PATH."""
    return {**environment, "PATH": f"{Path(sys.executable).parent}:{environment.get('PATH', os.defpath)}"}


def attach(argv: Sequence[str], *, env: Mapping[str, str] | None = None, inherited: Sequence[int] = ()) -> int:
    """Run a command with this process's input and output; returns its exit status."""
    return subprocess.call(list(argv), env=env, pass_fds=inherited)


def _start(
    argv: Sequence[str], env: Mapping[str, str] | None, cwd: Path | None, inherited: Sequence[int]
) -> subprocess.Popen[str]:
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
            pass_fds=inherited,
        )
    except FileNotFoundError as error:
        if error.filename == str(cwd):
            raise
        raise PrerequisiteMissing("setpriv: program is not installed", hint="apt-get install util-linux") from error


def _end(child: subprocess.Popen[str]) -> None:
    """Kill the command and everything it started."""
    with contextlib.suppress(ProcessLookupError):
        os.killpg(child.pid, signal.SIGKILL)
    child.wait()


def _end_cleanly(child: subprocess.Popen[str]) -> None:
    """End a cancelled command.

    Its child processes may clean up first, and remaining ones are killed.

    Some may remain after the command itself has ended: a sandbox that was being set up waits for it forever.
    """
    end_workers(child.pid)
    if child.returncode is None:  # not reaped yet: the process group's number is still its own
        _end(child)


def signal_of(status: int) -> signal.Signals | None:
    """Return the signal that ended a command; shells report it as 128 + its number."""
    number = -status if status < 0 else status - 128
    return signal.Signals(number) if number in set(signal.Signals) else None


def _describe(status: int) -> str:
    if status < 0 or status in KILLED:
        return f"was ended by {signal.Signals(-status if status < 0 else status - 128).name}"
    return f"failed with exit status {status}"
