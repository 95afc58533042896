"""`factory coverage`: ask the package index what well-known stacks need on riscv64, for the site to tell."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

from packaging.utils import canonicalize_name

from factory.files import write_if_changed
from factory.layout import checkout, default_layout
from factory.model import PYTHONS
from factory.publish.ledger import Built, Ledger
from factory.recipe import load_recipes
from factory.serial import dumps
from factory.site.catalogue import load_project, project_names, summarize
from factory.site.coverage import (
    COVERAGE_FILE,
    KINDS,
    STACKS_FOLDER,
    WORDS,
    Covered,
    Stack,
    covered,
    needed_versions,
)
from factory.ui import Reporter, print_table

STACKS = (".txt", ".toml")


def configure(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    parser.add_argument(
        "--index",
        type=Path,
        metavar="DIR",
        help="the folder with stacks/ and the ledger, which coverage.json goes to (default: index of the checkout)",
    )


def run(args: argparse.Namespace) -> int:
    """Look up what is needed, compare it with the ledger, and print it in short; the stacks' answers are kept."""
    folder = args.index or checkout() / "index"
    ledger = Ledger(folder / "ledger")
    _show_stacks(_compared(_gather(folder, ledger), ledger))
    return 0


def _gather(folder: Path, ledger: Ledger) -> Sequence[Stack]:
    from factory.coverage import gather

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
