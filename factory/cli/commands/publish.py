"""`factory publish`: publish these wheels, if the store has records of their checks."""

from __future__ import annotations

import argparse
from pathlib import Path

from factory.cli.commands.index import configure_publishing, publish_and_show
from factory.errors import PublishError
from factory.host.ownership import restore_owner
from factory.model.artifacts import StoredWheel
from factory.publish.wheel_metadata import write_metadata
from factory.store.store import Store
from factory.util.paths import default_layout

# As for `factory index`.
NEEDS_ROOT = True


def configure(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    parser.add_argument("wheels", nargs="+", type=Path, metavar="WHEEL", help="a wheel that was built and checked")
    where = parser.add_mutually_exclusive_group()
    where.add_argument(
        "--url",
        metavar="BASE",
        help="the wheels were uploaded to this address: link to BASE/FILE instead of keeping the file in the index",
    )
    where.add_argument(
        "--write-metadata",
        type=Path,
        metavar="DIR",
        help="publish nothing: write FILE.metadata of each wheel into this folder, to be uploaded beside it",
    )
    configure_publishing(parser)


def run(args: argparse.Namespace) -> int:
    """Publish; print what is in the index and how to install from it."""
    layout = default_layout()
    store = Store(layout.store)
    candidates = [candidate(path, store) for path in args.wheels]
    if args.write_metadata is None:
        publish_and_show(candidates, args, layout)
        return 0
    for each in candidates:
        print(write_metadata(each.path, args.write_metadata))
    restore_owner(args.write_metadata)
    return 0


def candidate(wheel: Path, store: Store) -> StoredWheel:
    """A file with the record of its checks.

    Raises:
        PublishError: it is not there, or no record says that exactly these bytes passed their checks.
    """
    if not wheel.is_file():
        raise PublishError(
            f"{wheel} is not a file", hint="wheels that were built are in the store: factory index takes all"
        )
    found = store.candidate(wheel)
    if found is None:
        raise PublishError(
            f"{wheel.name} is not published: no build record says that this file passed its checks",
            hint="what was not run is not published; build and check it: factory build NAME",
        )
    return found
