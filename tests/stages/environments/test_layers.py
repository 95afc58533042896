"""Layers are made once, whole or not at all."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from factory.errors import EnvironmentSetupError
from factory.model.artifacts import PackagePin
from factory.stages.environments.layers import Layer, ensure_layer
from factory.stages.environments.roots import native_layer
from factory.util.log import LogFile, LogSink
from factory.util.paths import Layout
from tests.support.logs import unreported

PINS = (PackagePin(name="libc6", version="2.41-12", architecture="riscv64"),)


def opener(folder: Path, opened: list[str]):  # type: ignore[no-untyped-def]  # noqa: ANN201
    @contextmanager
    def open_stage(stage: str) -> Iterator[LogSink]:
        opened.append(stage)
        yield LogFile(folder / "log")

    return open_stage


def make(tree: Path, log: LogSink) -> tuple[PackagePin, ...]:
    (tree / "file").write_text("content")
    return PINS


def test_a_layer_is_made_once_and_then_found(tmp_path: Path) -> None:
    opened: list[str] = []
    first = ensure_layer(tmp_path, "apt", {"packages": ["a"]}, make, opener(tmp_path, opened))
    second = ensure_layer(tmp_path, "apt", {"packages": ["a"]}, make, opener(tmp_path, opened))
    assert (first, opened) == (second, ["apt layer"])
    assert ((first.tree / "file").read_text(), first.packages) == ("content", PINS)


def test_another_definition_is_another_layer(tmp_path: Path) -> None:
    layers = [ensure_layer(tmp_path, "apt", {"packages": [name]}, make, opener(tmp_path, [])) for name in "ab"]
    assert len({layer.key for layer in layers} | {layer.tree for layer in layers}) == 4


def test_the_digest_changes_with_a_package_version() -> None:
    one = Layer(key="k", tree=Path("t"), packages=PINS)
    other = Layer(key="k", tree=Path("t"), packages=(PackagePin(name="libc6", version="2.42-1"),))
    assert one.digest != other.digest


def test_a_failed_layer_leaves_none_and_is_made_again(tmp_path: Path) -> None:
    def fail(tree: Path, log: LogSink) -> tuple[PackagePin, ...]:
        (tree / "half").write_text("half a layer")
        raise EnvironmentSetupError("the mirror failed halfway")

    with pytest.raises(EnvironmentSetupError):
        ensure_layer(tmp_path, "apt", {}, fail, opener(tmp_path, []))
    layer = ensure_layer(tmp_path, "apt", {}, make, opener(tmp_path, []))
    assert [path.name for path in layer.tree.iterdir()] == ["file"]


def test_a_damaged_description_says_what_to_remove(tmp_path: Path) -> None:
    layer = ensure_layer(tmp_path, "apt", {}, make, opener(tmp_path, []))
    (layer.tree.parent / "layer.json").write_text("{")
    with pytest.raises(EnvironmentSetupError, match=r"has a damaged layer\.json") as caught:
        ensure_layer(tmp_path, "apt", {}, make, opener(tmp_path, []))
    assert caught.value.hint == f"remove it and run again: rm -rf {layer.tree.parent}"


BOOTSTRAP = """
import sys
from pathlib import Path
from factory.stages.environments.roots import native_layer
from factory.util.paths import Layout
from tests.support.logs import unreported
native_layer(Layout(Path(sys.argv[1])), unreported)
"""


@pytest.mark.environment
def test_a_bootstrap_killed_halfway_starts_again_and_ends_the_same(tmp_path: Path) -> None:
    cut, whole = tmp_path / "cut", tmp_path / "whole"
    process = subprocess.Popen([sys.executable, "-c", BOOTSTRAP, str(cut)])
    while not list(cut.glob("layers/native-*.partial/tree/opt/native/usr/bin")):
        assert process.poll() is None
        time.sleep(0.1)
    process.kill()
    process.wait()
    assert not list(cut.glob("layers/native-*/layer.json"))
    # Not the machine's own layer: the distribution may have newer packages than when that was made.
    assert native_layer(Layout(cut), unreported).digest == native_layer(Layout(whole), unreported).digest
    assert str(tmp_path) not in Path("/proc/mounts").read_text()
