"""`factory rebuild`: rebuild a package from its build record and compare the bytes."""

from __future__ import annotations

import argparse
import json
import shutil
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

from packaging.utils import canonicalize_name

from factory.cli.console import print_table
from factory.cli.options import DEFAULT_MODE, add_environment_option, add_keep_option, make_run
from factory.cli.project_options import add_project_option
from factory.cli.summary_table import markdown
from factory.cli.values import count, folder_path
from factory.cli.workflow_files import add_summary
from factory.errors import FactoryError, NotReproducible, RebuildImpossible, StoreError
from factory.host.ownership import owned_by_user
from factory.model.record import BuildRecord
from factory.pipeline.rebuild import rebuild, sample
from factory.pipeline.run import Run
from factory.pipeline.wheel_diff import Difference, compare_wheels
from factory.store.store import Store
from factory.util.atomic_files import copy_atomically
from factory.util.paths import short
from factory.util.process import attach
from factory.util.quantities import quantity
from factory.util.scratch import own_folder

DEFAULT_OUTPUT = Path("dist/rebuilt")
NEEDS_ROOT = True
SAMPLE_HEADINGS = ("package", "version", "result")


def configure(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    parser.set_defaults(refuse=parser.error)
    parser.add_argument("name", nargs="?", metavar="NAME", help="a built package")
    parser.add_argument(
        "--sample", type=count, metavar="N", help="N of the packages that build in an hour, other ones each week"
    )
    parser.add_argument(
        "--record", metavar="KEY", help="first digits of a build record's key (default: the newest record)"
    )
    parser.add_argument("--verify", action="store_true", help="fail if the bytes differ from the recorded wheel")
    parser.add_argument(
        "--output", type=folder_path, default=DEFAULT_OUTPUT, metavar="DIR", help="output folder (default: %(default)s)"
    )
    add_project_option(parser)
    add_environment_option(parser)
    add_keep_option(parser)
    parser.add_argument("--json", action="store_true", help="print the results as JSON")
    parser.set_defaults(mode=DEFAULT_MODE)  # the record's own replaces it


def run(args: argparse.Namespace) -> int:
    """Rebuild the wheel; with --verify, fail if it differs from the recorded one."""
    if bool(args.name) == bool(args.sample) or (args.sample and args.record):
        args.refuse("give either NAME, also with --record KEY, or --sample N")
    chosen = make_run(args)
    if args.sample:
        return _rebuild_sample(args.sample, chosen, args)
    record = find_record(args.name, args.record, chosen.store)
    _rebuild(record, chosen, args)
    if args.json:
        _print_json([(record.name, record.version, _success(args))])
    return 0


def _rebuild_sample(number: int, run: Run, args: argparse.Namespace) -> int:
    """Rebuild some packages; those whose recipe has changed since are passed over.

    Raises:
        StoreError: nothing was built.
    """
    candidates = sample(run.store.records(), datetime.now(UTC).isocalendar().week)
    if not candidates:
        raise StoreError("--sample: nothing was built yet", hint="run: factory build NAME")
    rows: list[tuple[str, str, str]] = []
    for record in candidates:
        if len(rows) == number:
            break
        try:
            _rebuild(record, run, args)
            result = _success(args)
        except RebuildImpossible as error:
            run.reporter.line(error.message)
            continue
        except FactoryError as error:
            run.reporter.line(str(error))
            result = error.message
        rows.append((record.name, record.version, result))
    if args.json:
        _print_json(rows)
    else:
        print_table(SAMPLE_HEADINGS, rows)
    add_summary(markdown(SAMPLE_HEADINGS, rows))
    return 0 if all(result == _success(args) for *_, result in rows) else NotReproducible.exit_code


def _success(args: argparse.Namespace) -> str:
    return "same bytes" if args.verify else "rebuilt"


def _print_json(rows: Sequence[tuple[str, str, str]]) -> None:
    print(json.dumps([dict(zip(SAMPLE_HEADINGS, row, strict=True)) for row in rows], indent=1))


def _rebuild(record: BuildRecord, chosen: Run, args: argparse.Namespace) -> None:
    # The owner is set last: while the scratch folder exists, the wheel is a further name of a file in it.
    scratch = own_folder(chosen.layout.scratch, "rebuild", record.name, keep=args.keep)
    with owned_by_user(args.output), scratch as folder:
        rebuilt = rebuild(record, chosen, folder).path
        wheel = args.output / rebuilt.name
        copy_atomically(rebuilt, wheel)
    chosen.reporter.line(f"rebuilt: {wheel}")
    if args.verify:
        verify(chosen.store.wheel_path(record), wheel, show=not args.json)
        chosen.reporter.line(f"same bytes: sha256 {record.wheel_sha256}")


def find_record(name: str, key: str | None, store: Store) -> BuildRecord:
    """Find a package's newest record, or the one whose key starts with `key`.

    A publishable record is preferred.

    Raises:
        StoreError: there is none.
    """
    records = store.records_of(canonicalize_name(name))
    found = [record for record in records if key is None or record.key.startswith(key)]
    if not found:
        keys = ", ".join(short(record.key) for record in records)
        raise StoreError(
            f"{name}: no build record{f' with key {key}' if key else ''}",
            hint=f"its records: {keys}" if keys else f"run: factory build {name}",
        )
    published = [record for record in found if not record.comparison]
    return (published or found)[-1]


def verify(recorded: Path, rebuilt: Path, *, show: bool = True) -> None:
    """Compare two wheels and show the differences, in detail where diffoscope is installed.

    Raises:
        NotReproducible: they differ.
    """
    differences = compare_wheels(recorded, rebuilt)
    if not differences:
        return
    if show:
        print_table(("member", "differs in", "recorded", "rebuilt"), [_row(difference) for difference in differences])
        if shutil.which("diffoscope"):
            attach(["diffoscope", str(recorded), str(rebuilt)])
    raise NotReproducible(
        f"{rebuilt}: not reproducible: {quantity(len(differences), 'difference')} from {recorded}",
        hint="install diffoscope to see them in detail",
    )


def _row(difference: Difference) -> Sequence[str]:
    sizes = ("" if size is None else f"{size:,}" for size in (difference.before, difference.after))
    return (difference.member, difference.what, *sizes)
