"""Edits of recipe.toml that keep its comments and layout."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import tomlkit

from factory.model.recipe import PACKAGE_TABLE
from factory.model.source import SOURCE_TABLE
from factory.util.atomic_files import write_if_changed


def repin(file: Path, version: str, pins: Mapping[str, str]) -> Sequence[int]:
    """Write another version and pins of the source into a recipe, and drop its build number.

    Returns the lines that still have the old version, as a variable of the build may.
    """
    before = _text(file)
    document = tomlkit.parse(before)
    if SOURCE_TABLE not in document:  # all of it is inherited
        document[SOURCE_TABLE] = tomlkit.table()
    # A table, or a proxy of one that is written in several places.
    package: Any = document[PACKAGE_TABLE]
    source: Any = document[SOURCE_TABLE]
    old = str(package["version"])
    package["version"] = version
    package.pop("build", None)
    if "version" in source:
        source["version"] = version
    source.update(pins)
    text = tomlkit.dumps(document)
    if "\n" not in before.replace("\r\n", ""):  # new lines end as the others do
        text = re.sub(r"(?<!\r)\n", "\r\n", text)
    write_if_changed(file, text.encode())
    mention = re.compile(rf"(?<![\w.]){re.escape(old)}(?![\w.]*\w)")
    return [number for number, line in enumerate(text.splitlines(), 1) if mention.search(line)]


def version_comment(file: Path) -> str:
    """Return the comment beside a recipe's version, which may say why it is not a newer one."""
    package: Any = tomlkit.parse(_text(file))[PACKAGE_TABLE]
    return str(package["version"].trivia.comment).lstrip("# ")


def _text(file: Path) -> str:
    """Return a file's text with its own ends of lines."""
    return file.read_bytes().decode()
