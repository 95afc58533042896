"""`factory retain`: list only the newest builds of each version; older ones stay where they are, unlisted."""

from __future__ import annotations

import argparse

from packaging.utils import canonicalize_name

from factory.cli.commands.index import configure_index, default_ledger, pages_hint
from factory.cli.values import count
from factory.host.ownership import owned_by_user
from factory.publish.ledger import Ledger
from factory.publish.retention import retained


def configure(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    parser.add_argument("names", nargs="*", metavar="NAME", help="these projects only (default: all that we build)")
    parser.add_argument(
        "--builds", type=count, required=True, metavar="N", help="list the N newest builds of each version"
    )
    parser.add_argument("--versions", type=count, metavar="N", help="list the N newest versions (default: all)")
    configure_index(parser)


def run(args: argparse.Namespace) -> int:
    """Note in the ledger what is listed."""
    ledger = Ledger(args.ledger or default_ledger(args.output))
    names = {canonicalize_name(name) for name in args.names}
    with owned_by_user(ledger.folder), ledger.locked():
        changed = ledger.update(retained(ledger.read(), names, builds=args.builds, versions=args.versions))
    for release in changed:
        print(f"{release.filename}: {'listed again' if release.listed else 'not listed any more'}")
    print(pages_hint(args) if changed else "it was so already")
    return 0
