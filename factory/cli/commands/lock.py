"""`factory lock`: write a lock file (PEP 751) of all that packages need from an index."""

from __future__ import annotations

import argparse
import json
import re
import shlex
from pathlib import Path

from packaging.pylock import is_valid_pylock_path
from packaging.requirements import InvalidRequirement, Requirement
from packaging.utils import canonicalize_name

from factory.cli.project_options import DEFAULT_OUTPUT, add_ledger_options, ledger_folder, pages_hint
from factory.cli.values import output_path
from factory.errors import PublishError
from factory.host.ownership import owned_by_user
from factory.model.target import PYTHONS
from factory.publish.ledger import Ledger
from factory.publish.lock_files import parse_lock, write_lock, write_lock_file
from factory.publish.resolver import Unresolvable, lock
from factory.site.config import load_settings
from factory.util.quantities import quantity

DEFAULT_FILE = Path("pylock.toml")


def configure(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    parser.add_argument(
        "requirements", nargs="+", type=_requirement, metavar="NAME", help="package, as for pip: vllm or vllm==0.33.0"
    )
    parser.add_argument(
        "--python",
        choices=PYTHONS,
        help=f"Python version (default: {PYTHONS[0]}, or the first that the index has all wheels for)",
    )
    parser.add_argument(
        "--index",
        type=_index,
        default=DEFAULT_OUTPUT,
        metavar="DIR",
        help="folder of the index, or address of its simple pages (default: %(default)s)",
    )
    where = parser.add_mutually_exclusive_group()
    where.add_argument(
        "--output", type=_lock_file, default=DEFAULT_FILE, metavar="FILE", help="file to write (default: %(default)s)"
    )
    where.add_argument(
        "--publish", action="store_true", help="keep it in the index's ledger: the project's page offers it"
    )
    add_ledger_options(parser, ", with --publish")
    parser.add_argument("--json", action="store_true", help="print the values as JSON")
    parser.set_defaults(refuse=parser.error)


def run(args: argparse.Namespace) -> int:
    """Write the lock file; print how to install from it."""
    if args.publish:
        return _publish(args)
    if args.ledger is not None or args.project is not None:
        args.refuse("arguments --ledger and --project: not allowed without argument --publish")
    python, text = _lock(args)
    if isinstance(args.index, str):
        _refuse_local_files(text)
    with owned_by_user(args.output):
        write_lock_file(args.output, text)
    _show(args, str(args.output), python, text, f"pip install -r {shlex.quote(str(args.output))}  # pip 26.1 or newer")
    return 0


def _publish(args: argparse.Namespace) -> int:
    """Keep the lock file in the ledger, with the addresses that the index has for its users."""
    requirement = Requirement(args.requirements[0])
    if len(args.requirements) != 1 or requirement.extras or isinstance(args.index, str):
        args.refuse("argument --publish: takes one NAME without extras, and the folder of an index")
    folder = ledger_folder(args, args.index)
    project = canonicalize_name(requirement.name)
    if not Ledger(folder).read_project(project):
        raise PublishError(f"{project}: not published in {folder}", hint=f"run: factory index {project}")
    site = load_settings(folder.parent).url
    if not site:
        raise PublishError(
            f"{folder.parent / 'site.toml'}: no url: a lock file holds addresses",
            hint='write the index\'s address there: url = "https://..."',
        )
    python, text = _lock(args)
    text = text.replace(f"{args.index.resolve().as_uri()}/", f"{site}/")
    _refuse_local_files(text)
    with owned_by_user(folder), Ledger(folder).locked():
        changed = write_lock(folder, project, python, text)
    _show(args, project, python, text, pages_hint(args, args.index), changed=changed)
    return 0


def _lock(args: argparse.Namespace) -> tuple[str, str]:
    """Return the chosen Python, or else the first that the requirements resolve for, and its lock file.

    Raises:
        Unresolvable: they resolve for none; of the first Python.
    """
    index, failures = _address(args.index), []
    for python in [args.python] if args.python else PYTHONS:
        try:
            return python, lock(args.requirements, python=python, index=index)
        except Unresolvable as error:
            failures.append(error)
    raise failures[0]


def _show(args: argparse.Namespace, written: str, python: str, text: str, use: str, *, changed: bool = True) -> None:
    """Print the lock file or project, the number of locked packages, and how to use them."""
    locked = [{"name": each.name, "version": str(each.version)} for each in parse_lock(text).packages]
    if args.json:
        print(json.dumps({"locked": written, "python": python, "changed": changed, "packages": locked}, indent=1))
        return
    count, unchanged = quantity(len(locked), "package"), "" if changed else ", no change"
    print(f"{written}: {count} for Python {python}{unchanged}\n{use}")


def _refuse_local_files(text: str) -> None:
    """Refuse a lock file for other machines that names files of this one."""
    for package in parse_lock(text).packages:
        for wheel in package.wheels or ():
            if not re.match("(?i)https?://", address := wheel.url or wheel.path or ""):
                raise PublishError(
                    f"{package.name}: cannot lock a file of this machine: {address}",
                    hint="give the file an http address in the index",
                )


def _address(index: Path | str) -> str:
    """Return the address of an index's simple pages.

    It has no symbolic links: the pages' own links are relative to it.
    """
    if isinstance(index, str):
        return index
    if not (index / "simple").is_dir():
        raise PublishError(
            f"{index}: not an index: it has no folder simple/",
            hint="write one: factory index --output DIR; or name another one's folder or address: --index DIR",
        )
    return (index.resolve() / "simple").as_uri()


def _index(text: str) -> Path | str:
    return text if re.match("(?i)https?://", text) else Path(text)


def _requirement(text: str) -> str:
    try:
        requirement = Requirement(text)
    except InvalidRequirement as error:
        raise argparse.ArgumentTypeError(f"{text!r} is not a requirement: {error}") from error
    if requirement.url is not None:
        raise argparse.ArgumentTypeError(f"{text!r} has an address: name a package of the index")
    return str(requirement)


def _lock_file(text: str) -> Path:
    if not is_valid_pylock_path(path := output_path(text)):
        raise argparse.ArgumentTypeError(f"{text!r} is not pylock.toml or pylock.NAME.toml (PEP 751)")
    return path
