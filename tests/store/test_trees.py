"""Trees that a hostile build left: exported, imported and measured without harm."""

from __future__ import annotations

import os
import stat
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from factory.store.cache_areas import AREAS
from factory.store.cache_export import export_cache
from factory.store.cache_import import import_cache
from factory.store.prune import usage
from factory.store.trees import walk
from factory.util.paths import Layout
from factory.util.scratch import discard

JOB = "demo-0123456789abcdef"


@pytest.fixture
def layout(tmp_path: Path) -> Iterator[Layout]:
    made = Layout(tmp_path / "cache")
    (made.jobs / JOB / "steps").mkdir(parents=True)
    (made.jobs / JOB / "work").mkdir()
    (made.compiler_caches / "demo").mkdir(parents=True)
    yield made
    discard(made.root)  # pytest fails on deep trees


def moved(layout: Layout, tmp_path: Path) -> tuple[Layout, list[str]]:
    """Export the cache and import it into another one; returns that, and reports of the export."""
    said: list[str] = []
    export_cache(layout, tmp_path / "file", list(AREAS), said.append)
    other = Layout(tmp_path / "other")
    import_cache(other, tmp_path / "file", said.append)
    return other, said


def nest(folder: Path, name: str, depth: int) -> None:
    before = Path.cwd()
    os.chdir(folder)
    for _ in range(depth):
        Path(name).mkdir()
        os.chdir(name)
    os.chdir(before)


def add_hole(folder: Path) -> None:
    with (folder / "holes").open("wb") as file:
        file.truncate(60 << 30)


@pytest.mark.parametrize(
    ("plant", "cause"),
    [
        (lambda folder: nest(folder, "d", 1500), "more than 2048 bytes"),
        (lambda folder: nest(folder, "d" * 200, 60), "more than 2048 bytes"),
        (add_hole, "64.4 GB of holes"),
    ],
    ids=["deep", "long", "holes"],
)
def test_job_that_does_harm_is_excluded(
    layout: Layout, tmp_path: Path, plant: Callable[[Path], None], cause: str
) -> None:
    plant(layout.jobs / JOB / "work")
    plant(layout.compiler_caches / "demo")
    other, said = moved(layout, tmp_path)
    assert not (other.jobs / JOB).exists()
    assert [line for line in said if line.startswith(f"jobs/{JOB}: excluded: ") and cause in line]
    assert {entry.folder for entry in usage(layout)} >= {"jobs", "ccache"}
    assert not list(other.compiler_caches.rglob("holes"))


def test_files_of_builds_lose_setuid(layout: Layout, tmp_path: Path) -> None:
    names = ["plain", "new\nline", os.fsdecode(b"\xff")]
    for folder in (layout.jobs / JOB / "work", layout.compiler_caches / "demo"):
        for name in names:
            (folder / name).write_text("x")
            (folder / name).chmod(0o6755)
        os.mkfifo(folder / "fifo")
        (folder / "link").symlink_to("/")
    other, _ = moved(layout, tmp_path)
    found = [path for path in other.root.rglob("*") if path.name in names]
    assert len(found) == 2 * len(names)
    assert {stat.S_IMODE(path.stat().st_mode) for path in found} == {0o755}
    assert not list(other.root.rglob("fifo"))


def test_walk_yields_folders_before_their_content(tmp_path: Path) -> None:
    for name in ("b/one", "a/c/two", "a/file"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text("x")
    (tmp_path / "b/link").symlink_to(tmp_path / "a")
    assert [entry.path.removeprefix(f"{tmp_path}/") for entry in walk(tmp_path)] == [
        *("a", "b", "a/c", "a/file", "a/c/two", "b/link", "b/one")
    ]
    assert [entry.name for entry in walk(tmp_path, 1, wanted=lambda name: name != "a")] == ["b"]
