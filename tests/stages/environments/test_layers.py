"""Layers: each is made once, and completely or not at all."""

from __future__ import annotations

import errno
import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from factory.errors import EnvironmentSetupError
from factory.model.artifacts import PackagePin
from factory.stages.environments.debian.layers import DebianLayers
from factory.stages.environments.layers import Layer, LayerStore
from factory.util.log import LogFile, LogSink
from factory.util.paths import Layout
from tests.support.layer_stores import layer_store
from tests.support.waiting import wait_until

PINS = (PackagePin(name="libc6", version="2.41-12", architecture="riscv64"),)


def store_of(folder: Path, opened: list[str]) -> LayerStore:
    """Return a layer store that appends the names of its opened stages to a list."""

    @contextmanager
    def open_stage(stage: str) -> Iterator[LogSink]:
        opened.append(stage)
        yield LogFile(folder / "log")

    return LayerStore(layout=Layout(folder), open_stage=open_stage)


def native_tools(folder: Path) -> Layer:
    return DebianLayers(layer_store(Layout(folder))).native_tools()


def make(tree: Path, log: LogSink) -> tuple[PackagePin, ...]:
    (tree / "file").write_text("content")
    return PINS


def test_layer_is_made_once(tmp_path: Path) -> None:
    opened: list[str] = []
    first = store_of(tmp_path, opened).ensure("apt", {"packages": ["a"]}, make)
    second = store_of(tmp_path, opened).ensure("apt", {"packages": ["a"]}, make)
    assert (first, opened) == (second, ["apt layer"])
    assert ((first.tree / "file").read_text(), first.packages) == ("content", PINS)


def test_different_definitions_give_different_layers(tmp_path: Path) -> None:
    layers = [store_of(tmp_path, []).ensure("apt", {"packages": [name]}, make) for name in "ab"]
    assert len({layer.key for layer in layers} | {layer.tree for layer in layers}) == 4


def test_digest_depends_on_package_version() -> None:
    one = Layer(key="k", tree=Path("t"), packages=PINS)
    other = Layer(key="k", tree=Path("t"), packages=(PackagePin(name="libc6", version="2.42-1"),))
    assert one.digest != other.digest


def test_failed_layer_is_made_again(tmp_path: Path) -> None:
    def fail(tree: Path, log: LogSink) -> tuple[PackagePin, ...]:
        (tree / "half").write_text("half a layer")
        raise EnvironmentSetupError("the mirror failed halfway")

    with pytest.raises(EnvironmentSetupError):
        store_of(tmp_path, []).ensure("apt", {}, fail)
    layer = store_of(tmp_path, []).ensure("apt", {}, make)
    assert [path.name for path in layer.tree.iterdir()] == ["file"]


@pytest.mark.parametrize(
    "error",
    [
        EnvironmentSetupError("mmdebstrap: E: Write error - write (28: No space left on device)", hint="retry later"),
        EnvironmentSetupError("apt: E: You don't have enough free space in /var/cache/apt/archives/."),
        OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), "/cache/log"),
        OSError(errno.ENOSPC, os.strerror(errno.ENOSPC)),
    ],
)
def test_layer_on_a_full_disk_names_the_disk_and_frees_it(tmp_path: Path, error: Exception) -> None:
    """The hint was about mirrors, and the half layer kept the disk full."""

    def fail(tree: Path, log: LogSink) -> tuple[PackagePin, ...]:
        (tree / "half").write_text("half a layer")
        raise error

    with pytest.raises(EnvironmentSetupError, match=r"No space left|enough free space") as caught:
        store_of(tmp_path, []).ensure("apt", {}, fail)
    assert re.match(
        r"the disk is full: the file system \S+ has [\d.]+ MB left: make room, or set FACTORY_CACHE ",
        str(caught.value.hint),
    )
    assert caught.value.machines_fault
    assert [path.suffix for path in Layout(tmp_path).layers.iterdir()] == [".lock"]


def test_damaged_layer_file_reports_folder_to_remove(tmp_path: Path) -> None:
    layer = store_of(tmp_path, []).ensure("apt", {}, make)
    (layer.tree.parent / "layer.json").write_text("{")
    with pytest.raises(EnvironmentSetupError, match=r"damaged layer\.json") as caught:
        store_of(tmp_path, []).ensure("apt", {}, make)
    assert caught.value.hint == f"remove it and run again: rm -rf {layer.tree.parent}"


def test_usual_seconds_are_the_median_of_recorded_ones(tmp_path: Path) -> None:
    store = store_of(tmp_path, [])
    files = [store.ensure("apt", number, make).tree.parent / "layer.json" for number in range(4)]
    assert all(json.loads(file.read_text())["seconds"] >= 0 for file in files)
    assert store.usual_seconds("native") == 0.0
    for file, text in zip(files, ('{"seconds": 9}', '{"seconds": 20}', '{"seconds": 60.5}', "{"), strict=True):
        file.write_text(text)
    assert store.usual_seconds("apt") == 20.0


BOOTSTRAP = """
import sys
from pathlib import Path
from factory.stages.environments.debian.layers import DebianLayers
from factory.util.paths import Layout
from tests.support.layer_stores import layer_store
DebianLayers(layer_store(Layout(Path(sys.argv[1])))).native_tools()
"""


@pytest.mark.environment
def test_killed_bootstrap_restarts_with_equal_result(tmp_path: Path) -> None:
    cut, whole = tmp_path / "cut", tmp_path / "whole"
    process = subprocess.Popen([sys.executable, "-c", BOOTSTRAP, str(cut)])
    programs = "layers/native-*.partial/tree/opt/native/usr/bin"
    wait_until(lambda: list(cut.glob(programs)), seconds=1800, process=process)
    process.kill()
    process.wait()
    assert not list(cut.glob("layers/native-*/layer.json"))
    # Not compared with the machine's own layer: the distribution can have newer packages by now.
    assert native_tools(cut).digest == native_tools(whole).digest
    assert str(tmp_path) not in Path("/proc/mounts").read_text()
