"""`factory new`: propose a recipe for a project of the package index, and try it."""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable

from packaging.requirements import InvalidRequirement, Requirement
from packaging.version import InvalidVersion, Version

from factory.cli.commands.build import print_wheels
from factory.cli.options import add_build_options, add_pythons_option, make_run, wanted_pythons
from factory.cli.printable import printable
from factory.errors import RecipeError
from factory.host.ownership import owned_by_user
from factory.pipeline.new_recipe import NewRecipe, propose, try_recipe
from factory.pipeline.run import Run
from factory.recipes.proposal.proposal import Proposal
from factory.util.durations import time_taken
from factory.util.quantities import quantity

NEEDS_ROOT = True
# A project's name is one of a folder, and of files with more words.
MAX_NAME = 200
NO_CHECK = "no test of the project's own can be its check: smoke.py fails until it calls compiled code: edit it"


def configure(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    parser.add_argument("wanted", metavar="NAME[==VERSION]", help="project on the package index (default: its newest)")
    parser.add_argument(
        "--try", dest="trial", action="store_true", help="build it, and change it as known failures suggest"
    )
    add_pythons_option(parser)
    add_build_options(parser)


def run(args: argparse.Namespace) -> int:
    """Write the recipe, and try it."""
    name, version = parse_project(args.wanted)
    chosen = make_run(args)
    chosen = chosen.with_config(chosen.config.for_python(wanted_pythons(args)[0]))
    new = propose(name, version, chosen)
    folder = chosen.recipes.folder / "recipes" / new.proposal.name
    with owned_by_user(folder.parent):
        new.proposal.write(folder)
        print(printable("\n".join(describe(new, str(folder)))))
        if args.trial:
            _try(new.proposal, args, chosen)
    return 0


def _try(proposal: Proposal, args: argparse.Namespace, chosen: Run) -> None:
    started = time.monotonic()
    folder = chosen.recipes.folder / "recipes" / proposal.name
    fresh: Callable[[], Run] = lambda: make_run(args)  # noqa: E731 - recipes are read once for a run
    _, records = try_recipe(proposal, folder, wanted_pythons(args), fresh, chosen.reporter.line)
    print_wheels(records, chosen.store)
    chosen.reporter.line(f"{proposal.name}: built and checked in {time_taken(time.monotonic() - started)}")


def parse_project(text: str) -> tuple[str, str | None]:
    """Return the project and the version of `NAME` or `NAME==VERSION`.

    Raises:
        RecipeError: it is neither.
    """
    name, equal, version = text.partition("==")
    try:
        parsed = Requirement(name)
        if parsed.name != name.strip() or len(name) > MAX_NAME or (equal and not Version(version)):
            raise InvalidRequirement(name)
    except (InvalidRequirement, InvalidVersion) as error:
        raise RecipeError(
            f"{text[:80]!r}: not a project of the package index", hint="run: factory new NAME, or NAME==VERSION"
        ) from error
    return parsed.name, version or None


def describe(new: NewRecipe, folder: str) -> list[str]:
    """Return lines that say what was found and written."""
    proposal, languages = new.proposal, ", ".join(new.languages) or "languages unknown"
    lines = [
        f"{proposal.name} {proposal.version}: {folder}: recipe.toml and smoke.py written",
        f"  source: {new.backend}; {languages}; {new.licence or 'licence unknown'}",
    ]
    for asked, package in new.needed:
        lines.append(f"  Debian package: {package}, for {asked.kind} {asked.name} in {asked.file}")
    if new.riscv64_wheels:
        lines.append(f"  the package index has {quantity(new.riscv64_wheels, 'riscv64 wheel')} of this version")
    tests = ", ".join(proposal.tests)
    lines.append(f"  check: {tests} of {proposal.excerpts[0].file}" if tests else f"  check: {NO_CHECK}")
    lines.append(f"  next: factory build {proposal.name}")
    return lines
