"""`factory lock`: write a lock file (PEP 751) of all that packages need from an index."""

from __future__ import annotations

import argparse
import json
import re
import shlex
from pathlib import Path

from packaging.pylock import is_valid_pylock_path
from packaging.requirements import InvalidRequirement, Requirement

from factory.cli.project_options import DEFAULT_OUTPUT
from factory.cli.values import output_path
from factory.errors import PublishError
from factory.host.ownership import owned_by_user
from factory.model.target import PYTHONS
from factory.publish.lock_files import parse_lock, refuse_local_files, write_lock_file
from factory.publish.resolver import Unresolvable, lock
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
    parser.add_argument(
        "--output", type=_lock_file, default=DEFAULT_FILE, metavar="FILE", help="file to write (default: %(default)s)"
    )
    parser.add_argument("--json", action="store_true", help="print the values as JSON")


def run(args: argparse.Namespace) -> int:
    """Write the lock file; print how to install from it."""
    python, text = _lock(args)
    if isinstance(args.index, str):
        refuse_local_files(text)
    with owned_by_user(args.output):
        write_lock_file(args.output, text)
    packages = parse_lock(text).packages
    if args.json:
        locked = [{"name": each.name, "version": str(each.version)} for each in packages]
        print(json.dumps({"locked": str(args.output), "python": python, "packages": locked}, indent=1))
        return 0
    print(f"{args.output}: {quantity(len(packages), 'package')} for Python {python}")
    print(f"pip install -r {shlex.quote(str(args.output))}  # pip 26.1 or newer")
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
