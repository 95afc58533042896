"""`factory shell`: open a shell in the root of a package's last build, or of its check."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import replace

from packaging.utils import canonicalize_name

from factory.cli.options import (
    add_build_options,
    add_recipes_python_option,
    add_toolchain_option,
    run_for_python,
    run_for_recipe,
)
from factory.model.protocols import Command
from factory.model.target import ALL_PROFILES
from factory.pipeline.check import PackageCheck, stored_needs
from factory.pipeline.debug_shell import debug_root
from factory.pipeline.job import prepare_package
from factory.pipeline.run import Run
from factory.pipeline.unstored import copy_newest_wheel
from factory.stages.checks.runner import CHECK, on_profile
from factory.util.scratch import own_folder

NEEDS_ROOT = True
RUNS_COMMAND = True
CHECKS = f"the check is: {' '.join(CHECK)}"


def configure(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    parser.set_defaults(refuse=parser.error)
    parser.add_argument("name", metavar="NAME", help="a package; its source tree is /build/src")
    parser.add_argument(
        "--check", action="store_true", help=f"open the check's root, with the package installed; {CHECKS}"
    )
    parser.add_argument("--profile", choices=ALL_PROFILES, help="ISA profile of --check (default: the recipe's first)")
    parser.add_argument("--network", action="store_true", help="turn the network on; builds have none")
    add_recipes_python_option(parser)
    add_toolchain_option(parser)
    add_build_options(parser)
    parser.add_argument(
        "command", nargs="*", default=(), metavar="COMMAND", help="command to run instead of a shell, after --"
    )


def run(args: argparse.Namespace) -> int:
    """Open the shell; returns its exit status."""
    chosen, words = run_for_python(args), args.command or ["bash"]
    if args.check:
        return _in_check(args, words, chosen)
    if args.profile:
        args.refuse("argument --profile: not allowed without argument --check")
    prepared = prepare_package(canonicalize_name(args.name), chosen, args.toolchain)
    with debug_root(prepared, chosen) as root:
        return root.interact(Command(words, network=args.network))


def _in_check(args: argparse.Namespace, words: Sequence[str], chosen: Run) -> int:
    recipe = chosen.recipes.find(args.name)
    run = run_for_recipe(args, chosen, recipe)
    check = PackageCheck(recipe=recipe, run=run)
    profile = args.profile or check.profiles[0]
    with own_folder(run.layout.scratch, "check", recipe.name, keep=run.keep) as folder, ExitStack() as opened:
        with run.stages(run.config.label(recipe))("check shell") as log:
            wheel = copy_newest_wheel(recipe, run, folder / "wheel")
            needs = stored_needs(recipe, run)
            root, model = opened.enter_context(check.opened_for_person(wheel, needs, folder, [profile], log))
        run.reporter.line(CHECKS)
        command = on_profile(words, profile, recipe, model)
        return root.interact(replace(command, network=args.network))
