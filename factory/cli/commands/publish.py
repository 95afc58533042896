"""`factory publish`: publish the given wheels if the store has records of their checks."""

from __future__ import annotations

import argparse
import json
from pathlib import Path

from factory.cli.commands.index import configure_publishing, publish_and_show, read_projects
from factory.cli.notes import Notes
from factory.cli.values import folder_path
from factory.errors import PublishError
from factory.host.ownership import owned_by_user
from factory.model.artifacts import StoredWheel
from factory.publish.wheel_metadata import write_metadata
from factory.store.store import Store
from factory.util.paths import default_layout

# As for `factory index`.
NEEDS_CACHE = True


def configure(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    parser.set_defaults(refuse=parser.error)
    parser.add_argument("wheels", nargs="+", type=Path, metavar="WHEEL", help="a built and checked wheel")
    where = parser.add_mutually_exclusive_group()
    where.add_argument(
        "--url",
        metavar="BASE",
        help="link to the wheels that were uploaded to this address, as BASE/FILE, instead of copying them",
    )
    where.add_argument(
        "--write-metadata",
        type=folder_path,
        metavar="DIR",
        help="publish nothing; write FILE.metadata of each wheel into this folder, to upload beside it",
    )
    configure_publishing(parser)


def run(args: argparse.Namespace) -> int:
    """Publish; print new releases and how to install from the index."""
    if args.write_metadata is not None and (args.mirror or args.force):
        args.refuse("arguments --mirror and --force: not allowed with argument --write-metadata")
    layout = default_layout()
    store = Store(layout.store)
    candidates = [find_candidate(path, store) for path in args.wheels]
    if args.write_metadata is None:
        bases = {each.path.name: args.url for each in candidates if args.url}
        notes = Notes()
        return publish_and_show(candidates, read_projects(args, notes), args, layout, notes, bases=bases)
    with owned_by_user(args.write_metadata):
        written = [str(write_metadata(each.path, args.write_metadata)) for each in candidates]
    print(json.dumps(written, indent=1) if args.json else "\n".join(written))
    return 0


def find_candidate(wheel: Path, store: Store) -> StoredWheel:
    """Return a wheel with the record of its checks.

    Raises:
        PublishError: there is no such file, or no record of passed checks with exactly these bytes.
    """
    if not wheel.is_file():
        raise PublishError(
            f"{wheel}: no such file", hint="built wheels are in the store; publish all of them: factory index"
        )
    found = store.candidate(wheel)
    if found is None:
        raise PublishError(
            f"{wheel.name}: cannot publish: no build record of passed checks for this file",
            hint="build and check it: factory build NAME",
        )
    return found
