"""Patches: selection, headers, and messages for those that fail."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path

import pytest

from factory.errors import PatchError
from factory.model.artifacts import SourceTree
from factory.model.source import Source
from factory.stages.sources import patches
from factory.stages.sources.pypi import PypiSource
from tests.support.logs import MemoryLog

HEADER = """\
Subject: Say eggs
Description: Eggs are what
 people want.
Upstream-Status: Submitted, pull request 7
---
"""
DIFF = """\
--- a/src/spam.txt
+++ b/src/spam.txt
@@ -1,3 +1,3 @@
 one
-spam
+eggs
 three
"""
DATE = 1_500_000_000


@pytest.fixture
def tree(tmp_path: Path) -> SourceTree:
    path = tmp_path / "spam-1.0"
    (path / "src").mkdir(parents=True)
    (path / "src/spam.txt").write_text("one\nspam\nthree\n")
    os.utime(path, (DATE, DATE))
    return SourceTree(path=path, sha256="")


def write(root: Path, text: str, name: str = "0001-say-eggs.patch", version: str = "1.0") -> Path:
    path = root / "patches/spam" / version / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    return path


def source(version: str = "1.0") -> Source:
    return PypiSource(project="Spam", version=version, sha256="0" * 64)


def test_patches_of_the_version_are_selected_in_order(tmp_path: Path) -> None:
    second = write(tmp_path, "", "0002-b.patch")
    first = write(tmp_path, "", "0001-z.patch")
    write(tmp_path, "", "0001-a.patch", version="0.9")
    assert patches.select(tmp_path / "patches", source()) == [first, second]
    assert patches.select(tmp_path / "patches", source("2.0")) == []


def test_wrong_names_and_numbers_are_refused(tmp_path: Path) -> None:
    write(tmp_path, "", "0001-a.patch")
    other = write(tmp_path, "", "0001-b.patch")
    with pytest.raises(PatchError, match=r"0001-b\.patch: has the number of 0001-a\.patch"):
        patches.select(tmp_path / "patches", source())
    other.rename(other.with_name("fix.diff"))
    with pytest.raises(PatchError, match=r"fix\.diff: is not called NNNN-what-it-does\.patch"):
        patches.select(tmp_path / "patches", source())


def test_header_with_folded_lines_is_read(tmp_path: Path) -> None:
    header = patches.read_header(write(tmp_path, HEADER + DIFF))
    assert header.subject == "Say eggs"
    assert header.description == "Eggs are what people want."
    assert header.upstream_status == "Submitted, pull request 7"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (DIFF, "has no line '---' between header and diff"),
        (HEADER.replace("Upstream-", "Up-") + DIFF, "its header lacks Upstream-Status"),
        ("Subject: x\n---\n" + DIFF, "its header lacks Description, Upstream-Status"),
        (HEADER.replace("\n people", "\npeople") + DIFF, "its header is not made of 'Field: text' lines"),
    ],
)
def test_wrong_header_is_refused_with_file_and_cause(tmp_path: Path, text: str, expected: str) -> None:
    path = write(tmp_path, text)
    with pytest.raises(PatchError) as caught:
        patches.read_header(path)
    assert caught.value.message == f"{path}: {expected}"
    assert "then a line '---', then the diff" in str(caught.value.hint)


def test_patches_are_applied_in_order_and_recorded(tmp_path: Path, tree: SourceTree, log: MemoryLog) -> None:
    text = HEADER + DIFF
    second = HEADER + "--- a/src/spam.txt\n+++ b/src/spam.txt\n@@ -2,2 +2,3 @@\n eggs\n+ham\n three\n"
    new = HEADER + "--- /dev/null\n+++ b/new.txt\n@@ -0,0 +1 @@\n+new\n"
    chosen = [write(tmp_path, text), write(tmp_path, second, "0002-ham.patch"), write(tmp_path, new, "0003-new.patch")]
    applied = patches.apply(chosen, tree, log)
    assert (tree.path / "src/spam.txt").read_text() == "one\neggs\nham\nthree\n"
    assert [patch.name for patch in applied] == ["0001-say-eggs.patch", "0002-ham.patch", "0003-new.patch"]
    assert applied[0].sha256 == hashlib.sha256(text.encode()).hexdigest()
    assert applied[0].upstream_status == "Submitted, pull request 7"
    assert {path.stat().st_mtime for path in (tree.path, tree.path / "src/spam.txt", tree.path / "new.txt")} == {DATE}
    assert sorted(path.name for path in tree.path.rglob("*")) == ["new.txt", "spam.txt", "src"]
    assert "patching file src/spam.txt" in log.text


def test_failed_patch_shows_the_hunk(tmp_path: Path, tree: SourceTree, log: MemoryLog) -> None:
    path = write(tmp_path, HEADER + DIFF.replace("-spam", "-ham"))
    with pytest.raises(PatchError) as caught:
        patches.apply([path], tree, log)
    assert caught.value.message.startswith("spam 1.0: 0001-say-eggs.patch does not apply\npatching file src/spam.txt\n")
    assert "@@ -1,3 +1,3 @@\n one\n-ham\n+eggs\n three" in caught.value.message
    assert "refresh the patch" in (caught.value.hint or "")
    assert not list(tree.path.rglob("*.rej"))
    assert not list(tree.path.rglob("*.orig"))


def test_patch_that_needs_fuzz_fails(tmp_path: Path, tree: SourceTree, log: MemoryLog) -> None:
    path = write(tmp_path, HEADER + DIFF.replace(" three", " four"))
    with pytest.raises(PatchError, match="Hunk #1 FAILED"):
        patches.apply([path], tree, log)


def test_patch_that_upstream_has_is_recognized(tmp_path: Path, tree: SourceTree, log: MemoryLog) -> None:
    path = write(tmp_path, HEADER + DIFF)
    patches.apply([path], tree, log)
    with pytest.raises(PatchError, match="delete the patch"):
        patches.apply([path], tree, log)


@pytest.mark.parametrize("name", ["b/../../evil", "/etc/evil"])
def test_patch_path_that_leaves_the_tree_is_refused(
    tmp_path: Path, tree: SourceTree, log: MemoryLog, name: str
) -> None:
    path = write(tmp_path, HEADER + f"--- /dev/null\n+++ {name}\n@@ -0,0 +1 @@\n+x\n")
    with pytest.raises(PatchError, match=r"0001-say-eggs\.patch: changes '.*evil', which leaves the source"):
        patches.apply([path], tree, log)


def test_patch_through_a_link_is_refused(tmp_path: Path, tree: SourceTree, log: MemoryLog) -> None:
    (tmp_path / "outside").mkdir()
    (tree.path / "link").symlink_to("../outside")
    path = write(tmp_path, HEADER + "--- /dev/null\n+++ b/link/evil\n@@ -0,0 +1 @@\n+x\n")
    with pytest.raises(PatchError):
        patches.apply([path], tree, log)
    assert not list((tmp_path / "outside").iterdir())


def test_patch_removes_a_file(tmp_path: Path, tree: SourceTree, log: MemoryLog) -> None:
    diff = "--- a/src/spam.txt\n+++ /dev/null\n@@ -1,3 +0,0 @@\n-one\n-spam\n-three\n"
    patches.apply([write(tmp_path, HEADER + diff)], tree, log)
    assert not (tree.path / "src/spam.txt").exists()


def test_patches_of_the_repository_have_headers() -> None:
    for path in (Path(__file__).parents[3] / "patches").glob("*/*/*.patch"):
        assert patches.read_header(path).upstream_status
