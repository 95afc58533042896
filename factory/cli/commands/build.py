"""`factory build`: build, repair, audit and check packages and their dependencies."""

from __future__ import annotations

import argparse
import time
from collections.abc import Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import replace

from factory.cli.console import print_table
from factory.cli.options import (
    add_build_options,
    add_pythons_option,
    add_toolchains_option,
    make_run,
    wanted_pythons,
)
from factory.cli.values import count, duration
from factory.errors import TimeLimitReached
from factory.model.record import BuildRecord
from factory.pipeline.build import build
from factory.pipeline.job_slots import CompileSlots, processors
from factory.store.store import Store
from factory.util import cancellation
from factory.util.jsonio import dumps

NEEDS_ROOT = True
# Two keep the processors busy: one compiles while the other is in a stage with little parallel work.
DEFAULT_RECIPES = 2


def configure(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    parser.add_argument("names", nargs="+", metavar="NAME", help="recipe: a folder below recipes/")
    add_pythons_option(parser)
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
        default=processors(),
        help="parallel compilers, all recipes together (default: one for each processor, here %(default)s)",
    )
    parser.add_argument(
        "--recipes",
        type=count,
        metavar="N",
        default=DEFAULT_RECIPES,
        help="parallel recipes (default: %(default)s)",
    )
    parser.add_argument("--json", action="store_true", help="print the build records as JSON")


def run(args: argparse.Namespace) -> int:
    """Build, and print a table of the wheels or their records."""
    chosen = replace(make_run(args), slots=CompileSlots(args.jobs), recipes_at_once=args.recipes)
    started = time.monotonic()
    with _limited(args.time_limit):
        records = build(args.names, wanted_pythons(args), chosen, tuple(dict.fromkeys(args.toolchain or ())))
    if args.json:
        print(dumps(tuple(records)), end="")
    else:
        print_wheels(records, chosen.store)
        wheels = len({record.wheel_sha256 for record in records})
        chosen.reporter.line(f"{wheels} wheels in {time.monotonic() - started:.1f} s")
    return 0


def _limited(seconds: int | None) -> AbstractContextManager[object]:
    return nullcontext() if seconds is None else cancellation.time_limit(seconds, TimeLimitReached)


def print_wheels(records: Sequence[BuildRecord], store: Store) -> None:
    """Print a table of wheels: file name, size, Python, profiles that passed, hash."""
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
