"""`factory lock`: write a lock file (PEP 751) of all that packages need from an index."""

from __future__ import annotations

import argparse
import re
from pathlib import Path

from packaging.pylock import is_valid_pylock_path
from packaging.requirements import InvalidRequirement, Requirement
from packaging.utils import canonicalize_name

from factory.cli.commands.index import DEFAULT_OUTPUT, default_ledger, pages_hint
from factory.cli.options import add_python_option
from factory.errors import PublishError
from factory.host.ownership import owned_by_user
from factory.publish.lock_files import write_lock
from factory.publish.resolver import lock
from factory.site.config import load_settings
from factory.util.atomic_files import write_if_changed

DEFAULT_FILE = Path("pylock.toml")


def configure(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    parser.add_argument(
        "requirements", nargs="+", type=_requirement, metavar="NAME", help="package, as for pip: vllm or vllm==0.33.0"
    )
    add_python_option(parser)
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
    parser.add_argument(
        "--ledger", type=Path, metavar="DIR", help="with --publish: ledger of releases (default: as for factory index)"
    )
    parser.set_defaults(refuse=parser.error)


def run(args: argparse.Namespace) -> int:
    """Write the lock file; print how to install from it."""
    if args.publish:
        return _publish(args)
    text = lock(args.requirements, python=args.python, index=_address(args.index))
    write_if_changed(args.output, text.encode())
    print(f"{args.output}: {_count(text)} packages for Python {args.python}")
    print(f"pip install -r {args.output}")
    return 0


def _publish(args: argparse.Namespace) -> int:
    """Keep the lock file in the ledger, with the addresses that the index has for its users."""
    if len(args.requirements) != 1 or isinstance(args.index, str):
        args.refuse("argument --publish: takes one NAME and the folder of an index")
    folder: Path = args.ledger or default_ledger(args.index)
    project = canonicalize_name(Requirement(args.requirements[0]).name)
    if not (folder / project).is_dir():
        raise PublishError(f"{project}: not published in {folder}", hint=f"run: factory index {project}")
    site = load_settings(folder.parent).url
    if not site:
        raise PublishError(
            f"{folder.parent / 'site.toml'}: no url: a lock file holds addresses",
            hint='write the index\'s address there: url = "https://..."',
        )
    text = lock(args.requirements, python=args.python, index=_address(args.index))
    text = text.replace(f"{args.index.absolute().as_uri()}/", f"{site}/")
    with owned_by_user(folder):
        changed = write_lock(folder, project, args.python, text)
    args.output = args.index
    print(f"{project}: {_count(text)} packages for Python {args.python}{'' if changed else ', no change'}")
    print(pages_hint(args))
    return 0


def _count(text: str) -> int:
    return text.count("[[packages]]")


def _address(index: Path | str) -> str:
    return index if isinstance(index, str) else (index / "simple").absolute().as_uri()


def _index(text: str) -> Path | str:
    return text if re.match(r"(https?|file)://", text) else Path(text)


def _requirement(text: str) -> str:
    try:
        return str(Requirement(text))
    except InvalidRequirement as error:
        raise argparse.ArgumentTypeError(f"{text!r} is not a requirement: {error}") from error


def _lock_file(text: str) -> Path:
    if not is_valid_pylock_path(path := Path(text)):
        raise argparse.ArgumentTypeError(f"{text!r} is not pylock.toml or pylock.NAME.toml (PEP 751)")
    return path
