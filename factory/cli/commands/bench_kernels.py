"""`factory bench kernels`: compare kernels of two trees, or the code of two compilers.

If the recipe declares kernels, they are compiled without and with our patches. If it has a bench.py alone, the wheels
of both toolchains are compared.
"""

from __future__ import annotations

import argparse
from collections.abc import Mapping
from pathlib import Path

from packaging.utils import canonicalize_name

from factory.bench.instructions.benchmark import measure as count
from factory.bench.instructions.report import compare
from factory.bench.kernels.benchmark import measure as count_kernels
from factory.bench.kernels.definition import has_kernels
from factory.bench.kernels.report import report
from factory.bench.results import Results
from factory.cli.commands.bench_instructions import add_case_options, require_emulation
from factory.cli.options import add_build_options, add_python_option, run_for_python
from factory.errors import StoreError
from factory.model.recipe import Recipe
from factory.model.target import TOOLCHAINS
from factory.pipeline.run import Run

PACKAGE = "llama-cpp-python"
# VLEN 128 and 256.
PROFILES = ("rvv128", "k1")


def configure(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    parser.add_argument(
        "name",
        nargs="?",
        default=PACKAGE,
        metavar="NAME",
        help="package with kernels or a bench.py (default: %(default)s)",
    )
    add_case_options(parser, f"those that the kernels declare, or {', '.join(PROFILES)} with a bench.py alone")
    add_python_option(parser)
    add_build_options(parser)


def measure(args: argparse.Namespace) -> Results:
    """Count the instructions of a recipe's kernels, or of each toolchain's newest build."""
    chosen = run_for_python(args)
    require_emulation(chosen)
    recipe = chosen.recipes.find(args.name)
    if has_kernels(recipe):
        return report(recipe.label, count_kernels(recipe, args.profile or (), args.case, chosen))
    measured = count(recipe, _builds(recipe, chosen), args.profile or PROFILES, args.case, chosen)
    return compare(recipe.label, measured)


def _builds(recipe: Recipe, run: Run) -> Mapping[str, Path]:
    python, name = run.config.target.python, canonicalize_name(recipe.name)
    records = {toolchain: run.store.latest(name, python, toolchain) for toolchain in TOOLCHAINS}
    missing = [toolchain for toolchain, record in records.items() if record is None]
    if missing:
        wanted = " ".join(f"--toolchain {toolchain}" for toolchain in missing)
        raise StoreError(
            f"{recipe.label_for(python)}: no build with {' and '.join(missing)} in the store",
            hint=f"factory build {recipe.name} --python {python} {wanted}",
        )
    return {toolchain: run.store.wheel_path(record) for toolchain, record in records.items() if record is not None}
