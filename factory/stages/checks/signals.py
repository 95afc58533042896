"""Explanations of checks that a signal ended."""

from __future__ import annotations

import re
import signal

from factory.errors import CommandFailed
from factory.util.hang_limits import CommandHangs
from factory.util.process import signal_of

MEANINGS = {
    signal.SIGSEGV: "a segmentation fault: access to memory that it doesn't have",
    signal.SIGABRT: "abort(): an assertion failed, or the C++ run-time gave up",
    signal.SIGBUS: "a bus error: misaligned access, or a mapped file that became shorter",
    signal.SIGFPE: "an arithmetic fault in native code",
    signal.SIGILL: "an illegal instruction",
    signal.SIGTRAP: "a trap: __builtin_trap() or a breakpoint",
    signal.SIGSYS: "a system call that the sandbox forbids",
}
# Of a line that a program printed.
MAX_LINE = 300
# The line of a log that names the command.
_COMMAND = re.compile(r"(?:\[[^]]*\] )?\$ ")
_FAULT_HANDLER = re.compile(r"^Fatal Python error: ", re.MULTILINE)
# Python's fault handler: the thread that failed, its innermost frame first.
_FRAME = re.compile(
    r"^Current thread .*\(most recent call first\):\n  File \"(.+)\", line (\d+) in (.+)$", re.MULTILINE
)
# The C library's and C++ run-time's last words before abort().
_LAST_WORDS = re.compile(
    r"^(?:.*: Assertion `.*' failed\.|terminate called .*|\s+what\(\): .*|free\(\): .*|malloc\(\): .*|double free .*"
    r"|corrupted .*|munmap_chunk\(\): .*|\*\*\* .* \*\*\*.*|thread '.*' panicked at .*)$",
    re.MULTILINE,
)


def was_killed(error: CommandFailed) -> bool:
    """Report whether something outside ended the check, as the kernel does without memory."""
    return signal_of(error.status) == signal.SIGKILL


def explain(error: CommandFailed, printed: str) -> str:
    """Return the cause of a failed check, from its status and all that it printed."""
    ended_by = signal_of(error.status)
    if isinstance(error, CommandHangs) or ended_by is None or ended_by not in MEANINGS:
        return _with_last_line(error)
    words = _last_words(printed) if ended_by == signal.SIGABRT else []
    parts = [f"ended by {ended_by.name}, {MEANINGS[ended_by]}", *words, frame_of(printed)]
    return "; ".join(part for part in parts if part)


def _last_words(printed: str) -> list[str]:
    """Return what a program said before abort()."""
    known = [match[0].strip() for match in _LAST_WORDS.finditer(printed)][-2:]
    above = _FAULT_HANDLER.split(printed, maxsplit=1)[0].strip().splitlines()
    return known or [f"after: {line.strip()[:MAX_LINE]}" for line in above[-1:] if not _COMMAND.match(line)]


def frame_of(printed: str) -> str:
    """Return the Python frame that the fault handler named, empty if it named none."""
    found = list(_FRAME.finditer(printed))
    return f"in {found[-1][3]}, {found[-1][1]}:{found[-1][2]}" if found else ""


def _with_last_line(error: CommandFailed) -> str:
    if isinstance(error, CommandHangs):
        return error.message
    last = error.output.strip().splitlines()[-1:] or ["it printed nothing"]
    return f"{error.message}; last line: {last[0]}"
