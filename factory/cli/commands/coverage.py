"""`factory coverage`: availability of stacks or of a requirements file on riscv64."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

from factory.cli.console import Reporter, print_table
from factory.cli.project_options import LEDGER_FOLDER, add_project_option, optional_project
from factory.cli.values import folder_path
from factory.errors import PublishError
from factory.model.target import PYTHONS
from factory.publish.ledger import Ledger
from factory.publish.release import Built
from factory.recipes.loader import recipe_projects
from factory.site.coverage import COVERAGE_FILE, STACKS_FOLDER, Stack, needed_versions
from factory.site.coverage_table import KINDS, WORDS, Row, StackTable, compare_stacks
from factory.site.projects import load_project, project_names
from factory.site.summary import summarize
from factory.util.atomic_files import write_if_changed
from factory.util.jsonio import dumps
from factory.util.paths import default_layout
from factory.util.project import INDEX_FOLDER, RECIPES_FOLDER, project_folder
from factory.util.quantities import quantity

STACKS = (".txt", ".toml")
STACK_HEADINGS = ("stack", "Python", "packages", *WORDS.values())


def configure(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    parser.add_argument(
        "-r",
        "--requirement",
        action="append",
        type=Path,
        metavar="FILE",
        help="report on this requirements file or pyproject.toml and write nothing; repeatable",
    )
    parser.add_argument("--json", action="store_true", help="print every package of every stack as JSON")
    parser.add_argument(
        "--index",
        type=folder_path,
        metavar="DIR",
        help=f"folder of stacks/, the ledger and coverage.json (default: {INDEX_FOLDER} of the project)",
    )
    add_project_option(parser)


def run(args: argparse.Namespace) -> int:
    """Compare stacks or a requirements file with the ledger, and print the result."""
    if args.requirement:
        folder = args.index or (optional_project(args) or Path()) / INDEX_FOLDER
        tables = compare([_resolve(args.requirement)], Ledger(folder / LEDGER_FOLDER))
    else:
        project = project_folder(args.project)
        folder = args.index or project / INDEX_FOLDER
        ledger = Ledger(folder / LEDGER_FOLDER)
        tables = compare(_gather(folder, project / RECIPES_FOLDER, ledger), ledger)
    if args.json:
        print(dumps(tables), end="")
    elif args.requirement:
        _show_packages(tables[0])
    else:
        print_table(STACK_HEADINGS, stack_rows(tables))
    return 0


def _resolve(files: Sequence[Path]) -> Stack:
    from factory.site.availability import resolve_stack

    name = " with ".join(str(file) for file in files)
    with Reporter().stage("requirements", "coverage", default_layout().logs / "index" / "coverage.log") as log:
        stack = resolve_stack(name, files, pythons=PYTHONS, log=log)
    if len(stack.problems) == len(PYTHONS):
        raise PublishError(
            f"{name}: no compatible versions for any Python:\n{next(iter(stack.problems.values()))}",
            hint="change the requirements that conflict",
        )
    return stack


def _gather(folder: Path, recipe_folder: Path, ledger: Ledger) -> Sequence[Stack]:
    from factory.site.availability import gather_coverage

    built = {release.project for release in ledger.read() if isinstance(release.origin, Built)}
    built |= {each.project for each in recipe_projects(recipe_folder)[0]}
    files = sorted(path for path in (folder / STACKS_FOLDER).glob("*.*") if path.suffix in STACKS)
    with Reporter().stage("index", "coverage", default_layout().logs / "index" / "coverage.log") as log:
        coverage = gather_coverage(files, built, pythons=PYTHONS, log=log)
    write_if_changed(folder / COVERAGE_FILE, dumps(coverage).encode())
    return coverage.stacks


def compare(stacks: Sequence[Stack], ledger: Ledger) -> tuple[StackTable, ...]:
    """Compare stacks with the ledger."""
    needed = needed_versions(stacks)
    known = needed.keys() & set(project_names(ledger.folder))
    summaries = {name: summarize(load_project(ledger, name), needed[name]) for name in known}
    return tuple(compare_stacks(stacks, summaries))


def stack_rows(stacks: Sequence[StackTable]) -> list[tuple[str, ...]]:
    """Return the numbers of packages of each stack and Python, by state, under STACK_HEADINGS."""
    rows = []
    for stack in stacks:
        for python in PYTHONS:
            tally = stack.tally(python)
            counts = (str(tally.counts[kind]) for kind in KINDS)
            rows.append((stack.name, python, str(tally.total), *counts))
    return rows


def _show_packages(stack: StackTable) -> None:
    answered = [python for python in PYTHONS if python not in stack.problems]
    print_table(
        ("package", "needed", *(f"Python {python}" for python in answered)),
        [(row.project, row.version, *(_cell_text(row, python) for python in answered)) for row in stack.rows],
    )
    for python in answered:
        tally = stack.tally(python)
        print(f"Python {python}: no compiler is needed for {tally.solved} of {quantity(tally.total, 'package')}")
    for python, problem in stack.problems.items():
        print(f"Python {python}: no compatible versions:\n{problem}")


def _cell_text(row: Row, python: str) -> str:
    cell = row.cells.get(python)
    return "not needed" if cell is None else ": ".join(filter(None, (cell.words, cell.note)))
