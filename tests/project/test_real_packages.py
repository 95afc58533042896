"""Real packages of different kinds, from their source distributions to wheels that passed on every profile.

They use the machine's own cache: what is built already is looked at, not built again.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from factory.model.target import DEFAULT_PROFILES, PYTHONS
from factory.publish.server import serve
from factory.store.store import Store
from factory.util.paths import default_layout
from tests.support.checkouts import own_factory
from tests.support.clients import PLATFORM, pip, sent, uv

pytestmark = [pytest.mark.main_job, pytest.mark.long]

# The name -> the backend that built it, the wheel's Python and ABI tags, and what its check showed.
PACKAGES = {
    "contourpy": ("meson-python", "cp313-cp313", "circles by serial, threaded, mpl2014, mpl2005, a ring"),
    "h3": ("scikit-build-core", "cp313-cp313", "150 points, the whole Earth, neighbours and a polygon"),
    "kiwisolver": ("setuptools", "cp313-cp313", "chains, a row of 30 boxes and strengths as in plain arithmetic"),
    "llama-cpp-tools": ("scikit-build-core", "py3-none", "The capital of France is Paris."),
    "msgspec": ("setuptools", "cp313-cp313", "numbers, text, structs, wrong input, bytes of msgpack"),
    "safetensors": ("maturin", "cp310-abi3", "5 tensors there and back, 8 damages refused"),
    "tiktoken": ("setuptools-rust", "cp313-cp313", "49 texts as in plain Python"),
}


@pytest.fixture(scope="module")
def store() -> Store:
    """Build all packages with one command and return the store."""
    run_factory("build", *PACKAGES)
    return Store(default_layout().store)


def run_factory(*arguments: str) -> None:
    finished = own_factory(*arguments)
    assert finished.returncode == 0, finished.stderr


@pytest.mark.parametrize("name", PACKAGES)
def test_real_package_passes_on_every_profile(store: Store, name: str) -> None:
    backend, tags, shown = PACKAGES[name]
    record = store.latest(name, PYTHONS[0])
    assert record is not None
    assert backend in {pin.name for pin in record.requirements}
    assert f"-{tags}-manylinux_2_" in record.wheel
    assert {check.profile for check in record.checks} == set(DEFAULT_PROFILES)
    assert all(shown in check.shown for check in record.checks), [check.shown for check in record.checks]


def test_a_resolve_of_torch_fetches_none_of_its_wheel(tmp_path: Path) -> None:
    """Of the torch that is made in minutes, from an index of it and what it requires."""
    run_factory("build", "torch-debian", "--python", "3.14")
    run_factory("index", "torch-debian", "--output", str(tmp_path / "index"), "--ledger", str(tmp_path / "ledger"))
    (tmp_path / "wanted.in").write_text("torch\n")
    lines: list[str] = []
    with serve(tmp_path / "index", on_request=lines.append) as base:
        url, for_board = f"{base}/simple/", ("--python-platform=riscv64-unknown-linux", "--python-version=3.14")
        uv("pip", "compile", f"--default-index={url}", *for_board, f"{tmp_path}/wanted.in")
        dry = ["install", "--dry-run", "--ignore-installed", f"--target={tmp_path / 'x'}", "--only-binary=:all:"]
        pip(
            *dry,
            "--implementation=cp",
            "--python-version=3.14",
            "--abi=cp314",
            *PLATFORM,
            f"--index-url={url}",
            "torch",
        )
    fetched = sent(lines)
    assert max(path.stat().st_size for path in (tmp_path / "index/files").glob("torch-*.whl")) > 50_000_000
    assert any(path.startswith("/files/torch-") and path.endswith(".whl.metadata") for path in fetched)
    assert not [path for path in fetched if path.endswith(".whl")]
    assert sum(fetched.values()) < 200_000, fetched
