"""Texts of recipes and patches, kept in the ledger by the sha256 that build records state.

Recipes and patches change later, and the site is written from the ledger alone.
"""

from __future__ import annotations

import hashlib
import os
import tomllib
from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from pathlib import Path

from factory.errors import PublishError
from factory.publish.release import SHA256
from factory.publish.reports import Build
from factory.publish.safe_text import sanitize
from factory.util.atomic_files import write_if_changed

TEXTS, SUFFIX = "texts", ".txt"


def find_texts(folder: Path) -> Mapping[str, bytes]:
    """Return the recipes and patches of a project folder by their sha256 in build records.

    Files that can't be read are left out: builds report them.
    """
    patches = _contents(folder.glob("patches/*/*/*.patch")).values()
    return dict(_recipes(folder)) | {hashlib.sha256(content).hexdigest(): content for content in patches}


def _contents(paths: Iterable[Path]) -> Mapping[Path, bytes]:
    """Return the contents of the files among `paths`."""
    found = {}
    for path in sorted(paths):
        with suppress(OSError):
            if path.is_file():
                found[path] = path.read_bytes()
    return found


def _recipes(folder: Path) -> Iterator[tuple[str, bytes]]:
    """Yield each recipe with the one that it inherits from, by the recipe's hash."""
    contents = {path.parent.name: content for path, content in _contents(folder.glob("recipes/*/recipe.toml")).items()}
    digests = {name: hashlib.sha256(content).hexdigest() for name, content in contents.items()}
    for name, content in contents.items():
        base = _base_of(content)
        if base not in contents:
            yield digests[name], content
        else:
            both = hashlib.sha256(f"{digests[name]} {digests[base]}".encode()).hexdigest()
            yield both, content + f"\n# What it inherits from {base}:\n\n".encode() + contents[base]


def _base_of(content: bytes) -> str:
    """Return the name of the recipe that one is based on.

    It is empty if there is none or the text is not a recipe's.
    """
    with suppress(tomllib.TOMLDecodeError, UnicodeDecodeError):
        package = tomllib.loads(content.decode()).get("package")
        base = package.get("based-on") if isinstance(package, dict) else None
        return base if isinstance(base, str) else ""
    return ""


def texts_named(build: Build) -> tuple[str, ...]:
    """Return the sha256 of the texts that a build was made with, as far as they are recorded."""
    named = (build.recipe_sha256, *(patch.sha256 for patch in build.patches))
    return tuple(sha256 for sha256 in named if sha256 and SHA256.fullmatch(sha256))


def write_texts(ledger: Path, project: str, build: Build, texts: Mapping[str, bytes]) -> None:
    """Keep the texts of a build in the ledger, as far as `texts` has them."""
    for sha256 in texts_named(build):
        path = ledger / project / TEXTS / f"{sha256}{SUFFIX}"
        if sha256 in texts and not path.is_file():
            write_if_changed(path, texts[sha256])


def read_texts(ledger: Path, project: str) -> Mapping[str, str]:
    """Read a project's texts by their sha256.

    Characters that could deceive a reader are replaced.

    Raises:
        PublishError: a text can't be read.
    """
    folder = ledger / project / TEXTS
    try:
        names = sorted(os.listdir(folder))  # noqa: PTH208 - most projects have none, and a Path costs more
        found = {name.removesuffix(SUFFIX): folder / name for name in names if name.endswith(SUFFIX)}
        return {
            sha256: sanitize(path.read_text(encoding="utf-8", errors="replace"))
            for sha256, path in found.items()
            if SHA256.fullmatch(sha256)
        }
    except FileNotFoundError:
        return {}
    except OSError as error:
        raise PublishError(
            f"{folder}: cannot read the texts of recipes and patches: {error.strerror}",
            hint="restore the folder from git, or remove it",
        ) from error
