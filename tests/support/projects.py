"""Project folders with recipes and patches, written for tests."""

from __future__ import annotations

from pathlib import Path

from factory.recipes.recipe_set import RecipeSet
from factory.stages.sources.kinds import SOURCE_KINDS
from tests.support.archives import file_entry, tar_bytes
from tests.support.index_server import IndexServer
from tests.support.recipes import SMALLEST, write

CALLS = "import spam\nassert spam.add(1, 2) == 3\n"
PATCH = """\
Subject: Say eggs
Description: Spam says ham where its documentation promises eggs
Upstream-Status: Pending
---
--- a/spam.py
+++ b/spam.py
@@ -1 +1 @@
-WORD = "ham"
+WORD = "eggs"
"""


def make_project(root: Path, text: str = SMALLEST, *, smoke: str = CALLS, patch: str = "") -> RecipeSet:
    """Write the recipe `spam` with its script, and a patch of spam 1.0 unless it is empty."""
    folder = write(root / "recipes", text)
    (folder / "smoke.py").write_text(smoke)
    if patch:
        add_patch(root, patch)
    return RecipeSet(root, SOURCE_KINDS)


def add_patch(root: Path, text: str, name: str = "0001-say-eggs.patch", version: str = "1.0") -> Path:
    """Write a patch of spam."""
    path = root / "patches/spam" / version / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    return path


def spam_sdist(version: str = "1.0", *, word: str = "ham", requires: str = '"flit_core"', core: str = "") -> bytes:
    """Return a source distribution of spam whose module has one line.

    `core` are further lines of PKG-INFO.
    """
    top = f"spam-{version}"
    system = f'[build-system]\nrequires = [{requires}]\nbuild-backend = "flit_core.buildapi"\n'
    return tar_bytes(
        [
            file_entry(f"{top}/PKG-INFO", f"Metadata-Version: 2.4\nName: spam\nVersion: {version}\n{core}".encode()),
            file_entry(f"{top}/pyproject.toml", system.encode()),
            file_entry(f"{top}/spam.py", f'WORD = "{word}"\n'.encode()),
        ]
    )


def serve_spam(index: IndexServer, version: str = "1.0", **options: str) -> str:
    """Put a source distribution of spam on the index; returns its sha256."""
    return index.add(f"spam-{version}.tar.gz", spam_sdist(version, **options))
