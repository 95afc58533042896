"""What well-known stacks need, and who has it for riscv64: read from `coverage.json` beside the ledger.

`factory coverage` gathers it from the package index; pages are written without any network.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from packaging.utils import canonicalize_version

from factory.errors import PublishError
from factory.model.record import BuildFailure
from factory.publish.safe_text import harmless_json
from factory.site.projects import BUILT, FAILED, MISSING, PURE, UNCHECKED, UPSTREAM, State, Summary
from factory.util.jsonio import DAMAGED, convert

OTHER = "other"  # what the catalogue's states don't have: it is here, but not in the version that is needed
WORDS = {
    PURE: "pure Python",
    UPSTREAM: "riscv64 on PyPI",
    BUILT: "built here",
    UNCHECKED: "built here, not run",
    OTHER: "here in another version",
    FAILED: "build failed",
    MISSING: "missing",
}
KINDS = tuple(WORDS)  # from the best to the worst
OFFERS = frozenset((PURE, UPSTREAM, MISSING))
SOLVED = (PURE, UPSTREAM, BUILT, UNCHECKED)  # those that an installer needs no compiler for
COVERAGE_FILE, STACKS_FOLDER = "coverage.json", "stacks"


@dataclass(frozen=True, slots=True, kw_only=True)
class Pin:
    """A project that a stack needs, in the version that an installer chooses, and the best that its own index has.

    `offers` has one of OFFERS for each Python that needs it, UPSTREAM being a wheel for riscv64; `source` is whether
    there is its source.
    """

    project: str
    version: str
    offers: Mapping[str, str]
    source: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class Stack:
    """What people install together: its name, what it asks for, and what that comes to.

    `problems` says why it can't be met at all, for each Python for which it can't.
    """

    name: str
    requirements: tuple[str, ...]
    pins: tuple[Pin, ...]
    problems: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Coverage:
    """What was gathered: for which Pythons and on which day.

    `riscv64_since` has, of projects built here, the version from which on their own wheels serve riscv64, by Python.
    """

    pythons: tuple[str, ...] = ()
    gathered: str = ""
    stacks: tuple[Stack, ...] = ()
    riscv64_since: Mapping[str, Mapping[str, str]] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Cell:
    """Who has a version of a project for riscv64 and one Python: one of KINDS, and what there is to say of it."""

    kind: str
    note: str = ""

    @property
    def words(self) -> str:
        return WORDS[self.kind]


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """A project that a stack needs, in one version; `cells` are those of the Pythons that need it."""

    project: str
    version: str
    cells: Mapping[str, Cell]


@dataclass(frozen=True, slots=True, kw_only=True)
class Tally:
    """How many projects a stack needs with one Python, and how many of them are to be had in which way."""

    total: int
    counts: Mapping[str, int]

    @property
    def solved(self) -> int:
        return sum(self.counts[kind] for kind in SOLVED)


@dataclass(frozen=True, slots=True, kw_only=True)
class Covered:
    """A stack with what this index adds to it; what is missing comes first."""

    name: str
    requirements: tuple[str, ...]
    rows: tuple[Row, ...]
    problems: Mapping[str, str]

    def tally(self, python: str) -> Tally:
        """What it comes to for one Python."""
        kinds = [row.cells[python].kind for row in self.rows if python in row.cells]
        return Tally(total=len(kinds), counts={kind: kinds.count(kind) for kind in KINDS})


@dataclass(frozen=True, slots=True, kw_only=True)
class Absent:
    """A project that a stack needs and this index doesn't know: in words, and the stack's place among the stacks."""

    project: str
    words: str
    stack: int


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
        coverage = convert(content, Coverage)
        _require_known(coverage)
        return coverage
    except DAMAGED as error:
        raise PublishError(f"{path} is damaged: {error}", hint="gather it anew: factory coverage") from error


def _require_known(coverage: Coverage) -> None:
    for pin in (pin for stack in coverage.stacks for pin in stack.pins):
        if not pin.offers or not OFFERS.issuperset(pin.offers.values()):
            raise ValueError(f"{pin.project} is offered as none of {', '.join(sorted(OFFERS))}")


def needed_versions(stacks: Iterable[Stack]) -> Mapping[str, Sequence[str]]:
    """The versions that any of the stacks needs, by project; in the same order each time."""
    found: dict[str, set[str]] = {}
    for stack in stacks:
        for pin in stack.pins:
            found.setdefault(pin.project, set()).add(pin.version)
    return {project: sorted(versions) for project, versions in found.items()}


def covered(stacks: Iterable[Stack], summaries: Mapping[str, Summary]) -> list[Covered]:
    """The stacks with what the index has of them; the summaries tell of the versions that the stacks need."""
    return [_covered(stack, summaries) for stack in stacks]


def absent(stacks: Sequence[Covered], known: Mapping[str, Summary]) -> list[Absent]:
    """Every project that the stacks need and that isn't `known`, as the first stack that needs it has it."""
    found: dict[str, Absent] = {}
    for number, stack in enumerate(stacks, 1):
        for row in stack.rows:
            if row.project not in known:
                found.setdefault(row.project, Absent(project=row.project, words=_in_words(row), stack=number))
    return sorted(found.values(), key=lambda each: each.project)


def _in_words(row: Row) -> str:
    words = {python: cell.words for python, cell in row.cells.items()}
    if len(set(words.values())) == 1:
        return f"{row.version}: {next(iter(words.values()))}"
    return f"{row.version}: " + ", ".join(f"{said} for Python {python}" for python, said in words.items())


def _covered(stack: Stack, summaries: Mapping[str, Summary]) -> Covered:
    rows = sorted((_row(pin, summaries.get(pin.project)) for pin in stack.pins), key=_worst_first)
    return Covered(name=stack.name, requirements=stack.requirements, rows=tuple(rows), problems=stack.problems)


def _worst_first(row: Row) -> tuple[int, str, str]:
    return -max(KINDS.index(cell.kind) for cell in row.cells.values()), row.project, row.version


def _row(pin: Pin, summary: Summary | None) -> Row:
    cells = {python: _cell(pin, python, summary) for python in pin.offers}
    return Row(project=pin.project, version=pin.version, cells=cells)


def _cell(pin: Pin, python: str, summary: Summary | None) -> Cell:
    """Its own project comes before us: what we built counts where it adds to that."""
    here = _state(None if summary is None else summary.needed.get(pin.version), python)
    if pin.offers[python] != MISSING:
        return Cell(kind=pin.offers[python], note="built here too" if here.kind == BUILT else "")
    if here.kind != MISSING:
        return Cell(kind=here.kind, note=_how(here, python))
    return _not_here(pin, python, summary)


def _not_here(pin: Pin, python: str, summary: Summary | None) -> Cell:
    """Why nobody has that version: our build of it failed, we have another one, or built none."""
    newest = _state(None if summary is None else summary.states, python)
    failures = () if summary is None else summary.failures
    failure = next((each for each in failures if each.python == python), None)
    if failure is not None and canonicalize_version(failure.version) == canonicalize_version(pin.version):
        return _failed(failure, "it")
    if newest.kind not in (FAILED, MISSING):
        return Cell(kind=OTHER, note=f"{newest.version}, not {pin.version}")
    if failure is not None:
        return _failed(failure, failure.version)
    if pin.source:
        return Cell(kind=MISSING, note="PyPI has only its source, which was not built here")
    return Cell(kind=MISSING, note="PyPI has neither its source nor a wheel for riscv64")


def _state(states: Mapping[str, State] | None, python: str) -> State:
    return (states or {}).get(python, State(kind=MISSING))


def _how(state: State, python: str) -> str:
    if state.kind == UNCHECKED:
        return f"it installs, but was not run on Python {python}"
    return "repacked from a distribution's packages" if state.repacked else ""


def _failed(failure: BuildFailure, what: str) -> Cell:
    return Cell(kind=FAILED, note=f"our build of {what} failed at the stage {failure.stage}")
