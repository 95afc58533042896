"""`factory cache`: export, import, inspect and prune the cache."""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict
from pathlib import Path

from factory.cli.console import Reporter, print_table
from factory.cli.failures import as_object
from factory.cli.notes import print_note
from factory.cli.printable import printable
from factory.cli.values import output_path
from factory.errors import CommandFailed
from factory.host.ownership import owned_by_user
from factory.store.cache_areas import AREAS, ON_REQUEST, RESULTS
from factory.store.cache_export import export_cache
from factory.store.cache_import import exported_files, import_cache, imported_at
from factory.store.prune import Usage, compiler_statistics, in_progress, prune, usage
from factory.util.durations import time_taken
from factory.util.paths import Layout, default_layout
from factory.util.quantities import quantity

# Root filesystems and the files built in them belong to root.
NEEDS_ROOT = True
NEEDS_CACHE = True


def configure(parser: argparse.ArgumentParser) -> None:
    """Declare the actions and their options."""
    actions = parser.add_subparsers(title="actions", metavar="ACTION", required=True)
    export = _add(actions, "export", _export, "write builds in progress, the store and caches to one file")
    export.add_argument("file", type=output_path, metavar="FILE", help="file to write, as in factory-cache.tar.zst")
    export.add_argument("--layers", action="store_true", help="include root filesystems")
    export.add_argument("--downloads", action="store_true", help="include downloaded sources and models")
    export.add_argument("--new", action="store_true", help="only what was added or changed since the last import")
    load = _add(actions, "import", _import, "add the contents of exported files; existing items stay unchanged")
    load.add_argument(
        "files",
        type=Path,
        nargs="+",
        metavar="FILE",
        help="file that factory cache export wrote, or a folder of them",
    )
    load.add_argument(
        "--results", action="store_true", help="only wheels, records, failures and logs, which publishing reads"
    )
    load.add_argument("--missing-ok", action="store_true", help="skip files and folders that do not exist")
    info = _add(actions, "info", _info, "show folder sizes, builds in progress and ccache statistics")
    info.set_defaults(needs_root=False, needs_cache=False, reads_cache=True)
    prune = _add(actions, "prune", _prune, "remove builds and root filesystems that were not used lately")
    prune.add_argument(
        "--days", type=_days, default=30, metavar="N", help="keep those used within N days (default: %(default)s)"
    )


def _add(
    actions: argparse._SubParsersAction[argparse.ArgumentParser],
    name: str,
    action: Callable[[argparse.Namespace], None],
    summary: str,
) -> argparse.ArgumentParser:
    child = actions.add_parser(name, help=summary, description=f"{summary[:1].upper()}{summary[1:]}.")
    child.set_defaults(action=action)
    child.add_argument("--json", action="store_true", help="print the values as JSON")
    return child


def _days(text: str) -> int:
    days = int(text)
    if days < 1:
        raise argparse.ArgumentTypeError("must be at least 1: running builds may use younger items")
    return days


def run(args: argparse.Namespace) -> int:
    """Run the action."""
    args.action(args)
    return 0


def _export(args: argparse.Namespace) -> None:
    reporter, started = Reporter(), time.monotonic()
    areas = [name for name in AREAS if name not in ON_REQUEST or getattr(args, name)]
    with owned_by_user(args.file):
        since = imported_at(default_layout()) if args.new else 0
        items = export_cache(default_layout(), args.file, areas, reporter.line, since=since)
    size, taken = args.file.stat().st_size, time_taken(time.monotonic() - started)
    reporter.line(f"{args.file}: {quantity(items, 'item')}, {size / 1e6:.1f} MB, in {taken}")
    if args.json:
        print(json.dumps({"file": str(args.file), "items": items, "size": size}, indent=1))


def _import(args: argparse.Namespace) -> None:
    wanted = [file for file in args.files if file.exists() or not args.missing_ok]
    rows = [
        (file.name, entry.area, entry.added, entry.kept)
        for each in wanted
        for file in exported_files(each)
        for entry in import_cache(default_layout(), file, Reporter().line, RESULTS if args.results else AREAS)
    ]
    headings = ("file", "area", "added", "kept")
    if args.json:
        print(json.dumps([dict(zip(headings, row, strict=True)) for row in rows], indent=1))
    else:
        print_table(headings, [tuple(map(str, row)) for row in rows])


def _info(args: argparse.Namespace) -> None:
    layout = default_layout()
    folders = usage(layout)
    if partial := [entry.folder for entry in folders if not entry.whole]:
        print_note(f"counted in part, since this user may not read all of it: {', '.join(partial)}")
    if args.json:
        print(json.dumps(_info_as_json(layout, folders), indent=1))
        return
    print(printable(f"cache: {layout.root}{'' if layout.root.is_dir() else ', not made yet'}"))
    if folders:
        print_table(("folder", "MB"), [(entry.folder, f"{entry.size / 1e6:.1f}") for entry in folders])
    builds = in_progress(layout)
    if builds:
        rows = [(build.job, " ".join(build.finished), f"{build.idle / 60:.0f}") for build in builds]
        print_table(("build in progress", "finished", "minutes ago"), rows)
    try:
        counted = compiler_statistics(layout)
    except CommandFailed as error:
        print(f"ccache: no statistics: {error.message}")
        return
    if counted is not None:
        misses = quantity(counted.misses, "miss", "misses")
        print(f"ccache: {quantity(counted.hits, 'hit')} ({counted.remote_hits} remote), {misses}")


def _info_as_json(layout: Layout, folders: Sequence[Usage]) -> dict[str, object]:
    """Return the same values: sizes in bytes, times in seconds."""
    try:
        counted = compiler_statistics(layout)
        ccache = None if counted is None else asdict(counted)
    except CommandFailed as error:
        ccache = as_object(error)
    builds = [asdict(build) for build in in_progress(layout)]
    return {
        "path": str(layout.root),
        "folders": [asdict(entry) for entry in folders],
        "builds": builds,
        "ccache": ccache,
    }


def _prune(args: argparse.Namespace) -> None:
    reporter = Reporter()
    freed = prune(default_layout(), args.days, reporter.line)
    reporter.line(f"{freed / 1e6:.1f} MB removed")
    if args.json:
        print(json.dumps({"removed": freed}, indent=1))
