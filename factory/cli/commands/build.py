"""`factory build`: build, repair, audit and check packages and their dependencies."""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from factory.cli.console import print_paths, print_table
from factory.cli.options import (
    RECIPES_PYTHON,
    add_build_options,
    add_pythons_option,
    add_toolchains_option,
    make_run,
    named_pythons,
)
from factory.cli.summary_table import markdown_table
from factory.cli.values import count, duration
from factory.cli.workflow_files import add_summary
from factory.errors import PublishError, SourceError, StoreError, TimeLimitReached
from factory.model.build_plan import BuildPlan, PlannedGroup
from factory.model.record import BuildRecord
from factory.pipeline.build import Results, build_each
from factory.pipeline.fleet.coordinator import Fleet, connected
from factory.pipeline.job_slots import CompileSlots, processors
from factory.pipeline.run import Run
from factory.pipeline.selection import Selection, pairs, select
from factory.store.store import Store
from factory.util import cancellation
from factory.util.durations import time_taken
from factory.util.jsonio import dumps, load
from factory.util.project import INDEX_FOLDER, project_folder
from factory.util.quantities import quantity

if TYPE_CHECKING:  # requests takes half a second
    from factory.pipeline.substitutes import Substitutes

NEEDS_ROOT = True
# Two keep the processors busy: one compiles while the other is in a stage with little parallel work.
DEFAULT_RECIPES = 2
# Most of them only wait for workers.
FLEET_RECIPES = 200
SITE_FILE = "site.toml"  # as in factory/site/config.py, which is slow to import
# Options that do not reach the workers of a fleet.
NOT_ON_WORKERS = ("group", "toolchain", "substitute", "keep", "recipes", "jobs")


def configure(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    parser.add_argument("names", nargs="*", default=(), metavar="NAME", help="recipe: a folder below recipes/")
    parser.add_argument("--all", action="store_true", help="build all recipes, each for the Pythons that it allows")
    parser.add_argument("--plan", type=Path, metavar="FILE", help="plan that factory plan --output wrote")
    parser.add_argument(
        "--group",
        metavar="ID",
        help="group of the plan to build; what it needs of others is taken from the store",
    )
    add_pythons_option(parser, RECIPES_PYTHON)
    add_toolchains_option(parser)
    add_build_options(parser)
    parser.add_argument(
        "--time-limit",
        type=duration,
        metavar="DURATION",
        help="stop after this time, such as 5h30m, with status 75; the same command resumes",
    )
    parser.add_argument(
        "--jobs",
        type=count,
        metavar="N",
        help=f"parallel compilers, all recipes together (default: one for each processor, here {processors()})",
    )
    parser.add_argument(
        "--recipes",
        type=count,
        metavar="N",
        help=f"parallel recipes (default: {DEFAULT_RECIPES})",
    )
    parser.add_argument(
        "--substitute",
        metavar="URL|DIR",
        help="take builds with the same content key from this index, if a signer that site.toml names signed them "
        "(default: the index that site.toml names as substitute, if any)",
    )
    parser.add_argument("--no-substitute", action="store_true", help="build also what that index of site.toml has")
    parser.add_argument(
        "--only-substitutes", action="store_true", help="build nothing, fail where there is no substitute"
    )
    parser.add_argument(
        "--scheduler",
        metavar="ADDRESS",
        help="let the workers of this dask scheduler build, such as tcp://10.0.0.1:8786",
    )
    parser.add_argument(
        "--exchange", metavar="URL", help="folder or bucket that this machine and all workers reach, for --scheduler"
    )
    parser.add_argument("--json", action="store_true", help="print the build records as JSON")
    parser.set_defaults(refuse=parser.error)


def run(args: argparse.Namespace) -> int:
    """Build, and print a table of the wheels or their records."""
    _refuse_odd_options(args)
    chosen = replace(
        make_run(args),
        slots=CompileSlots(args.jobs or processors()),
        recipes_at_once=FLEET_RECIPES if args.scheduler else args.recipes or DEFAULT_RECIPES,
        substitutes=_substitutes(args),
    )
    group = find_group(args.plan, args.group) if args.group else None
    started = time.monotonic()
    with _limited(args.time_limit), _fleet(chosen, args) as fleet:
        selection = _select_all(chosen, args) if args.all else None
        results = _build(group, selection, chosen, args, fleet)
    add_summary(markdown_table(results, group, chosen.store))
    records = results.records
    try:
        results.require_all_done()
    except TimeLimitReached as error:
        if group is None or not group.resumes:
            raise
        chosen.reporter.line(f"{error.message}\nthe next wave resumes this group")
    if selection is not None:
        _require_all_read(selection)
    if args.json:
        print(json.dumps([_as_json(record, chosen.store) for record in records], indent=1))
    else:
        print_wheels(records, chosen.store)
        wheels = len({record.wheel_sha256 for record in records})
        chosen.reporter.line(f"{quantity(wheels, 'wheel')} in {time_taken(time.monotonic() - started)}")
    return 0


def _refuse_odd_options(args: argparse.Namespace) -> None:
    """Refuse options that do not go together."""
    if sum(map(bool, (args.names, args.all, args.group))) != 1 or bool(args.plan) != bool(args.group):
        args.refuse("give either names of recipes, or --all, or --plan FILE and --group ID")
    if args.no_substitute and (args.substitute or args.only_substitutes):
        args.refuse("argument --no-substitute: not allowed with --substitute or --only-substitutes")
    if bool(args.scheduler) != bool(args.exchange):
        args.refuse("give --scheduler ADDRESS and --exchange URL together")
    odd = [name for name in NOT_ON_WORKERS if getattr(args, name) not in (None, False)]
    if args.scheduler and odd:
        args.refuse(f"argument --{odd[0]}: not allowed with argument --scheduler")


def _substitutes(args: argparse.Namespace) -> Substitutes | None:
    """Return the substitutes that the options or site.toml name, None without any.

    Workers of a fleet read their own site.toml.

    Raises:
        PublishError: the project names no signers.
        PrerequisiteMissing: the libraries that verify signatures are not installed.
    """
    folder = project_folder(args.project) / INDEX_FOLDER
    configured = not (args.no_substitute or args.scheduler) and (folder / SITE_FILE).is_file()
    if args.substitute is None and not configured:
        _refuse_only_substitutes(args)
        return None
    from factory.pipeline.substitutes import Substitutes
    from factory.publish.libraries import CERTIFICATES, KEYS, require_signing
    from factory.site.config import load_settings

    settings = load_settings(folder)
    where, signers = args.substitute or settings.substitute, settings.signers
    if not where:
        _refuse_only_substitutes(args)
        return None
    if not signers:
        raise PublishError(
            f"{folder / SITE_FILE}: no [[signers]]: substitutes are builds of trusted signers only",
            hint='name one there: [[signers]], name = "...", key = "FILE" (a public key of factory attest --new-key)',
        )
    require_signing("--substitute", (*KEYS, *(CERTIFICATES if any(each.identity for each in signers) else ())))
    return Substitutes(where=where, signers=signers, only=args.only_substitutes)


def _refuse_only_substitutes(args: argparse.Namespace) -> None:
    if args.only_substitutes:
        args.refuse("argument --only-substitutes: needs argument --substitute, or substitute in site.toml")


def _select_all(run: Run, args: argparse.Namespace) -> Selection:
    """Select all recipes; report and keep the failures of those whose source cannot be read."""
    run.recipes.require_all()
    found = select(run.recipes.by_name, named_pythons(args), run)
    for failure in found.refused:
        run.store.add_failure(failure)
        run.reporter.line(f"{failure.name} {failure.version}: not built: {failure.message}")
    return found


def _require_all_read(selection: Selection) -> None:
    """Require that the source of each recipe was read.

    Raises:
        SourceError: one was not.
    """
    if selection.refused:
        names = ", ".join(dict.fromkeys(f"{each.name} {each.version}" for each in selection.refused))
        raise SourceError(f"{names}: not built: {selection.refused[0].message}")


def _build(
    group: PlannedGroup | None, selection: Selection | None, run: Run, args: argparse.Namespace, fleet: Fleet | None
) -> Results:
    toolchains = tuple(dict.fromkeys(args.toolchain or ()))
    if group is not None:
        return build_each([(each.name, each.python) for each in group.builds], run, toolchains, others=False)
    if selection is not None:
        wanted = [(job.recipe.name, job.python) for job in selection.jobs]
    else:
        wanted = pairs(args.names, named_pythons(args), run)
    return build_each(wanted, run, toolchains, fleet=fleet)


def _fleet(run: Run, args: argparse.Namespace) -> AbstractContextManager[Fleet | None]:
    return connected(args.scheduler, args.exchange, run) if args.scheduler else nullcontext()


def find_group(plan: Path, name: str) -> PlannedGroup:
    """Return a group of a plan's file.

    Raises:
        StoreError: there is no such file or group, or it is damaged.
    """
    if not plan.is_file():
        raise StoreError(f"{plan}: file not found", hint="write it: factory plan --all --github-matrix --output FILE")
    groups = {group.id: group for group in load(plan, BuildPlan).groups}
    if name not in groups:
        raise StoreError(f"{plan}: no group {name!r}", hint=f"its groups: {', '.join(groups) or 'none'}")
    return groups[name]


def _limited(seconds: int | None) -> AbstractContextManager[object]:
    return nullcontext() if seconds is None else cancellation.time_limit(seconds, TimeLimitReached)


def _as_json(record: BuildRecord, store: Store) -> dict[str, object]:
    return {**json.loads(dumps(record)), "path": str(store.wheel_path(record))}


def print_wheels(records: Sequence[BuildRecord], store: Store) -> None:
    """Print a table of wheels, and their paths.

    The table has file name, size, Python, profiles that passed, and hash.
    """
    rows = [
        (
            record.wheel,
            f"{store.wheel_path(record).stat().st_size / 1e6:.2f} MB",
            record.target.python,
            record.built_with,
            " ".join(result.profile for result in record.checks),
            record.wheel_sha256[:16],
        )
        for record in records
    ]
    print_table(("wheel", "size", "Python", "compilers", "passed on", "sha256"), rows)
    print_paths(dict.fromkeys(store.wheel_path(record) for record in records))
