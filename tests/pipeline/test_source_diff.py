"""Differences of sources that were changed in a shell, and the patches made of them."""

from __future__ import annotations

import os
import shutil
import time
from dataclasses import replace
from pathlib import Path

import pytest

from factory.cli.console import Reporter
from factory.errors import PatchError
from factory.pipeline.incremental import begin_look
from factory.pipeline.job import PreparedJob
from factory.pipeline.lint.lint import lint
from factory.pipeline.run import Run
from factory.pipeline.source_diff import SourceDiff, diff_source, write_patch
from factory.recipes.recipe_set import RecipeSet
from factory.stages.sources import patches
from factory.stages.sources.fetch import fetch
from factory.stages.sources.prepare import prepare
from factory.util.paths import Layout
from tests.support.checkouts import ONE_PROFILE, make_checkout
from tests.support.index_server import IndexServer
from tests.support.jobs import job_of, prepared
from tests.support.logs import MemoryLog
from tests.support.projects import PATCH, make_project, serve_spam
from tests.support.recipes import SHA256, SMALLEST

OVERLAY = 'overlay = ["package"]\n'
EXPECTED = '--- a/spam.py\n+++ b/spam.py\n@@ -1 +1,2 @@\n WORD = "eggs"\n+MORE = 1\n'


class Shell:
    """A job of spam whose source was laid out and then opened for a person."""

    def __init__(self, root: Path, index: IndexServer, more: str = "") -> None:
        text = SMALLEST.replace(SHA256, serve_spam(index)) + more
        recipes = make_project(root, text, patch=PATCH)
        if more:
            (root / "recipes/spam/package").mkdir()
            (root / "recipes/spam/package/extra.py").write_text("EXTRA = 1\n")
        self.run = Run(layout=Layout(root / "cache"), recipes=recipes, reporter=Reporter())
        recipe = recipes.find("spam")
        selected = tuple(patches.select(recipes.patches, recipe.source))
        self.job: PreparedJob = replace(prepared(job_of(recipe), patches=selected), folder=root / "job")
        self.tree = self.job.work / "src"
        tree = fetch(recipe.source, self.run.layout.downloads, root / "fetched", MemoryLog())
        prepare(recipe.source, selected, tree, MemoryLog())
        shutil.copytree(tree.path, self.tree, symlinks=True)
        (self.tree / "built.o").write_text("before the shell")
        time.sleep(0.02)
        begin_look(self.job.folder, self.job.work)
        time.sleep(0.02)

    def diff(self, *new: str) -> SourceDiff:
        return diff_source(self.job, self.run, MemoryLog(), new=new)

    def write(self, diff: str, subject: str = "Say more", description: str = "Spam says too little for us") -> Path:
        return write_patch(diff, subject, description, self.job, self.run, MemoryLog())


@pytest.fixture
def shell(tmp_path: Path, index: IndexServer) -> Shell:
    return Shell(tmp_path, index)


def add_line(file: Path, line: str = "MORE = 1\n") -> None:
    file.write_text(file.read_text() + line)


def test_diff_has_changed_files_only(shell: Shell) -> None:
    assert shell.diff() == SourceDiff(text="", left_out={})
    (shell.tree / "pyproject.toml").touch()
    add_line(shell.tree / "spam.py")
    assert shell.diff() == SourceDiff(text=EXPECTED, left_out={})


def test_diff_takes_new_files_by_name(shell: Shell) -> None:
    (shell.tree / "sub").mkdir()
    (shell.tree / "sub/new.py").write_text("NEW = 1")
    (shell.tree / "later.o").write_text("by a build in the shell")
    found = shell.diff("sub/new.py")
    assert found.text.startswith("--- /dev/null\n+++ b/sub/new.py\n@@ -0,0 +1 @@\n+NEW = 1\n")
    assert found.text.endswith("\\ No newline at end of file\n")
    assert list(found.left_out) == ["later.o"]
    assert "--new" in found.left_out["later.o"]


def test_diff_of_unknown_new_file_is_an_error(shell: Shell) -> None:
    with pytest.raises(PatchError, match=r"nowhere\.py: no such file"):
        shell.diff("nowhere.py")


def test_diff_has_removed_files(shell: Shell) -> None:
    (shell.tree / "spam.py").unlink()
    assert shell.diff().text.startswith("--- a/spam.py\n+++ /dev/null\n")


def test_diff_leaves_out_binary_files_and_links(shell: Shell, tmp_path: Path) -> None:
    (shell.tree / "spam.py").write_bytes(b"\xff\0")
    (tmp_path / "secret").write_text("secret")
    (shell.tree / "PKG-INFO").unlink()
    (shell.tree / "PKG-INFO").symlink_to(tmp_path / "secret")
    found = shell.diff()
    assert found.text == ""
    assert "UTF-8" in found.left_out["spam.py"]
    assert "is a link" in found.left_out["PKG-INFO"]


def test_diff_leaves_out_what_the_overlay_lays(tmp_path: Path, index: IndexServer) -> None:
    shell = Shell(tmp_path, index, OVERLAY)
    add_line(shell.tree / "extra.py")
    add_line(shell.tree / "spam.py")
    found = shell.diff()
    assert (found.text, list(found.left_out)) == (EXPECTED, ["extra.py"])


def test_diff_without_a_shell_is_an_error(shell: Shell) -> None:
    (shell.job.folder / "looked-into").unlink()
    with pytest.raises(PatchError, match="no shell has changed") as caught:
        shell.diff()
    assert "factory shell spam" in str(caught.value.hint)
    shutil.rmtree(shell.job.folder)
    with pytest.raises(PatchError, match="no shell has changed"):
        shell.diff()


def test_written_patch_is_the_next_and_applies(shell: Shell, tmp_path: Path) -> None:
    add_line(shell.tree / "spam.py")
    long = "Spam says too little, " * 12
    path = shell.write(
        shell.diff().text, "Say more:\n  of Eggs, and (much) else that nobody has asked for so far", long
    )
    assert path == tmp_path / "patches/spam/1.0/0002-say-more-of-eggs-and-much-else-that-nobody-has-asked-for-so.patch"
    header = patches.read_header(path)
    assert header.subject == "Say more: of Eggs, and (much) else that nobody has asked for so far"
    assert (header.description, header.upstream_status) == (long.strip(), "Pending")
    assert max(map(len, path.read_text().splitlines())) <= 110
    _, findings = lint((), RecipeSet(tmp_path, shell.run.recipes.kinds))
    assert findings == []


def test_patch_that_does_not_apply_is_not_written(shell: Shell, tmp_path: Path) -> None:
    before = sorted(tmp_path.glob("patches/spam/1.0/*"))
    with pytest.raises(PatchError, match="does not apply"):
        shell.write(EXPECTED.replace("eggs", "beans"))
    with pytest.raises(PatchError, match="leaves the source"):
        shell.write(EXPECTED.replace("b/spam.py", "b/../spam.py"))
    with pytest.raises(PatchError, match="lacks Description"):
        shell.write(EXPECTED, description=" ")
    assert sorted(tmp_path.glob("patches/spam/1.0/*")) == before


def test_first_patch_of_a_source_is_number_one(shell: Shell, tmp_path: Path) -> None:
    shutil.rmtree(tmp_path / "patches")
    os.utime(shell.tree / "spam.py")
    shell.job = replace(shell.job, patches=())
    diff = EXPECTED.replace("eggs", "ham")
    assert shell.write(diff, subject="!!").relative_to(tmp_path) == Path("patches/spam/1.0/0001-patch.patch")


@pytest.mark.environment
def test_change_in_shell_becomes_a_patch_of_the_build(fresh_cache: Path, tmp_path: Path) -> None:
    """The shell of a package that was not built has its source."""
    checkout = make_checkout(tmp_path / "checkout", fresh_cache, more=ONE_PROFILE)
    edit = "echo '/* more */' >> /build/src/src/module.c"
    opened = checkout.factory("shell", "vectors-c", "--", "sh", "-c", edit)
    assert opened.returncode == 0, opened.stderr
    shown = checkout.factory("diff", "vectors-c")
    assert "\n+/* more */\n" in shown.stdout, shown.stderr
    words = ("--subject", "Add a comment", "--description", "Nobody can read it without one")
    written = checkout.factory("diff", "vectors-c", *words)
    assert written.stdout.startswith("patches/vectors-c/1.0/0001-add-a-comment.patch: written"), written.stderr
    built = checkout.factory("build", "vectors-c")
    assert built.returncode == 0, built.stderr
    assert "0001-add-a-comment.patch" in checkout.log("vectors-c-1.0", "patch")
