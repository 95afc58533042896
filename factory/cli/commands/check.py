"""`factory check`: install a built package in a clean riscv64 root and run its check."""

from __future__ import annotations

import argparse
from dataclasses import replace
from pathlib import Path

from factory.cli.options import (
    add_build_options,
    add_recipes_python_option,
    add_toolchain_option,
    make_run,
    run_for_recipe,
)
from factory.errors import PrerequisiteMissing, RecipeError
from factory.model.recipe import Recipe
from factory.model.record import CheckResult
from factory.model.target import ALL_PROFILES, NATIVE_MODE
from factory.pipeline.check import PackageCheck, stored_needs
from factory.pipeline.unstored import copy_newest_wheel
from factory.util.jsonio import dumps
from factory.util.scratch import own_folder

NEEDS_ROOT = True


def configure(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    parser.add_argument(
        "name", metavar="NAME", help="a package; its newest wheel is checked, also that of a build whose check failed"
    )
    parser.add_argument(
        "--profile",
        action="append",
        choices=ALL_PROFILES,
        help="ISA profile to run on; repeatable (default: the recipe's)",
    )
    parser.add_argument("--index", type=Path, metavar="DIR", help="install from this published index")
    parser.add_argument("--suite", action="store_true", help="run the project's own tests, as in the recipe's [suite]")
    add_recipes_python_option(parser)
    add_toolchain_option(parser)
    add_build_options(parser)
    parser.add_argument("--json", action="store_true", help="print the results as JSON")


def run(args: argparse.Namespace) -> int:
    """Run the check and print the result of each profile."""
    chosen = make_run(args)
    recipe = chosen.recipes.find(args.name)
    if args.suite:
        recipe = with_suite(recipe)
    results = _check(PackageCheck(recipe=recipe, run=run_for_recipe(args, chosen, recipe)), args)
    if args.json:
        print(dumps(results), end="")
    return 0


def with_suite(recipe: Recipe) -> Recipe:
    """Return the recipe with its suite in place of its check.

    The check says for both which model there is, and whether the package's dependencies can be installed.

    Raises:
        RecipeError: it has no suite.
    """
    if recipe.suite is None:
        raise RecipeError(
            f"{recipe.label}: no suite",
            hint=f"add a table [suite] with `script` to {recipe.directory / 'recipe.toml'}",
        )
    check = recipe.check
    return replace(recipe, check=replace(recipe.suite, model=check.model, dependencies=check.dependencies))


def _check(check: PackageCheck, args: argparse.Namespace) -> tuple[CheckResult, ...]:
    run, recipe = check.run, check.recipe
    if args.profile and run.config.mode == NATIVE_MODE:
        raise PrerequisiteMissing(
            "--profile: not available in native mode: checks run on this machine's own CPU",
            hint="omit --profile",
        )
    profiles = args.profile or check.profiles
    open_stage = run.stages(run.config.label(recipe))
    with own_folder(run.layout.scratch, "check", recipe.name, keep=run.keep) as folder, open_stage("check") as log:
        if args.index is not None:
            return check.run_check(args.index, folder / "work", profiles, log)
        wheel = copy_newest_wheel(recipe, run, folder / "wheel")
        return check.check_wheel(wheel, stored_needs(recipe, run), folder, profiles, log)
