"""What people read when a package's own build fails, whichever builder ran it."""

from __future__ import annotations

from factory.errors import BuildFailed, CommandFailed
from factory.model.recipe import Recipe
from factory.util.failure_hints import hint_for, is_machines_fault
from factory.util.log import LogSink


def build_failed(
    recipe: Recipe, what: str, error: CommandFailed, log: LogSink, *, network: bool = False
) -> BuildFailed:
    """The error: what failed and its last lines, what is known about them, and the log.

    `network` says whether the command had the network.
    """
    known, whole = hint_for(error.output, network=network), f"the whole log is {log.path}"
    return BuildFailed(
        f"{recipe.label}: {what}:\n{error.output}",
        hint=f"{known}; {whole}" if known else whole,
        machines_fault=is_machines_fault(error.output, network=network),
    )
