"""Local folders as sources."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from factory.errors import SourceError
from factory.model.source import Source
from factory.stages.sources.fetch import fetch
from factory.stages.sources.identity import identity
from factory.stages.sources.local import LocalSource
from factory.stages.sources.source_files import tree_sha256
from tests.support.logs import MemoryLog


@pytest.fixture
def project(tmp_path: Path) -> Path:
    folder = tmp_path / "project"
    (folder / "src/build").mkdir(parents=True)
    (folder / "pyproject.toml").write_text('[project]\nname = "spam"\nversion = "1.0"\n')
    (folder / "src/spam.c").write_text("int spam;")
    (folder / "src/build/tool.py").touch()
    return folder


def pin(path: Path, sha256: str = "") -> Source:
    return LocalSource(project="spam", version="1.0", path=path, sha256=sha256)


def names(tree: Path) -> set[str]:
    return {path.relative_to(tree).as_posix() for path in tree.rglob("*") if path.is_file()}


def test_version_control_and_build_caches_are_ignored(project: Path, tmp_path: Path, log: MemoryLog) -> None:
    expected = names(project)
    for ignored in (".git/HEAD", "build/x.o", "dist/x.whl", "src/__pycache__/x.pyc", "spam.egg-info/PKG-INFO"):
        (project / ignored).parent.mkdir(exist_ok=True)
        (project / ignored).touch()
    for cache, marker in (("target", "CACHEDIR.TAG"), ("env", "pyvenv.cfg")):
        (project / cache).mkdir()
        (project / cache / marker).touch()
    tree = fetch(pin(project), tmp_path / "cache", tmp_path / "out", log)
    assert tree.path == tmp_path / "out/spam-1.0"
    assert names(tree.path) == expected
    assert tree.sha256 == tree_sha256(project) == identity(pin(project))


def test_tree_hash_covers_names_contents_and_executable_bits(project: Path) -> None:
    file = project / "src/spam.c"
    first = tree_sha256(project)
    os.utime(file, (1, 1))
    file.chmod(0o600)
    (project / "empty").mkdir()
    assert tree_sha256(project) == first
    file.chmod(0o755)
    executable = tree_sha256(project)
    file.write_text("int eggs;")
    changed = tree_sha256(project)
    file.rename(project / "src/eggs.c")
    assert len({first, executable, changed, tree_sha256(project)}) == 4


def test_links_that_leave_the_folder_are_refused(project: Path, tmp_path: Path, log: MemoryLog) -> None:
    (project / "inside").symlink_to("src")
    tree = fetch(pin(project), tmp_path / "cache", tmp_path / "out", log)
    assert (tree.path / "inside").readlink() == Path("src")
    (project / "outside").symlink_to("../elsewhere")
    with pytest.raises(SourceError, match=r"outside is a link to \.\./elsewhere, which leaves the source folder"):
        fetch(pin(project), tmp_path / "cache", tmp_path / "out2", log)


def test_pinned_folder_that_changed_is_refused(project: Path, tmp_path: Path, log: MemoryLog) -> None:
    first = tree_sha256(project)
    fetch(pin(project, first), tmp_path / "cache", tmp_path / "out", log)
    (project / "new").touch()
    with pytest.raises(SourceError, match=f"has sha256 {tree_sha256(project)}, the recipe pins {first}"):
        fetch(pin(project, first), tmp_path / "cache", tmp_path / "out", log)


def test_missing_folder_is_reported(tmp_path: Path, log: MemoryLog) -> None:
    with pytest.raises(SourceError, match=r"the source folder .*nowhere is missing"):
        fetch(pin(tmp_path / "nowhere"), tmp_path / "cache", tmp_path / "out", log)


def test_folder_of_another_project_is_refused(project: Path, tmp_path: Path, log: MemoryLog) -> None:
    (project / "pyproject.toml").write_text('[project]\nname = "Eggs"\nversion = "1"\n')
    with pytest.raises(SourceError, match=r"spam 1\.0: the source's own metadata has name 'Eggs', the recipe 'spam'"):
        fetch(pin(project), tmp_path / "cache", tmp_path / "out", log)
