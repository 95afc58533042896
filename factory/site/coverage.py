"""Coverage of well-known stacks on riscv64: values, and the file coverage.json.

`factory coverage` writes the file beside the ledger from the package index, so that writing pages needs no network.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from factory.errors import PublishError
from factory.publish.safe_text import load_sanitized
from factory.site.states import MISSING, PURE, UPSTREAM
from factory.util.jsonio import DAMAGED, convert

OFFERS = frozenset((PURE, UPSTREAM, MISSING))
COVERAGE_FILE, STACKS_FOLDER = "coverage.json", "stacks"


@dataclass(frozen=True, slots=True, kw_only=True)
class Pin:
    """A project that a stack needs, in the version that an installer chooses.

    `offers` has the best that the package index has for each Python that needs it, one of OFFERS; UPSTREAM is a riscv64
    wheel. `source` is true if the index has its source.
    """

    project: str
    version: str
    offers: Mapping[str, str]
    source: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class Stack:
    """Packages that people install together: name, requirements and resolved versions.

    `problems` has the resolver's message for each Python for which the requirements have no solution.
    """

    name: str
    requirements: tuple[str, ...]
    pins: tuple[Pin, ...]
    problems: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Coverage:
    """The resolved stacks, with the Pythons and the day of the query.

    `riscv64_since` has, for projects built here, the first version whose own wheels serve riscv64, by Python.
    """

    pythons: tuple[str, ...] = ()
    gathered: str = ""
    stacks: tuple[Stack, ...] = ()
    riscv64_since: Mapping[str, Mapping[str, str]] = field(default_factory=dict)


def load_coverage(folder: Path) -> Coverage:
    """Read `coverage.json`; the result is empty if there is none.

    Raises:
        PublishError: the file is damaged.
    """
    path = folder / COVERAGE_FILE
    if not path.is_file():
        return Coverage()
    try:
        content = load_sanitized(path.read_bytes())
        if not isinstance(content, dict):
            raise TypeError("not a JSON object")
        coverage = convert(content, Coverage)
        _require_known_offers(coverage)
        return coverage
    except DAMAGED as error:
        raise PublishError(f"{path}: file is damaged: {error}", hint="write it again: factory coverage") from error


def _require_known_offers(coverage: Coverage) -> None:
    for pin in (pin for stack in coverage.stacks for pin in stack.pins):
        if not pin.offers or not OFFERS.issuperset(pin.offers.values()):
            raise ValueError(f"{pin.project}: offers: not one of {', '.join(sorted(OFFERS))}")


def needed_versions(stacks: Iterable[Stack]) -> Mapping[str, Sequence[str]]:
    """Return the sorted versions that any of the stacks needs, by project."""
    found: dict[str, set[str]] = {}
    for stack in stacks:
        for pin in stack.pins:
            found.setdefault(pin.project, set()).add(pin.version)
    return {project: sorted(versions) for project, versions in found.items()}
