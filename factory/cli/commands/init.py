"""`factory init`: make a project folder, for recipes, patches and an index."""

from __future__ import annotations

import argparse
import shlex
from pathlib import Path

from factory.cli.printable import printable
from factory.util.atomic_files import write_file
from factory.util.paths import shown_path
from factory.util.project import INDEX_FOLDER, PATCHES_FOLDER, RECIPES_FOLDER

SITE = """\
# The title of the index's pages. Its address, the page of its recipes, and the page for reports and requests:
# url = "https://wheels.example"
# repository = "https://git.example/wheels"
# issues = "https://git.example/wheels/issues"
title = "riscv64 wheels"
"""
UPSTREAM = """\
# Packages of other projects that the index also offers; factory refresh looks them up.
packages = []
"""
FILES = {
    f"{INDEX_FOLDER}/site.toml": SITE,
    f"{INDEX_FOLDER}/upstream.toml": UPSTREAM,
    ".gitignore": f"dist/\n{INDEX_FOLDER}/ledger/.*\n",
}


def configure(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    parser.add_argument(
        "folder", nargs="?", type=Path, default=Path(), metavar="DIR", help="folder to make it in (default: this one)"
    )


def run(args: argparse.Namespace) -> int:
    """Make what is missing of a project folder; existing files stay unchanged."""
    folder: Path = args.folder
    folders = [name for name in (RECIPES_FOLDER, PATCHES_FOLDER) if not (folder / name).is_dir()]
    for name in folders:
        (folder / name).mkdir(parents=True)
    files = [name for name in FILES if not (folder / name).exists()]
    for name in files:
        write_file(folder / name, FILES[name].encode())
    made = ", ".join([*(f"{name}/" for name in folders), *files])
    print(printable(f"{shown_path(folder)}: {f'made {made}' if made else 'no change'}"))
    elsewhere = [] if folder.resolve() == Path.cwd() else ["--project", str(folder)]
    print(printable(f"next: factory new NAME --try {shlex.join(elsewhere)}".rstrip()))
    return 0
