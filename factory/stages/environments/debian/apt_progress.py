"""Progress of mmdebstrap, apt and dpkg: their packages, counted.

A layer takes several runs of apt, each with three steps, so counts of one say nothing of the time that is left.
"""

from __future__ import annotations

import re
from pathlib import Path

from factory.util.log import LogFile, LogSink

# The packages that apt is going to install, and the bytes that it fetches for them.
TOTAL = re.compile(r"(\d+) upgraded, (\d+) newly installed")
BYTES = re.compile(r"Need to get ([\d.,]+) (\w+)")
DOWNLOAD = re.compile(r"Get:\d+ \S+ \S+ \S+ (\S+) \S+ \S+ \[([\d.,]+) (\w+)\]")
FETCH = re.compile(r"Get:\d+ \S+ ")
UNITS = {"B": 1, "kB": 1_000, "MB": 1_000_000, "GB": 1_000_000_000}
STEPS = {"Unpacking": re.compile(r"Unpacking ([^ :]+)"), "Setting up": re.compile(r"Setting up ([^ :]+)")}
# Other lines are for the file alone: maintainer scripts, debconf and Perl print warnings, even errors, of no concern,
# and mmdebstrap the text of its hooks.
SHOWN = re.compile(r"E: |W: |Err:|Get:|Fetched |Reading package lists|Building dependency tree|\[in the root\] \$ ")
# Steps of mmdebstrap; a hook's first line begins its text.
STEP = re.compile(r"I: (?!running --)")


class AptProgress:
    """A log that shows steps alone, and for each package `unpacking libc6 (12 of 345)`.

    The other lines are in its file only.
    """

    def __init__(self, log: LogSink) -> None:
        self._log = log
        self._file = LogFile(log.path)
        self._total = 0
        self._counts: dict[str, int] = {}
        self._fetched, self._bytes = 0.0, 0.0

    @property
    def path(self) -> Path:
        """The file of the log."""
        return self._log.path

    def write(self, text: str) -> None:
        """Write text, line by line."""
        for line in text.splitlines(keepends=True):
            self._write(line)

    def _write(self, line: str) -> None:
        if total := TOTAL.match(line):
            self._total, self._counts, self._bytes = int(total[1]) + int(total[2]), {}, 0.0
        elif size := BYTES.match(line):
            self._fetched, self._bytes = 0.0, _bytes(size[1], size[2])
        shown = self._shown(line)
        (self._log if shown else self._file).write(shown or line)

    def _shown(self, line: str) -> str:
        """Return the form of a line in progress, empty if it is not shown."""
        if found := DOWNLOAD.match(line):
            share = f", {min(self._fetched / self._bytes, 1):.0%}" if self._bytes else ""
            self._fetched += _bytes(found[2], found[3])
            return self._counted("download", found[1], share)
        for step, pattern in STEPS.items():
            if found := pattern.match(line):
                return self._counted(step.lower(), found[1])
        if started := STEP.match(line):
            return line[started.end() :]
        return FETCH.sub("download ", line) if SHOWN.match(line) else ""

    def _counted(self, step: str, package: str, share: str = "") -> str:
        """Return the line for a package, without numbers if apt has said none, or a smaller one."""
        count = self._counts[step] = self._counts.get(step, 0) + 1
        numbers = f" ({count} of {self._total}{share})" if count <= self._total else ""
        return f"{step} {package}{numbers}\n"


def _bytes(number: str, unit: str) -> float:
    return float(number.replace(",", "")) * UNITS.get(unit, 0)
