"""Lint with network: pins, patches, licences and Debian packages."""

from __future__ import annotations

import lzma
from pathlib import Path

import pytest

from factory.errors import SourceError
from factory.pipeline.lint.lint import lint
from factory.pipeline.lint.online import OnlineLint
from factory.recipes.recipe_set import RecipeSet
from factory.util.paths import Layout
from tests.support.archives import file_entry, tar_bytes
from tests.support.index_server import IndexServer
from tests.support.logs import MemoryLog
from tests.support.projects import PATCH, add_patch, make_project, serve_spam
from tests.support.recipes import SHA256, SMALLEST

MIT = "License-Expression: MIT\n"
PACKAGES = "trixie/main/binary-riscv64/Packages.xz"
LISTED = "Package: libspam-dev\nProvides: libeggs-dev (= 1), libham-dev\n\nPackage: other\n"
CHANGES_REQUIREMENTS = """\
Subject: Require less
Description: The build calls neither cmake nor cargo
Upstream-Status: Pending
---
--- a/pyproject.toml
+++ b/pyproject.toml
@@ -1,3 +1,3 @@
 [build-system]
-requires = ["setuptools-rust", "cmake"]
+requires = ["flit_core"]
 build-backend = "flit_core.buildapi"
"""


def pinned(root: Path, sha256: str, more: str = "", **options: str) -> RecipeSet:
    return make_project(root, SMALLEST.replace(SHA256, sha256) + more, **options)


def found(recipes: RecipeSet) -> list[str]:
    chosen, _ = lint((), recipes)
    folder = recipes.folder
    online = OnlineLint(layout=Layout(folder / "cache"), patches=recipes.patches, log=MemoryLog())
    return [str(each).replace(f"{folder}/", "") for each in online.check(chosen)]


def test_online_sound_recipe_has_no_finding(index: IndexServer, tmp_path: Path) -> None:
    assert found(pinned(tmp_path, serve_spam(index, core=MIT), patch=PATCH)) == []


def test_online_other_hash_on_the_index_is_found(index: IndexServer, tmp_path: Path) -> None:
    sha256 = serve_spam(index, core=MIT)
    (finding,) = found(pinned(tmp_path, "f" * 64))
    assert finding.startswith("recipes/spam/recipe.toml:6: source.sha256: ")
    assert sha256 in finding


def test_online_version_gone_from_the_index_is_found(index: IndexServer, tmp_path: Path) -> None:
    sha256 = serve_spam(index, "1.1", core=MIT)
    (finding,) = found(pinned(tmp_path, sha256, patch=PATCH))
    assert finding.startswith("recipes/spam/recipe.toml:6: source.sha256: ")
    assert "1.1" in finding


def test_online_yanked_source_is_found(index: IndexServer, tmp_path: Path) -> None:
    recipes = pinned(tmp_path, serve_spam(index, core=MIT))
    index.yanked = "wrong answers"
    (finding,) = found(recipes)
    assert "yanked: wrong answers" in finding


@pytest.mark.parametrize(
    ("word", "words"), [("eggs", "the source has this change already"), ("beans", "0001-say-eggs.patch does not apply")]
)
def test_online_patch_that_does_not_apply_is_found(index: IndexServer, tmp_path: Path, word: str, words: str) -> None:
    (finding,) = found(pinned(tmp_path, serve_spam(index, word=word, core=MIT), patch=PATCH))
    assert finding.startswith("patches/spam/1.0/0001-say-eggs.patch:1: patch: ")
    assert words in finding


def test_online_later_patches_see_earlier_ones(index: IndexServer, tmp_path: Path) -> None:
    recipes = pinned(tmp_path, serve_spam(index, core=MIT), patch=PATCH)
    add_patch(tmp_path, PATCH.replace("eggs", "beans").replace("ham", "eggs"), "0002-say-beans.patch")
    assert found(recipes) == []


@pytest.mark.parametrize("core", ["", "License: UNKNOWN\n"])
def test_online_source_without_licence_is_found(index: IndexServer, tmp_path: Path, core: str) -> None:
    (finding,) = found(pinned(tmp_path, serve_spam(index, core=core)))
    assert finding.startswith("recipes/spam/recipe.toml:4: source: spam-1.0.tar.gz states no licence")


@pytest.mark.parametrize(
    "core", ["License: BSD\n", "License-File: COPYING\n", "Classifier: License :: OSI Approved :: MIT License\n"]
)
def test_online_licence_in_any_field_suffices(index: IndexServer, tmp_path: Path, core: str) -> None:
    assert found(pinned(tmp_path, serve_spam(index, core=core))) == []


def test_online_licence_file_suffices(index: IndexServer, tmp_path: Path) -> None:
    core = b"Metadata-Version: 2.1\nName: spam\nVersion: 1.0\n"
    entries = [file_entry("spam-1.0/PKG-INFO", core), file_entry("spam-1.0/LICENSE.txt", b"MIT")]
    entries.append(file_entry("spam-1.0/setup.py"))
    assert found(pinned(tmp_path, index.add("spam-1.0.tar.gz", tar_bytes(entries)))) == []


def test_online_unsound_source_is_found(index: IndexServer, tmp_path: Path) -> None:
    for content in (b"garbage", tar_bytes([file_entry("spam-1.0/COPYING")])):
        (finding,) = found(pinned(tmp_path, index.add("spam-1.0.tar.gz", content)))
        assert finding.startswith("recipes/spam/recipe.toml:4: source: spam-1.0")


def test_online_unknown_debian_package_is_found(
    index: IndexServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FACTORY_DEBIAN_MIRROR", index.url)
    index.files[PACKAGES] = lzma.compress(LISTED.encode())
    apt = '[build]\napt = ["libspam-dev", "libeggs-dev", "libham-dev=2", "libbeans-dev"]\n'
    (finding,) = found(pinned(tmp_path, serve_spam(index, core=MIT), apt))
    assert finding.startswith("recipes/spam/recipe.toml:8: build.apt: ")
    assert "'libbeans-dev'" in finding


@pytest.mark.parametrize("answer", [None, b"<html>login</html>", lzma.compress(b"<html>login</html>")])
def test_online_mirror_without_packages_is_an_error(
    index: IndexServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, answer: bytes | None
) -> None:
    monkeypatch.setenv("FACTORY_DEBIAN_MIRROR", index.url)
    if answer is not None:
        index.files[PACKAGES] = answer
    with pytest.raises(SourceError, match="Debian mirror") as caught:
        found(pinned(tmp_path, serve_spam(index, core=MIT), '[build]\napt = ["libspam-dev"]\n'))
    assert caught.value.machines_fault


def test_online_pool_without_the_file_is_found(
    index: IndexServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FACTORY_DEBIAN_MIRROR", index.url)
    part = (
        f'[source.parts.more]\nkind = "deb"\nproject = "eggs"\nversion = "2"\nsha256 = "{SHA256}"\npackage = "eggs"\n'
    )
    recipes = make_project(tmp_path, SMALLEST.replace("pypi", "debian") + part)
    assert [each.split(": ")[0] for each in found(recipes)] == [
        "recipes/spam/recipe.toml:6",
        "recipes/spam/recipe.toml:11",
    ]


def test_online_index_that_does_not_answer_is_an_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("factory.host.index_session.BACKOFF_SECONDS", 0.001)
    monkeypatch.setenv("PIP_INDEX_URL", "http://127.0.0.1:9/simple/")
    with pytest.raises(SourceError, match="can't be read") as caught:
        found(make_project(tmp_path))
    assert caught.value.machines_fault


def test_online_option_that_the_source_makes_dead_is_found(index: IndexServer, tmp_path: Path) -> None:
    sha256 = serve_spam(index, requires='"setuptools-rust", "cmake"', core=MIT)
    more = '[build]\nrust = true\nrequires = ["cmake", "ninja"]\n'
    first, second = found(pinned(tmp_path, sha256, more))
    assert first.startswith("recipes/spam/recipe.toml:9: build.requires: 'cmake' ")
    assert second.startswith("recipes/spam/recipe.toml:8: build.rust: ")
    recipes = pinned(tmp_path, sha256, more)
    add_patch(tmp_path, CHANGES_REQUIREMENTS)
    assert found(recipes) == []
