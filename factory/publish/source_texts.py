"""Texts of recipes and patches, kept in the ledger by the sha256 that build records state.

Recipes and patches change later, and the site is written from the ledger alone.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator, Mapping
from pathlib import Path

from factory.errors import PublishError
from factory.publish.release import SHA256
from factory.publish.reports import Build
from factory.publish.safe_text import sanitize
from factory.util.atomic_files import write_if_changed

TEXTS, SUFFIX = "texts", ".txt"


def find_texts(folder: Path) -> Mapping[str, bytes]:
    """Return the recipes and patches of a project folder by their sha256 in build records."""
    patches = (path.read_bytes() for path in sorted(folder.glob("patches/*/*/*.patch")) if path.is_file())
    return dict(_recipes(folder)) | {hashlib.sha256(content).hexdigest(): content for content in patches}


def _recipes(folder: Path) -> Iterator[tuple[str, bytes]]:
    """Yield each recipe, alone and with each other one that it may inherit from."""
    files = [path for path in sorted(folder.glob("recipes/*/recipe.toml")) if path.is_file()]
    contents = [(path, path.read_bytes()) for path in files]
    digests = {path: hashlib.sha256(content).hexdigest() for path, content in contents}
    for path, content in contents:
        yield digests[path], content
        for base, inherited in contents:
            both = hashlib.sha256(f"{digests[path]} {digests[base]}".encode()).hexdigest()
            yield both, content + f"\n# What it inherits from {base.parent.name}:\n\n".encode() + inherited


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
    """Read a project's texts by their sha256; characters that could deceive a reader are replaced.

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
