"""Changes of ELF files by patchelf: SONAME, needed libraries, run path."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from factory.util.confinement import run_tool
from factory.util.log import LogSink


@dataclass(frozen=True, slots=True, kw_only=True)
class LinkChange:
    """A change of a file's dynamic section: its SONAME, its needed libraries and its run path."""

    soname: str | None = None
    replaced: Mapping[str, str] | None = None
    dropped: Sequence[str] = ()
    run_path: str | None = None

    def options(self) -> list[str]:
        """Return patchelf's options; none if nothing changes."""
        words = [] if self.soname is None else ["--set-soname", self.soname]
        for old, new in (self.replaced or {}).items():
            words += ["--replace-needed", old, new]
        for name in self.dropped:
            words += ["--remove-needed", name]
        return words if self.run_path is None else [*words, "--set-rpath", self.run_path]


def relink(path: Path, change: LinkChange, log: LogSink) -> None:
    """Apply a change to a file.

    Raises:
        CommandFailed: patchelf failed.
    """
    if options := change.options():
        run_tool(["patchelf", *options, str(path)], writable=[path.parent], log=log)
