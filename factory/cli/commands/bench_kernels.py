"""`factory bench kernels`: compare what compilers make of a package's kernels: instructions, and code that ran."""

from __future__ import annotations

import argparse
from collections.abc import Mapping
from pathlib import Path

from packaging.utils import canonicalize_name

from factory.bench.instructions.benchmark import measure as count
from factory.bench.instructions.report import compare
from factory.bench.results import Results
from factory.cli.commands.bench_instructions import add_case_options, require_emulation
from factory.cli.options import add_factory_options, add_python_option, make_factory
from factory.errors import StoreError
from factory.model.recipe import Recipe
from factory.model.target import TOOLCHAINS
from factory.pipeline.config import Factory
from factory.pipeline.plan import find_recipe

PACKAGE = "llama-cpp-python"
# Vectors of 128 and of 256 bits.
PROFILES = ("rvv128", "k1")


def configure(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    parser.add_argument(
        "name", nargs="?", default=PACKAGE, metavar="NAME", help="a package with a bench.py (default: %(default)s)"
    )
    add_case_options(parser, PROFILES)
    add_python_option(parser)
    add_factory_options(parser)


def measure(args: argparse.Namespace) -> Results:
    """Count the newest build of each toolchain."""
    factory = make_factory(args).for_python(args.python)
    require_emulation(factory)
    recipe = find_recipe(args.name, factory.recipes())
    measured = count(recipe, _builds(recipe, factory), args.profile or PROFILES, args.case, factory)
    return compare(recipe.label, measured)


def _builds(recipe: Recipe, factory: Factory) -> Mapping[str, Path]:
    python, name = factory.target.python, canonicalize_name(recipe.name)
    records = {toolchain: factory.store.latest(name, python, toolchain) for toolchain in TOOLCHAINS}
    missing = [toolchain for toolchain, record in records.items() if record is None]
    if missing:
        wanted = " ".join(f"--toolchain {toolchain}" for toolchain in missing)
        raise StoreError(
            f"{recipe.label_for(python)} was not built with {' and '.join(missing)} yet",
            hint=f"run: factory build {recipe.name} --python {python} {wanted}",
        )
    return {toolchain: factory.store.wheel_path(record) for toolchain, record in records.items() if record is not None}
