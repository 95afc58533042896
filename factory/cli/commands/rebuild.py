"""`factory rebuild`: build a package once more from its build record, and compare the bytes."""

from __future__ import annotations

import argparse
import os
import shutil
from collections.abc import Sequence
from pathlib import Path

from packaging.utils import canonicalize_name

from factory.cli.console import print_table
from factory.cli.options import DEFAULT_MODE, add_root_options, make_run
from factory.errors import NotReproducible, StoreError
from factory.host.privileges import give_back
from factory.model.record import BuildRecord
from factory.pipeline.rebuild import rebuild
from factory.pipeline.wheel_diff import Difference, compare_wheels
from factory.store.store import Store
from factory.util.atomic_files import copy_atomically
from factory.util.paths import short
from factory.util.process import attach
from factory.util.scratch import discard

DEFAULT_OUTPUT = Path("dist/rebuilt")
NEEDS_ROOT = True


def configure(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    parser.add_argument("name", metavar="NAME", help="a package that was built")
    parser.add_argument("--record", metavar="KEY", help="the start of a build record's key (default: the newest one)")
    parser.add_argument("--verify", action="store_true", help="fail if the wheel has other bytes than the recorded one")
    parser.add_argument(
        "--output", type=Path, default=DEFAULT_OUTPUT, metavar="DIR", help="where to write (default: %(default)s)"
    )
    add_root_options(parser)
    parser.set_defaults(mode=DEFAULT_MODE)  # the record's own replaces it


def run(args: argparse.Namespace) -> int:
    """Rebuild; with --verify compare, show what differs, and fail if something does."""
    chosen = make_run(args)
    record = find_record(args.name, args.record, chosen.store)
    folder = chosen.layout.jobs / f"rebuild-{record.name}-{os.getpid()}"
    try:
        rebuilt = rebuild(record, chosen, folder).path
        args.output.mkdir(parents=True, exist_ok=True)
        wheel = args.output / rebuilt.name
        copy_atomically(rebuilt, wheel)
        give_back(args.output)
    finally:
        if not args.keep:
            discard(folder)
    chosen.reporter.line(f"rebuilt: {wheel}")
    if args.verify:
        verify(chosen.store.wheel_path(record), wheel)
        chosen.reporter.line(f"same bytes: sha256 {record.wheel_sha256}")
    return 0


def find_record(name: str, key: str | None, store: Store) -> BuildRecord:
    """The newest record of a package, if possible of a wheel to be published, or the one whose key starts with `key`.

    Raises:
        StoreError: there is none.
    """
    records = store.records_of(canonicalize_name(name))
    found = [record for record in records if key is None or record.key.startswith(key)]
    if not found:
        keys = ", ".join(short(record.key) for record in records)
        raise StoreError(
            f"{name} has no build record{f' that starts with {key}' if key else ''}",
            hint=f"it has {keys}" if keys else f"run: factory build {name}",
        )
    published = [record for record in found if not record.comparison]
    return (published or found)[-1]


def verify(recorded: Path, rebuilt: Path) -> None:
    """Compare two wheels and show what differs, closely where diffoscope is installed.

    Raises:
        NotReproducible: they differ.
    """
    differences = compare_wheels(recorded, rebuilt)
    if not differences:
        return
    print_table(("member", "differs in", "recorded", "rebuilt"), [_row(difference) for difference in differences])
    if shutil.which("diffoscope"):
        attach(["diffoscope", str(recorded), str(rebuilt)])
    raise NotReproducible(
        f"{rebuilt} has other bytes than {recorded}: {len(differences)} differences",
        hint="factory rebuild shows more where diffoscope is installed",
    )


def _row(difference: Difference) -> Sequence[str]:
    sizes = ("" if size is None else f"{size:,}" for size in (difference.before, difference.after))
    return (difference.member, difference.what, *sizes)
