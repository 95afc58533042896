"""Overlays, which make a source another project."""

from __future__ import annotations

from pathlib import Path

import pytest

from factory.errors import SourceError
from factory.model.artifacts import SourceTree
from factory.model.source import Overlay, Source
from factory.stages.sources.fetch import fetch
from factory.stages.sources.identity import identity
from factory.stages.sources.local import LocalSource
from factory.stages.sources.metadata import read_project_metadata
from factory.stages.sources.prepare import lay_over
from tests.support.logs import MemoryLog

PROJECT = '[project]\nname = "{}"\nversion = "1.0"\n'


@pytest.fixture
def source(tmp_path: Path) -> Path:
    """Make the source of the project `big`, of which the overlay packages a part."""
    folder = tmp_path / "big"
    (folder / "part").mkdir(parents=True)
    (folder / "part/part.c").write_text("int part;")
    (folder / "PKG-INFO").write_text("Metadata-Version: 2.4\nName: big\nVersion: 7\n")
    (folder / "pyproject.toml").write_text(PROJECT.format("big"))
    return folder


@pytest.fixture
def package(tmp_path: Path) -> Path:
    folder = tmp_path / "package"
    (folder / "new").mkdir(parents=True)
    (folder / "pyproject.toml").write_text(PROJECT.format("part"))
    (folder / "new/run.sh").write_text("#!/bin/sh\n")
    (folder / "new/run.sh").chmod(0o755)
    return folder


def pin(source: Path, *folders: Path) -> Source:
    overlay = Overlay(project="part", version="1.0", folders=folders)
    return LocalSource(project="big", version="7", path=source, overlay=overlay)


def fetched(pinned: Source, tmp_path: Path, log: MemoryLog) -> SourceTree:
    tree = fetch(pinned, tmp_path / "cache", tmp_path / "out", log)
    lay_over(pinned, tree, log)
    return tree


def test_overlaid_source_is_the_overlays_project(source: Path, package: Path, tmp_path: Path, log: MemoryLog) -> None:
    tree = fetched(pin(source, package), tmp_path, log)
    assert read_project_metadata(tree).name == "part"
    assert (tree.path / "part/part.c").read_text() == "int part;"
    assert (tree.path / "new/run.sh").stat().st_mode & 0o111
    assert not (tree.path / "PKG-INFO").exists()
    assert f"laid {package} over it" in log.text


def test_overlay_files_have_the_sources_date(source: Path, package: Path, tmp_path: Path, log: MemoryLog) -> None:
    tree = fetched(pin(source, package), tmp_path, log)
    dates = {path.stat().st_mtime for path in (tree.path, tree.path / "pyproject.toml", tree.path / "new/run.sh")}
    assert dates == {max(path.stat().st_mtime for path in source.rglob("*") if path.is_file())}


def test_later_overlay_folders_replace_earlier_files(
    source: Path, package: Path, tmp_path: Path, log: MemoryLog
) -> None:
    (tmp_path / "common").mkdir()
    (tmp_path / "common/pyproject.toml").write_text(PROJECT.format("common"))
    tree = fetched(pin(source, tmp_path / "common", package), tmp_path, log)
    assert read_project_metadata(tree).name == "part"


def test_identity_covers_source_and_overlay(source: Path, package: Path) -> None:
    first = identity(pin(source, package))
    assert first == identity(pin(source, package)) != identity(pin(source))
    (package / "pyproject.toml").write_text(PROJECT.format("part") + "\n")
    second = identity(pin(source, package))
    (source / "part/part.c").write_text("long part;")
    assert len({first, second, identity(pin(source, package))}) == 3


def test_overlay_of_another_name_is_refused(source: Path, package: Path, tmp_path: Path, log: MemoryLog) -> None:
    (package / "pyproject.toml").write_text(PROJECT.format("port"))
    with pytest.raises(SourceError, match="the source's own metadata has name 'port', the recipe 'part'"):
        fetched(pin(source, package), tmp_path, log)


def test_missing_overlay_is_reported(source: Path, tmp_path: Path, log: MemoryLog) -> None:
    with pytest.raises(SourceError, match=r"the overlay .*/gone is missing"):
        fetched(pin(source, tmp_path / "gone"), tmp_path, log)


def test_overlay_with_links_is_refused(source: Path, package: Path, tmp_path: Path, log: MemoryLog) -> None:
    (package / "link").symlink_to("/etc/passwd")
    with pytest.raises(SourceError, match="link is a link"):
        fetched(pin(source, package), tmp_path, log)


@pytest.mark.parametrize("place", ["linked", "part"])
def test_overlay_replaces_no_links_or_folders(
    source: Path, package: Path, tmp_path: Path, log: MemoryLog, place: str
) -> None:
    (source / "linked").symlink_to("part")
    (package / place).write_text("x")
    with pytest.raises(SourceError, match=f"can't be laid over the source: {place} is a folder or a link there"):
        fetched(pin(source, package), tmp_path, log)
