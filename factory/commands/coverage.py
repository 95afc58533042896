"""`factory coverage`: ask the package index what well-known stacks need on riscv64, for the site to tell."""

from __future__ import annotations

import argparse
from pathlib import Path

from packaging.utils import canonicalize_name

from factory.files import write_if_changed
from factory.layout import checkout, default_layout
from factory.model import PYTHONS
from factory.publish.ledger import Built, Ledger
from factory.recipe import load_recipes
from factory.serial import dumps
from factory.site.catalogue import MISSING, PURE, UPSTREAM
from factory.site.coverage import COVERAGE_FILE, STACKS_FOLDER, Coverage
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
    """Gather, keep what was found, and print it in short."""
    from factory.coverage import gather

    folder = args.index or checkout() / "index"
    releases = Ledger(folder / "ledger").read()
    recipes = load_recipes(checkout() / "recipes").values()
    built = {release.project for release in releases if isinstance(release.origin, Built)}
    built |= {canonicalize_name(recipe.project) for recipe in recipes}
    files = sorted(path for path in (folder / STACKS_FOLDER).glob("*.*") if path.suffix in STACKS)
    with Reporter().stage("index", "coverage", default_layout().logs / "index" / "coverage.log") as log:
        coverage = gather(files, built, python=PYTHONS[0], log=log)
    write_if_changed(folder / COVERAGE_FILE, dumps(coverage).encode())
    _show(coverage)
    return 0


def _show(coverage: Coverage) -> None:
    rows = []
    for stack in coverage.stacks:
        offers = [pin.offers for pin in stack.pins]
        rows.append((stack.name, str(len(offers)), *(str(offers.count(kind)) for kind in (PURE, UPSTREAM, MISSING))))
    print_table(("stack", "packages", "pure Python", "riscv64", "neither"), rows)
