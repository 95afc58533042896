"""`factory check`: install a built package from an index into a clean riscv64 root and run its check."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from packaging.utils import canonicalize_name

from factory.cli.options import add_factory_options, add_python_option, add_toolchain_option, make_factory
from factory.errors import CheckFailed, PrerequisiteMissing, RecipeError
from factory.model.recipe import Recipe
from factory.model.record import CheckResult
from factory.model.target import NATIVE_MODE, PROFILES
from factory.pipeline.check import check_wheel, run_check, stored_beside
from factory.pipeline.config import Factory
from factory.pipeline.plan import find_recipe
from factory.util.jsonio import dumps
from factory.util.scratch import own_folder

NEEDS_ROOT = True


def configure(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    parser.add_argument("name", metavar="NAME", help="a package that was built")
    parser.add_argument(
        "--profile", action="append", choices=PROFILES, help="run on this CPU only; repeatable (default: the recipe's)"
    )
    parser.add_argument("--index", type=Path, metavar="DIR", help="install from this published index")
    parser.add_argument(
        "--suite", action="store_true", help="run the project's own tests, as the recipe's [suite] says"
    )
    add_python_option(parser)
    add_toolchain_option(parser)
    add_factory_options(parser)
    parser.add_argument("--json", action="store_true", help="print the results as JSON")


def run(args: argparse.Namespace) -> int:
    """Check and print what each profile showed."""
    factory = make_factory(args)
    recipe = _with_suite(find_recipe(args.name, factory.recipes()), wanted=args.suite)
    results = _check(recipe, args, factory.for_python(args.python, args.toolchain or recipe.toolchain))
    if args.json:
        print(dumps(results), end="")
    return 0


def _with_suite(recipe: Recipe, *, wanted: bool) -> Recipe:
    """The recipe with its suite in the place of its check, if that is wanted."""
    if not wanted:
        return recipe
    if recipe.suite is None:
        raise RecipeError(
            f"{recipe.label} has no suite",
            hint=f"add a table [suite] with `script` to {recipe.directory / 'recipe.toml'}",
        )
    return replace(recipe, check=recipe.suite)


def _check(recipe: Recipe, args: argparse.Namespace, factory: Factory) -> tuple[CheckResult, ...]:
    if args.profile and factory.mode == NATIVE_MODE:
        raise PrerequisiteMissing(
            "QEMU stands in for the CPUs that --profile names; a riscv64 machine has its own",
            hint="leave --profile out",
        )
    profiles = args.profile or factory.profiles(recipe)
    with own_folder(factory.layout.jobs, "check", recipe.name, keep=factory.keep) as folder:
        return _check_in(folder, recipe, profiles, args.index, factory)


def _check_in(
    folder: Path, recipe: Recipe, profiles: Sequence[str], index: Path | None, factory: Factory
) -> tuple[CheckResult, ...]:
    with factory.stages(factory.label(recipe))("check") as log:
        if index is not None:
            return run_check(recipe, index, folder / "work", profiles, factory, log)
        python, toolchain = factory.target.python, factory.toolchain
        own = factory.store.latest(canonicalize_name(recipe.name), python, toolchain)
        if own is None:
            options = recipe.options_for(python, toolchain)
            raise CheckFailed(
                f"{factory.label(recipe)} was not built yet", hint=f"run: factory build {recipe.name} {options}"
            )
        wheel = factory.store.wheel_path(own)
        return check_wheel(wheel, stored_beside(wheel, factory), recipe, folder, profiles, factory, log)
