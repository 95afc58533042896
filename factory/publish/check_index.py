"""An index of wheels that are not published yet: what checks install from."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from factory.model.target import Target
from factory.publish.ledger import Mirrored
from factory.publish.mirror import mirror_dependencies
from factory.publish.placement import write_simple
from factory.publish.wheel_metadata import describe_wheel
from factory.util.log import LogSink


def write_trial_index(
    wheel: Path, others: Sequence[Path], *, target: Target, mirror: Path, out: Path, log: LogSink
) -> None:
    """Write to `out` an index of `wheel`, of `others` of ours that it may need, and of what else it needs at run time.

    Raises:
        PublishError: a dependency has no wheel that the target can use.
    """
    dependencies = mirror_dependencies([wheel], others, target=target, cache=mirror, log=log)
    files = {describe_wheel(path, Mirrored()): path for path in (wheel, *others, *dependencies)}
    write_simple(tuple(files), files.__getitem__, out)
