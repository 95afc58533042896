"""Comparison of stacks with this index.

Each package has its source of riscv64 wheels, or the reason why it has none.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from packaging.utils import canonicalize_version

from factory.model.record import BuildFailure
from factory.site.coverage import Pin, Stack
from factory.site.project_facts import search_words
from factory.site.states import BUILT, FAILED, MISSING, PURE, UNCHECKED, UPSTREAM, State
from factory.site.summary import Summary

OTHER = "other"  # this index has the project, in another version than the needed one
WORDS = {
    PURE: "pure Python",
    UPSTREAM: "riscv64 on PyPI",
    BUILT: "built here",
    UNCHECKED: "built here, not checked",
    OTHER: "here in another version",
    FAILED: "build failed",
    MISSING: "missing",
}
KINDS = tuple(WORDS)  # from the best to the worst
SOLVED = (PURE, UPSTREAM, BUILT, UNCHECKED)  # kinds that install without a compiler


@dataclass(frozen=True, slots=True, kw_only=True)
class Cell:
    """Availability of a version for one Python: one of KINDS, and a note."""

    kind: str
    note: str = ""

    @property
    def words(self) -> str:
        return WORDS[self.kind]


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """A version that a stack needs, with a cell for each Python that needs it."""

    project: str
    version: str
    cells: Mapping[str, Cell]

    @property
    def kinds(self) -> set[str]:
        """The kinds of its cells."""
        return {cell.kind for cell in self.cells.values()}


@dataclass(frozen=True, slots=True, kw_only=True)
class Tally:
    """Number of projects that a stack needs with one Python, in total and by kind."""

    total: int
    counts: Mapping[str, int]

    @property
    def solved(self) -> int:
        return sum(self.counts[kind] for kind in SOLVED)

    @property
    def kinds(self) -> tuple[str, ...]:
        """The kinds that there are."""
        return tuple(kind for kind in KINDS if self.counts[kind])


@dataclass(frozen=True, slots=True, kw_only=True)
class StackTable:
    """A stack compared with this index; missing packages come first."""

    name: str
    requirements: tuple[str, ...]
    rows: tuple[Row, ...]
    problems: Mapping[str, str]

    @property
    def pure_rows(self) -> tuple[Row, ...]:
        """The packages without compiled code."""
        return tuple(row for row in self.rows if row.kinds == {PURE})

    @property
    def other_rows(self) -> tuple[Row, ...]:
        """The other packages, missing ones first."""
        return tuple(row for row in self.rows if row.kinds != {PURE})

    def tally(self, python: str) -> Tally:
        """Count the packages for one Python by kind."""
        kinds = [row.cells[python].kind for row in self.rows if python in row.cells]
        return Tally(total=len(kinds), counts={kind: kinds.count(kind) for kind in KINDS})


@dataclass(frozen=True, slots=True, kw_only=True)
class MissingRow:
    """A version that does not install without a compiler.

    It has the numbers and names of the stacks that need it.
    """

    row: Row
    stacks: tuple[tuple[int, str], ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class AbsentProject:
    """A project that this index lacks.

    It has the number of a stack that needs it, and words to find it by.
    """

    project: str
    words: str
    stack: int
    also: str


def compare_stacks(stacks: Iterable[Stack], summaries: Mapping[str, Summary]) -> list[StackTable]:
    """Compare stacks with this index.

    The summaries have the states of the versions that the stacks need.
    """
    return [_compare(stack, summaries) for stack in stacks]


def missing_rows(stacks: Sequence[StackTable]) -> list[MissingRow]:
    """Return the versions that do not install without a compiler, the worst first."""
    found: dict[tuple[str, str], tuple[Row, list[tuple[int, str]]]] = {}
    for number, stack in enumerate(stacks, 1):
        for row in stack.rows:
            if not row.kinds.issubset(SOLVED):
                found.setdefault((row.project, row.version), (row, []))[1].append((number, stack.name))
    rows = sorted(found.values(), key=lambda each: _worst_first(each[0]))
    return [MissingRow(row=row, stacks=tuple(needed_by)) for row, needed_by in rows]


def absent_projects(stacks: Sequence[StackTable], known: Mapping[str, Summary]) -> list[AbsentProject]:
    """Return the projects that stacks need and that are not `known`.

    Each is described as in the first stack that needs it.
    """
    found: dict[str, AbsentProject] = {}
    for number, stack in enumerate(stacks, 1):
        for row in stack.rows:
            if row.project not in known:
                also = search_words(row.project, None)
                absent = AbsentProject(project=row.project, words=_in_words(row), stack=number, also=also)
                found.setdefault(row.project, absent)
    return sorted(found.values(), key=lambda each: each.project)


def _in_words(row: Row) -> str:
    words = {python: cell.words for python, cell in row.cells.items()}
    if len(set(words.values())) == 1:
        return f"{row.version}: {next(iter(words.values()))}"
    return f"{row.version}: " + ", ".join(f"{said} for Python {python}" for python, said in words.items())


def _compare(stack: Stack, summaries: Mapping[str, Summary]) -> StackTable:
    rows = sorted((_row(pin, summaries.get(pin.project)) for pin in stack.pins), key=_worst_first)
    return StackTable(name=stack.name, requirements=stack.requirements, rows=tuple(rows), problems=stack.problems)


def _worst_first(row: Row) -> tuple[int, str, str]:
    return -max(KINDS.index(cell.kind) for cell in row.cells.values()), row.project, row.version


def _row(pin: Pin, summary: Summary | None) -> Row:
    cells = {python: _cell(pin, python, summary) for python in pin.offers}
    return Row(project=pin.project, version=pin.version, cells=cells)


def _cell(pin: Pin, python: str, summary: Summary | None) -> Cell:
    """Return the cell of a version; the project's own wheels come first."""
    here = _state(None if summary is None else summary.needed.get(pin.version), python)
    if pin.offers[python] != MISSING:
        return Cell(kind=pin.offers[python], note="built here too" if here.kind == BUILT else "")
    if here.kind != MISSING:
        return Cell(kind=here.kind, note=_build_note(here, python))
    return _missing_cell(pin, python, summary)


def _missing_cell(pin: Pin, python: str, summary: Summary | None) -> Cell:
    """Return the cell of a version that no index has, with the reason."""
    newest = _state(None if summary is None else summary.states, python)
    failures = () if summary is None else (each.failure for each in summary.failures)
    failure = next((each for each in failures if each.python == python), None)
    if failure is not None and canonicalize_version(failure.version) == canonicalize_version(pin.version):
        return _failed_cell(failure, "build")
    if newest.kind not in (FAILED, MISSING):
        return Cell(kind=OTHER, note=f"{newest.version}, not {pin.version}")
    if failure is not None:
        return _failed_cell(failure, f"build of {failure.version}")
    if pin.source:
        return Cell(kind=MISSING, note="PyPI has only the source, and this index has no wheel of it")
    return Cell(kind=MISSING, note="PyPI has neither the source nor a riscv64 wheel")


def _state(states: Mapping[str, State] | None, python: str) -> State:
    return (states or {}).get(python, State(kind=MISSING))


def _build_note(state: State, python: str) -> str:
    if state.kind == UNCHECKED:
        return f"installs, but not checked on Python {python}"
    return "repacked from a distribution's packages" if state.repacked else ""


def _failed_cell(failure: BuildFailure, what: str) -> Cell:
    return Cell(kind=FAILED, note=f"our {what} failed at stage {failure.stage}")
