"""`factory retain`: list only the newest builds of each version; the files of others stay."""

from __future__ import annotations

import argparse

from packaging.utils import canonicalize_name

from factory.cli.project_options import ledger_folder
from factory.cli.release_changes import add_change_options, show_changes
from factory.cli.values import count
from factory.host.ownership import owned_by_user
from factory.publish.ledger import Ledger
from factory.publish.retention import apply_retention


def configure(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    parser.add_argument(
        "names", nargs="*", default=(), metavar="NAME", help="projects (default: all that are built here)"
    )
    parser.add_argument(
        "--builds", type=count, required=True, metavar="N", help="list the N newest builds of each version"
    )
    parser.add_argument("--versions", type=count, metavar="N", help="list the N newest versions (default: all)")
    add_change_options(parser)


def run(args: argparse.Namespace) -> int:
    """Update in the ledger which releases are listed."""
    ledger = Ledger(ledger_folder(args, args.output))
    names = {canonicalize_name(name) for name in args.names}
    with owned_by_user(ledger.folder), ledger.locked():
        changed = ledger.update(apply_retention(ledger.read(), names, builds=args.builds, versions=args.versions))
    show_changes(args, changed, lambda release: "listed" if release.listed else "no longer listed")
    return 0
