"""`factory attest`: sign statements of how stored wheels were built and checked."""

from __future__ import annotations

import argparse
import json
from collections.abc import Sequence
from pathlib import Path

from factory.cli.own_wheels import OwnRecipes, own_wheels
from factory.cli.project_options import LEDGER_FOLDER, add_project_option
from factory.cli.values import folder_path, output_path
from factory.errors import PublishError
from factory.host.ownership import owned_by_user
from factory.model.artifacts import StoredWheel
from factory.publish.attest import Attestable, attest_with_key, attestable
from factory.publish.ledger import Ledger
from factory.publish.own_keys import make_key
from factory.recipes.loader import recipe_projects
from factory.store.store import Store
from factory.util.paths import default_layout
from factory.util.project import INDEX_FOLDER, PATCHES_FOLDER, RECIPES_FOLDER, project_folder

# The statements are written beside the stored wheels.
NEEDS_CACHE = True


def configure(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    parser.add_argument(
        "wheels",
        nargs="*",
        default=(),
        type=Path,
        metavar="WHEEL",
        help="stored wheel (default: all of this project's recipes)",
    )
    how = parser.add_mutually_exclusive_group(required=True)
    how.add_argument("--key", type=Path, metavar="FILE", help="private key to sign with")
    how.add_argument(
        "--identity", action="store_true", help="sign with the identity of this workflow, as provenance (PEP 740)"
    )
    how.add_argument(
        "--new-key", type=output_path, metavar="FILE", help="sign nothing; make a private key, and FILE.pub"
    )
    parser.add_argument(
        "--trust-config", type=Path, metavar="FILE", help="with --identity: file of another instance of sigstore"
    )
    parser.add_argument("--ledger", type=folder_path, metavar="DIR", help="leave out the wheels that this ledger has")
    add_project_option(parser)
    parser.add_argument("--json", action="store_true", help="print the files as JSON")
    parser.set_defaults(refuse=parser.error)


def run(args: argparse.Namespace) -> int:
    """Sign, and print the files that were written."""
    if args.trust_config is not None and not args.identity:
        args.refuse("argument --trust-config: not allowed without argument --identity")
    if args.new_key is not None:
        with owned_by_user(args.new_key.parent):
            written = [args.new_key, make_key(args.new_key)]
    elif args.identity:
        from factory.publish.attest_identity import attest_with_identity

        written = attest_with_identity(_chosen(args), args.trust_config)
    else:
        written = attest_with_key(_chosen(args), args.key)
    names = [str(path) for path in written]
    print(json.dumps(names, indent=1) if args.json else "\n".join(names or ["all wheels are attested"]))
    return 0


def _chosen(args: argparse.Namespace) -> list[Attestable]:
    """Return the named wheels, or without names those of this project."""
    store = Store(default_layout().store)
    wheels = store.published_candidates() if args.wheels else _of_project(store, args)
    found = {each.wheel.path.name: each for each in attestable(wheels, store.records())}
    for wheel in args.wheels:
        if wheel.name not in found:
            raise PublishError(
                f"{wheel.name}: not attested: the store has no checked build of it", hint="run: factory build NAME"
            )
    names = [wheel.name for wheel in args.wheels] or list(found)
    return [found[name] for name in names if args.ledger is None or Ledger(args.ledger).find(name) is None]


def _of_project(store: Store, args: argparse.Namespace) -> Sequence[StoredWheel]:
    folder = project_folder(args.project)
    projects, _ = recipe_projects(folder / RECIPES_FOLDER)
    ledger = Ledger(args.ledger or folder / INDEX_FOLDER / LEDGER_FOLDER)
    return own_wheels(store, OwnRecipes(projects, folder / PATCHES_FOLDER), ledger)[0]
