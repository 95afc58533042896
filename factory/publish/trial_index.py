"""A trial index: wheels that are not yet published, for checks to install from."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from factory.model.target import Target
from factory.publish.index_files import write_simple
from factory.publish.mirror import mirror_dependencies
from factory.publish.release import Mirrored
from factory.publish.wheel_metadata import describe_wheel
from factory.util.log import LogSink


def write_trial_index(
    wheel: Path,
    others: Sequence[Path],
    *,
    target: Target,
    mirror: Path,
    out: Path,
    log: LogSink,
    dependents: Sequence[Path],
) -> None:
    """Write an index of `wheel`, `others` built here, and dependencies.

    The dependencies are those of `dependents`, which are among these wheels.

    Raises:
        PublishError: a dependency has no wheel for the target.
    """
    rest = [path for path in (wheel, *others) if path not in dependents]
    dependencies = mirror_dependencies(dependents, rest, target=target, cache=mirror, log=log)
    files = {describe_wheel(path, Mirrored()): path for path in (wheel, *others, *dependencies)}
    write_simple(tuple(files), files.__getitem__, out)
