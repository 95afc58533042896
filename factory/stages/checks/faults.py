"""Illegal instructions of checks: where they are, told by a second run of the script."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

from factory.errors import CommandFailed
from factory.model.protocols import INPUTS, Command, Sandbox
from factory.util.atomic_files import copy_atomically
from factory.util.hang_limits import HangLimits, hang_limits
from factory.util.log import LogSink, Recording

PROBE = Path(__file__).parent / "inside" / "illegal_instruction.py"
# A handler that waits for the interpreter's lock uses no processor time.
IDLE_SECONDS = 60.0
# Of a file's name and a symbol; C++ has long ones.
MAX_TEXT = 300
MAX_CODE_BYTES = 512
_LINE = re.compile(r"^factory-fault (\{.*\})$", re.MULTILINE)


@dataclass(frozen=True, slots=True, kw_only=True)
class Fault:
    """An illegal instruction: its place, its bytes and those before it.

    `isa` has the CPU's extensions as Linux lists them.
    """

    address: int
    file: str
    offset: int
    symbol: str
    before: bytes
    code: bytes
    isa: str

    @property
    def place(self) -> str:
        """Address, file with offset, and symbol."""
        file = f"{self.file} (offset {self.offset:#x})" if self.file else "memory without a file"
        return f"at {self.address:#x} in {file}{f', {self.symbol}' if self.symbol else ''}"


# Describes a fault's instruction, and why the CPU refuses it.
Describe = Callable[[Fault], str]


def locate(sandbox: Sandbox, command: Command, limits: HangLimits, log: LogSink) -> Fault | None:
    """Run a Python script that ended by SIGILL again; None if it doesn't end so again."""
    log.write("# running it again to locate the illegal instruction\n")
    copy_atomically(PROBE, sandbox.inputs / PROBE.name)  # other profiles may start it now
    python, *script = command.argv
    again = replace(command, argv=[python, f"{INPUTS}/{PROBE.name}", *script])
    printed = Recording(log)
    try:
        with hang_limits("the search", replace(limits, idle=IDLE_SECONDS), printed) as watched:
            sandbox.run(again, log=watched)
    except CommandFailed:
        return parse_fault(printed.text)
    return None


def parse_fault(printed: str) -> Fault | None:
    """Read the last fault from a script's output, which may hold anything."""
    lines = _LINE.findall(printed)
    try:
        fields = json.loads(lines[-1]) if lines else {}
        return Fault(
            address=int(fields["address"]),
            file=_printable(fields["file"]),
            offset=int(fields["offset"]),
            symbol=_printable(fields["symbol"]),
            before=bytes.fromhex(fields["before"])[-MAX_CODE_BYTES:],
            code=bytes.fromhex(fields["code"])[:MAX_CODE_BYTES],
            isa=str(fields["isa"]),
        )
    except (ValueError, KeyError, TypeError, RecursionError):
        return None


def _printable(text: object) -> str:
    return "".join(each for each in str(text)[:MAX_TEXT] if each.isprintable())
