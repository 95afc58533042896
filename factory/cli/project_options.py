"""Options that select the project folder, and the index and the ledger of a command."""

from __future__ import annotations

import argparse
import shlex
from pathlib import Path

from factory.cli.values import folder_path
from factory.util.project import INDEX_FOLDER, find_project, project_folder

DEFAULT_OUTPUT = Path("dist/index")
LEDGER_FOLDER = "ledger"


def add_project_option(parser: argparse.ArgumentParser) -> None:
    """Declare the project folder."""
    parser.add_argument(
        "--project",
        type=Path,
        metavar="DIR",
        help="project folder, with recipes/, patches/ and index/ (default: the nearest one, upwards)",
    )


def optional_project(args: argparse.Namespace) -> Path | None:
    """Return the project folder, None without one, for a command that can do without.

    Raises:
        RecipeError: the options name a folder that is no project.
    """
    return find_project() if args.project is None else project_folder(args.project)


def add_index_options(parser: argparse.ArgumentParser, more: str = "") -> None:
    """Declare the index that a command works on; `more` is added to the help of --ledger."""
    parser.add_argument(
        "--output",
        type=folder_path,
        default=DEFAULT_OUTPUT,
        metavar="DIR",
        help="folder of the index (default: %(default)s)",
    )
    parser.add_argument(
        "--ledger",
        type=folder_path,
        metavar="DIR",
        help=f"ledger of releases (default: {INDEX_FOLDER}/{LEDGER_FOLDER} of the project){more}",
    )
    add_project_option(parser)


def ledger_folder(args: argparse.Namespace, output: Path) -> Path:
    """Return the ledger that the options name, else the project's.

    A ledger that an older factory wrote into the index's folder is used until the project has one; so is that folder
    without a project.

    Raises:
        RecipeError: the options name a folder that is no project, or there is neither project nor such a ledger.
    """
    if args.ledger is not None:
        return Path(args.ledger)
    project = optional_project(args)
    inside = output / LEDGER_FOLDER
    if project is None:
        return inside if inside.is_dir() else project_folder(None) / INDEX_FOLDER / LEDGER_FOLDER
    own = project / INDEX_FOLDER / LEDGER_FOLDER
    return inside if inside.is_dir() and not own.is_dir() else own


def pages_hint(args: argparse.Namespace) -> str:
    """Return the command that updates the pages of the ledger that `args` select."""
    words = ["factory", "index", "--pages-only", "--output", str(args.output)]
    words += [] if args.ledger is None else ["--ledger", str(args.ledger)]
    words += [] if args.project is None else ["--project", str(args.project)]
    return f"update the pages: {shlex.join(words)}"
