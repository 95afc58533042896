"""Room is made without losing what is in use, and people see what there is."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path

import pytest
from filelock import FileLock

from factory.cli.main import main
from factory.model.artifacts import PackagePin
from factory.model.protocols import Command
from factory.stages.environments.rootfs import RootfsEnvironment
from factory.store.cache_import import PARTIAL
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


def test_prune_removes_unused_items_and_keeps_the_store(cache: Layout) -> None:
    said = pruned(cache)
    assert [line.partition(",")[0] for line in said] == [f"layers/{OLD}: removed", f"jobs/{OLD}: removed"]
    assert [path.name for area in (cache.layers, cache.jobs) for path in area.iterdir() if path.is_dir()] == [NEW, NEW]
    assert (cache.store / "records/x.json").is_file()


def test_prune_keeps_locked_items(cache: Layout) -> None:
    with FileLock(cache.jobs / f"{OLD}.lock"):
        assert f"jobs/{OLD}: kept: another process is working on it" in pruned(cache)
    assert (cache.jobs / OLD / "steps").is_dir()


def test_prune_removes_partial_layers_unless_locked(cache: Layout) -> None:
    half = make(cache.layers / "apt-0123456789abcdef.partial", "tree/file")
    with FileLock(cache.layers / "apt-0123456789abcdef.lock"):
        pruned(cache)
        assert half.is_dir()
    pruned(cache)
    assert not half.exists()


def test_prune_keeps_the_folder_of_a_running_import(cache: Layout) -> None:
    unpacked = make(cache.layers / PARTIAL / OLD, "tree/file")
    pruned(cache)
    assert (unpacked / "tree/file").is_file()


def test_prune_keeps_used_layers(tmp_path: Path) -> None:
    def fill(tree: Path, log: LogSink) -> tuple[PackagePin, ...]:
        return ()

    layout = Layout(tmp_path)
    layer = layer_store(layout).ensure("apt", {}, fill)
    age(layer.tree.parent, days=40)
    layer_store(layout).ensure("apt", {}, fill)
    assert pruned(layout) == []


def test_usage_counts_each_file_once(cache: Layout) -> None:
    os.link(cache.store / "records/x.json", cache.store / "records/y.json")
    sizes = {entry.folder: entry.size for entry in usage(cache)}
    assert (sizes["store"], sizes["layers"]) == (8192, 6 * 8192)


def test_progress_lists_finished_stages(cache: Layout) -> None:
    old, new = sorted(in_progress(cache), key=lambda build: -build.idle)
    assert (old.job, old.finished, round(old.idle / DAY)) == (OLD, ("source",), 40)
    assert (new.job, round(new.idle / DAY)) == (NEW, 2)


def test_empty_cache_has_no_usage_and_nothing_to_prune(tmp_path: Path) -> None:
    layout = Layout(tmp_path / "none")
    assert (usage(layout), in_progress(layout), compiler_statistics(layout), pruned(layout)) == ([], [], None, [])


def test_statistics_come_from_the_layer_with_ccache(tmp_path: Path) -> None:
    layout = Layout(tmp_path)
    layout.compiler_caches.mkdir()
    (layout.layers / "native-python3.14-07f663acda227281").mkdir(parents=True)
    (layout.layers / "native-python3.14-07f663acda227281/layer.json").touch()
    assert compiler_statistics(layout) is None


def test_prune_with_days_below_one_fails(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["cache", "prune", "--days", "0"])
    assert "at least 1" in capsys.readouterr().err


@pytest.mark.environment
def test_usage_prints_counters_of_ccache(
    tmp_path: Path,
    layout: Layout,
    hybrid: RootfsEnvironment,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    own = Layout(tmp_path)
    own.layers.symlink_to(layout.layers)
    with RootfsEnvironment(root=hybrid.root, layout=own).open(own.jobs / "demo/work", caches="test") as sandbox:
        (sandbox.work / "a.c").write_text("int a;\n")
        for _ in range(3):
            sandbox.run(Command(["gcc", "-c", "a.c"]), log=LogFile(tmp_path / "log"))
    monkeypatch.setenv("FACTORY_CACHE", str(tmp_path))
    assert main(["cache", "info"]) == 0
    assert "ccache: 2 hits (0 remote), 1 miss" in capsys.readouterr().out


USE_LAYER = """
import sys
from pathlib import Path
from factory.stages.environments.layers import LayerStore
from factory.util.paths import Layout
from tests.support.logs import unreported
print(LayerStore(layout=Layout(Path(sys.argv[1])), open_stage=unreported).ensure("kind", {}, lambda tree, log: ()).tree)
sys.stdout.flush()
sys.stdin.readline()
"""


def test_prune_keeps_layers_of_running_builds(tmp_path: Path) -> None:
    """A build may run for more days than the least number that prune takes."""
    layout = Layout(tmp_path)
    words = [sys.executable, "-c", USE_LAYER, str(tmp_path)]
    building = subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    assert building.stdout is not None
    layer = Path(building.stdout.readline().strip()).parent
    age(layer, days=40)
    assert pruned(layout) == [f"layers/{layer.name}: kept: another process is using it"]
    assert layer.is_dir()
    building.communicate("\n")
    (said,) = pruned(layout)
    assert said.startswith(f"layers/{layer.name}: removed")
    assert not layer.exists()
