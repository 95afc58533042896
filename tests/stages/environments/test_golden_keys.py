"""Layer and root keys, compared with golden values: an old cache stays valid.

golden_keys.json has, for each root, its key, the hash of its variables, and the folder names of its layers.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from importlib import metadata
from pathlib import Path

import pytest

from factory.bench.virtual_machine import virtual_machine
from factory.model.artifacts import PackagePin
from factory.model.distribution import TRIXIE
from factory.stages.environments import manylinux, native
from factory.stages.environments.base import TOOLCHAIN, Root, RootRequest
from factory.stages.environments.debian.layers import DebianLayers
from factory.stages.environments.layers import Layer, LayerStore, MakeLayer, content_key
from factory.stages.environments.roots import MODES, check_root
from factory.util.paths import Layout, short
from tests.support.logs import unreported

GOLDEN = json.loads(Path(__file__).with_name("golden_keys.json").read_text())
STORE = LayerStore(layout=Layout(Path("/cache")), open_stage=unreported)
MODE_CASES = [case for case in GOLDEN if case.split()[0] in ("hybrid", "emulated")]
PYTHONS = ("3.13", "3.14")
PYTHON_CASES = [(kind, python) for kind in ("check", "machine", "machine check") for python in PYTHONS]


@pytest.fixture
def folders(monkeypatch: pytest.MonkeyPatch) -> set[str]:
    """Folder names of a root's layers; no layer is made, and every version is 1."""
    names: set[str] = set()

    def ensure(_: LayerStore, kind: str, definition: object, make: MakeLayer, of: str = "") -> Layer:
        key = content_key([kind, definition])
        names.add(f"{kind}-{short(key)}")
        pin = PackagePin(name=kind, version="1", architecture="riscv64")
        return Layer(key=key, tree=Path("/layers", kind), packages=(pin,))

    def machine_layer(needed: tuple[str, ...]) -> Layer:
        return Layer(key=content_key(sorted(needed)), tree=Path("/"), packages=())

    monkeypatch.setattr(LayerStore, "ensure", ensure)
    monkeypatch.setattr(DebianLayers, "register_qemu", lambda _: None)
    monkeypatch.setattr(metadata, "version", lambda _: "1")
    monkeypatch.setattr(manylinux, "PYTHONS", PYTHONS)
    monkeypatch.setattr(native, "machine_layer", machine_layer)
    monkeypatch.setattr(native, "_require_python", lambda _: None)
    return names


def request_of(case: str) -> tuple[str, RootRequest]:
    mode, python, *words = case.split()
    apt = tuple(word for word in words if word not in ("rust", "gcc", "clang"))
    toolchain = "clang" if "clang" in words else "gcc"
    return mode, RootRequest(python=python, rust="rust" in words, toolchain=toolchain, apt=apt)


def assert_golden(case: str, root: Root, folders: set[str]) -> None:
    variables = content_key(dict(root.variables))
    assert GOLDEN[case] == {"key": root.key, "variables": variables, "layers": sorted(folders)}


@pytest.mark.parametrize("case", MODE_CASES)
def test_keys_of_build_roots_unchanged(case: str, folders: set[str]) -> None:
    mode, request = request_of(case)
    assert_golden(case, MODES[mode](STORE, request), folders)


@pytest.mark.parametrize("mode", ["hybrid", "emulated"])
@pytest.mark.parametrize("python", PYTHONS)
def test_keys_of_manylinux_roots_unchanged(mode: str, python: str, folders: set[str]) -> None:
    root = manylinux.manylinux_root(STORE, mode, RootRequest(python=python))
    assert_golden(f"manylinux {mode} {python}", root, folders)


@pytest.mark.parametrize(("kind", "python"), PYTHON_CASES)
def test_keys_of_check_and_machine_roots_unchanged(kind: str, python: str, folders: set[str]) -> None:
    every = RootRequest(python=python, rust=True, toolchain="clang", apt=("x",))
    makers: dict[str, Callable[[], Root]] = {
        "check": lambda: check_root(STORE, python),
        "machine": lambda: native.machine_root(STORE, every),
        "machine check": lambda: native.machine_check_root(STORE, python),
    }
    assert_golden(f"{kind} {python}", makers[kind](), folders)


def test_keys_of_virtual_machine_unchanged(folders: set[str]) -> None:
    virtual_machine(STORE, TRIXIE)
    assert GOLDEN["virtual machine"] == {"layers": sorted(folders)}


def test_toolchain_packages_unchanged() -> None:
    later = {f"python{python}" for python in TRIXIE.pythons if python not in PYTHONS}
    assert sorted(TOOLCHAIN - later) == GOLDEN["toolchain"]
