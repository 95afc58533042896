"""Room is made without losing what is in use, and people see what there is."""

from __future__ import annotations

import os
import time
from pathlib import Path

import pytest
from filelock import FileLock

from factory.cli.main import main
from factory.model.artifacts import PackagePin
from factory.model.protocols import Command
from factory.stages.environments.rootfs import RootfsEnvironment
from factory.store.import_cache import PARTIAL
from factory.store.prune import compiler_statistics, in_progress, prune, usage
from factory.util.log import LogFile, LogSink
from factory.util.paths import Layout
from tests.support.layer_stores import layer_store

DAY = 86400
OLD, NEW = "old-0123456789abcdef", "new-0123456789abcdef"


def age(folder: Path, days: float) -> None:
    for path in (*folder.rglob("*"), folder):
        then = time.time() - days * DAY
        os.utime(path, (then, then))


def make(folder: Path, *files: str) -> Path:
    for name in files:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(bytes(8192))
    return folder


@pytest.fixture
def cache(tmp_path: Path) -> Layout:
    """Make a cache with old and new layers, jobs and records."""
    layout = Layout(tmp_path / "cache")
    for area in (layout.layers, layout.jobs):
        age(make(area / OLD, "layer.json", "steps/source.json", "tree/file"), days=40)
        age(make(area / NEW, "layer.json", "steps/source.json", "tree/file"), days=2)
    age(make(layout.store, "records/x.json"), days=400)
    return layout


def pruned(layout: Layout, days: int = 30) -> list[str]:
    said: list[str] = []
    prune(layout, days, said.append)
    return said


def test_what_nothing_used_for_a_while_goes_and_the_store_stays(cache: Layout) -> None:
    said = pruned(cache)
    assert [line.partition(",")[0] for line in said] == [f"layers/{OLD}: removed", f"jobs/{OLD}: removed"]
    assert [path.name for area in (cache.layers, cache.jobs) for path in area.iterdir() if path.is_dir()] == [NEW, NEW]
    assert (cache.store / "records/x.json").is_file()


def test_what_another_process_works_on_stays(cache: Layout) -> None:
    with FileLock(cache.jobs / f"{OLD}.lock"):
        assert f"jobs/{OLD}: kept, another process works on it" in pruned(cache)
    assert (cache.jobs / OLD / "steps").is_dir()


def test_prune_removes_partial_layer_unless_in_progress(cache: Layout) -> None:
    half = make(cache.layers / "apt-0123456789abcdef.partial", "tree/file")
    with FileLock(cache.layers / "apt-0123456789abcdef.lock"):
        pruned(cache)
        assert half.is_dir()
    pruned(cache)
    assert not half.exists()


def test_what_an_import_unpacks_at_the_moment_stays(cache: Layout) -> None:
    unpacked = make(cache.layers / PARTIAL / OLD, "tree/file")
    pruned(cache)
    assert (unpacked / "tree/file").is_file()


def test_using_a_layer_keeps_it(tmp_path: Path) -> None:
    def fill(tree: Path, log: LogSink) -> tuple[PackagePin, ...]:
        return ()

    layout = Layout(tmp_path)
    layer = layer_store(layout).ensure("apt", {}, fill)
    age(layer.tree.parent, days=40)
    layer_store(layout).ensure("apt", {}, fill)
    assert pruned(layout) == []


def test_sizes_count_each_file_once(cache: Layout) -> None:
    os.link(cache.store / "records/x.json", cache.store / "records/y.json")
    sizes = {entry.folder: entry.size for entry in usage(cache)}
    assert (sizes["store"], sizes["layers"]) == (8192, 6 * 8192)


def test_builds_in_progress_show_their_finished_stages(cache: Layout) -> None:
    old, new = sorted(in_progress(cache), key=lambda build: -build.idle)
    assert (old.job, old.finished, round(old.idle / DAY)) == (OLD, ("source",), 40)
    assert (new.job, round(new.idle / DAY)) == (NEW, 2)


def test_an_empty_cache_has_nothing_to_show_or_to_remove(tmp_path: Path) -> None:
    layout = Layout(tmp_path / "none")
    assert (usage(layout), in_progress(layout), compiler_statistics(layout), pruned(layout)) == ([], [], None, [])


def test_only_the_layer_that_has_ccache_is_asked_what_it_counted(tmp_path: Path) -> None:
    layout = Layout(tmp_path)
    layout.compiler_cache.mkdir()
    (layout.layers / "native-python3.14-07f663acda227281").mkdir(parents=True)
    (layout.layers / "native-python3.14-07f663acda227281/layer.json").touch()
    assert compiler_statistics(layout) is None


def test_days_below_one_are_refused(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["cache", "prune", "--days", "0"])
    assert "at least 1: a build that runs may use what is younger" in capsys.readouterr().err


@pytest.mark.environment
def test_ccaches_own_counters_are_shown(
    tmp_path: Path,
    layout: Layout,
    hybrid: RootfsEnvironment,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    own = Layout(tmp_path)
    own.layers.symlink_to(layout.layers)
    with RootfsEnvironment(root=hybrid.root, layout=own).open(own.jobs / "demo/work") as sandbox:
        (sandbox.work / "a.c").write_text("int a;\n")
        for _ in range(3):
            sandbox.run(Command(["gcc", "-c", "a.c"]), log=LogFile(tmp_path / "log"))
    monkeypatch.setenv("FACTORY_CACHE", str(tmp_path))
    assert main(["cache", "info"]) == 0
    assert "ccache: 2 hits (0 remote), 1 misses" in capsys.readouterr().out
