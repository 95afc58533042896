"""What well-known stacks need, and who has it for riscv64: read from `coverage.json` beside the ledger.

`factory coverage` gathers it from the package index; pages are written without any network.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from factory.errors import PublishError
from factory.publish.harmless import harmless_json
from factory.serial import DAMAGED, structure
from factory.site.catalogue import BUILT, FAILED, MISSING, PURE, UPSTREAM, Summary

KINDS = (PURE, UPSTREAM, BUILT, FAILED, MISSING)
COVERAGE_FILE, STACKS_FOLDER = "coverage.json", "stacks"


@dataclass(frozen=True, slots=True, kw_only=True)
class Pin:
    """A project that a stack needs, in the version that an installer chooses, and the best that its own index has.

    `offers` is PURE, UPSTREAM (a wheel for riscv64) or MISSING; `source` is whether there is a source archive.
    """

    project: str
    version: str
    offers: str
    source: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class Stack:
    """What people install together: its name, what it asks for, and what that comes to.

    `problem` says why it can't be met at all.
    """

    name: str
    requirements: tuple[str, ...]
    pins: tuple[Pin, ...]
    problem: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Coverage:
    """What was gathered: for which Python, on which day, and since which version projects have wheels for riscv64."""

    python: str = ""
    gathered: str = ""
    stacks: tuple[Stack, ...] = ()
    riscv64_since: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """A line of the coverage page: who has the project for riscv64, and why nobody does."""

    pin: Pin
    kind: str
    here: str
    why: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Covered:
    """A stack with what this index adds to it."""

    stack: Stack
    rows: Sequence[Row]

    @property
    def counts(self) -> Mapping[str, int]:
        """How many projects are to be had in which way."""
        kinds = [row.kind for row in self.rows]
        return {kind: kinds.count(kind) for kind in KINDS}


def load_coverage(folder: Path) -> Coverage:
    """What was gathered last; empty where nothing was.

    Raises:
        PublishError: the file is damaged.
    """
    path = folder / COVERAGE_FILE
    if not path.is_file():
        return Coverage()
    try:
        content = harmless_json(path.read_bytes())
        if not isinstance(content, dict):
            raise TypeError("it holds no object")
        return structure(content, Coverage)
    except DAMAGED as error:
        raise PublishError(f"{path} is damaged: {error}", hint="gather it anew: factory coverage") from error


def covered(coverage: Coverage, summaries: Mapping[str, Summary]) -> list[Covered]:
    """The stacks with what the index has of them."""
    return [Covered(stack=stack, rows=_rows(stack.pins, summaries, coverage.python)) for stack in coverage.stacks]


def _rows(pins: Sequence[Pin], summaries: Mapping[str, Summary], python: str) -> list[Row]:
    """What is missing comes first."""
    rows = [_row(pin, summaries.get(pin.project), python) for pin in pins]
    return sorted(rows, key=lambda row: (-KINDS.index(row.kind), row.pin.project))


def _row(pin: Pin, summary: Summary | None, python: str) -> Row:
    state = None if summary is None else summary.states.get(python)
    here = "" if state is None or state.kind in (FAILED, MISSING) else state.version
    if state is not None and state.kind == BUILT:
        return Row(pin=pin, kind=BUILT, here=here)
    if pin.offers != MISSING:
        return Row(pin=pin, kind=pin.offers, here=here)
    if state is not None and state.kind == FAILED:
        return Row(pin=pin, kind=FAILED, here=here, why="our build of it failed")
    offered = "only its source for riscv64" if pin.source else "neither source nor a wheel for riscv64"
    return Row(pin=pin, kind=MISSING, here=here, why=f"its project has {offered}, and it was not built here")
