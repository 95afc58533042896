"""What people read when a package's own build fails, whichever builder ran it."""

from __future__ import annotations

from factory.errors import BuildFailed, CommandFailed
from factory.hints import hint_for
from factory.model import LogSink, Recipe


def build_failed(recipe: Recipe, python: str, what: str, error: CommandFailed, log: LogSink) -> BuildFailed:
    """The error: what failed and its last lines, what is known about them, the log, and the way into the root."""
    known = hint_for(error.output)
    shell = f"factory shell {recipe.name} --python {python}"
    closer = f"the whole log is {log.path}; look closer with: {shell}"
    return BuildFailed(f"{recipe.label}: {what}:\n{error.output}", hint=f"{known}; {closer}" if known else closer)
