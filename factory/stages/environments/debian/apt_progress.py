"""Progress of apt and dpkg: their packages, counted.

A layer takes several runs of apt, each with three steps, so counts of one say nothing of the time that is left.
"""

from __future__ import annotations

import re
from pathlib import Path

from factory.util.log import LogSink

# The packages that apt is going to install.
TOTAL = re.compile(r"(\d+) upgraded, (\d+) newly installed")
DOWNLOAD = re.compile(r"Get:\d+ \S+ \S+ \S+ (\S+) ")
STEPS = {"Unpacking": re.compile(r"Unpacking ([^ :]+)"), "Setting up": re.compile(r"Setting up ([^ :]+)")}
# Perl warns of hooks of several lines, which mmdebstrap tries as files.
NOISE = "Unsuccessful stat on filename containing newline"


class AptProgress:
    """A log that replaces the line for each package by `unpacking libc6 (12 of 345)`."""

    def __init__(self, log: LogSink) -> None:
        self._log = log
        self._total = 0
        self._counts: dict[str, int] = {}

    @property
    def path(self) -> Path:
        """The file of the log."""
        return self._log.path

    def write(self, text: str) -> None:
        """Write text, line by line."""
        lines = [self._shown(line) for line in text.splitlines(keepends=True) if not line.startswith(NOISE)]
        if shown := "".join(lines):
            self._log.write(shown)

    def _shown(self, line: str) -> str:
        if total := TOTAL.match(line):
            self._total, self._counts = int(total[1]) + int(total[2]), {}
        if found := DOWNLOAD.match(line):
            return self._counted("download", found[1]) or line
        for step, pattern in STEPS.items():
            if found := pattern.match(line):
                return self._counted(step.lower(), found[1]) or line
        return line

    def _counted(self, step: str, package: str) -> str:
        """Return the line for a package.

        It is empty if apt has not said how many there are, or there are more.
        """
        self._counts[step] = self._counts.get(step, 0) + 1
        if self._counts[step] > self._total:
            return ""
        return f"{step} {package} ({self._counts[step]} of {self._total})\n"
