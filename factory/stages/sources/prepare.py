"""A recipe's source as its build gets it: patched, and then with its overlay over it."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from factory.model.artifacts import AppliedPatch, SourceTree
from factory.model.recipe import SourcePin
from factory.stages.sources import patches, registry
from factory.util.log import LogSink


def prepare(pin: SourcePin, selected: Sequence[Path], tree: SourceTree, log: LogSink) -> tuple[AppliedPatch, ...]:
    """Apply the selected patches to a fetched tree, which are made for it as it came; then lay its overlay over it.

    Raises:
        PatchError: a patch doesn't apply; the tree is then half patched.
        SourceError: the overlay can't be laid.
    """
    applied = patches.apply(selected, tree, log)
    registry.lay_over(pin, tree, log)
    return applied
