"""`factory attest`: sign statements of how stored wheels were built and checked."""

from __future__ import annotations

import argparse
import json
from collections.abc import Sequence
from pathlib import Path

from factory.errors import PublishError
from factory.host.ownership import owned_by_user
from factory.publish.attest import Attestable, attest_with_key, attestable
from factory.publish.own_keys import make_key
from factory.store.store import Store
from factory.util.paths import default_layout

# The statements are written beside the stored wheels.
NEEDS_CACHE = True


def configure(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    parser.add_argument(
        "wheels", nargs="*", type=Path, metavar="WHEEL", help="stored wheel (default: all that can be published)"
    )
    how = parser.add_mutually_exclusive_group(required=True)
    how.add_argument("--key", type=Path, metavar="FILE", help="private key to sign with")
    how.add_argument("--new-key", type=Path, metavar="FILE", help="sign nothing; make a private key, and FILE.pub")
    parser.add_argument("--json", action="store_true", help="print the files as JSON")


def run(args: argparse.Namespace) -> int:
    """Sign, and print the files that were written."""
    if args.new_key is not None:
        with owned_by_user(args.new_key.parent):
            written = [args.new_key, make_key(args.new_key)]
    else:
        written = attest_with_key(_chosen(args.wheels, Store(default_layout().store)), args.key)
    names = [str(path) for path in written]
    print(json.dumps(names, indent=1) if args.json else "\n".join(names or ["all wheels are attested"]))
    return 0


def _chosen(wheels: Sequence[Path], store: Store) -> list[Attestable]:
    found = attestable(store.published_candidates(), store.records())
    if not wheels:
        return found
    by_name = {each.wheel.path.name: each for each in found}
    for wheel in wheels:
        if wheel.name not in by_name:
            raise PublishError(
                f"{wheel.name}: not attested: the store has no checked build of it", hint="run: factory build NAME"
            )
    return [by_name[wheel.name] for wheel in wheels]
