"""`factory coverage`: ask the package index what well-known stacks, or a requirements file, need on riscv64."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

from packaging.utils import canonicalize_name

from factory.cli.console import Reporter, print_table
from factory.errors import PublishError
from factory.model.target import PYTHONS
from factory.publish.ledger import Built, Ledger
from factory.recipes.loader import load_recipes
from factory.site.coverage import (
    COVERAGE_FILE,
    KINDS,
    STACKS_FOLDER,
    WORDS,
    Covered,
    Row,
    Stack,
    covered,
    needed_versions,
)
from factory.site.projects import load_project, project_names, summarize
from factory.util.atomic_files import write_if_changed
from factory.util.jsonio import dumps
from factory.util.paths import checkout, default_layout

STACKS = (".txt", ".toml")


def configure(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    parser.add_argument(
        "-r",
        "--requirement",
        action="append",
        type=Path,
        metavar="FILE",
        help="tell of this requirements file or pyproject.toml instead, and keep nothing; repeatable",
    )
    parser.add_argument("--json", action="store_true", help="print every package of every stack as JSON")
    parser.add_argument(
        "--index",
        type=Path,
        metavar="DIR",
        help="the folder with stacks/ and the ledger, which coverage.json goes to (default: index of the checkout)",
    )


def run(args: argparse.Namespace) -> int:
    """Look up what is needed, compare it with the ledger, and print it; the stacks' answers are kept."""
    folder = args.index or checkout() / "index"
    ledger = Ledger(folder / "ledger")
    if args.requirement:
        found = _compared([_look_up(args.requirement)], ledger)
    else:
        found = _compared(_gather(folder, ledger), ledger)
    if args.json:
        print(dumps(found), end="")
    elif args.requirement:
        _show_packages(found[0])
    else:
        _show_stacks(found)
    return 0


def _look_up(files: Sequence[Path]) -> Stack:
    from factory.site.availability import look_up

    name = " with ".join(str(file) for file in files)
    with Reporter().stage("requirements", "coverage", default_layout().logs / "index" / "coverage.log") as log:
        stack = look_up(name, files, pythons=PYTHONS, log=log)
    if len(stack.problems) == len(PYTHONS):
        raise PublishError(
            f"what {name} needs has no versions that go together:\n{next(iter(stack.problems.values()))}",
            hint="name versions that do",
        )
    return stack


def _gather(folder: Path, ledger: Ledger) -> Sequence[Stack]:
    from factory.site.availability import gather

    recipes = load_recipes(checkout() / "recipes").values()
    built = {release.project for release in ledger.read() if isinstance(release.origin, Built)}
    built |= {canonicalize_name(recipe.project) for recipe in recipes}
    files = sorted(path for path in (folder / STACKS_FOLDER).glob("*.*") if path.suffix in STACKS)
    with Reporter().stage("index", "coverage", default_layout().logs / "index" / "coverage.log") as log:
        coverage = gather(files, built, pythons=PYTHONS, log=log)
    write_if_changed(folder / COVERAGE_FILE, dumps(coverage).encode())
    return coverage.stacks


def _compared(stacks: Sequence[Stack], ledger: Ledger) -> tuple[Covered, ...]:
    """The stacks with what the ledger has of them."""
    needed = needed_versions(stacks)
    known = needed.keys() & set(project_names(ledger.folder))
    summaries = {name: summarize(load_project(ledger, name), needed[name]) for name in known}
    return tuple(covered(stacks, summaries))


def _show_stacks(stacks: Sequence[Covered]) -> None:
    rows = []
    for stack in stacks:
        for python in PYTHONS:
            tally = stack.tally(python)
            counts = (str(tally.counts[kind]) for kind in KINDS)
            rows.append((stack.name, python, str(tally.total), *counts))
    print_table(("stack", "Python", "packages", *WORDS.values()), rows)


def _show_packages(stack: Covered) -> None:
    answered = [python for python in PYTHONS if python not in stack.problems]
    print_table(
        ("package", "needed", *(f"Python {python}" for python in answered)),
        [(row.project, row.version, *(_told(row, python) for python in answered)) for row in stack.rows],
    )
    for python in answered:
        tally = stack.tally(python)
        print(f"Python {python}: {tally.solved} of {tally.total} packages install without a compiler")
    for python, problem in stack.problems.items():
        print(f"Python {python}: no versions go together:\n{problem}")


def _told(row: Row, python: str) -> str:
    cell = row.cells.get(python)
    return "not needed" if cell is None else ": ".join(filter(None, (cell.words, cell.note)))
