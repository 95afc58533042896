"""Real packages of different kinds, from their source distributions to wheels that passed on every profile.

They use the machine's own cache: what is built already is looked at, not built again.
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from factory.layout import default_layout
from factory.model import DEFAULT_PROFILES, PYTHONS
from factory.store import Store

pytestmark = [pytest.mark.main_job, pytest.mark.long]

ROOT = Path(__file__).parent.parent
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
    """The store after all of them were built by one command."""
    command = [sys.executable, "-m", "factory.cli", "build", *PACKAGES]
    finished = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, env=os.environ)
    assert finished.returncode == 0, finished.stderr
    return Store(default_layout().store)


@pytest.mark.parametrize("name", PACKAGES)
def test_a_real_package_is_built_by_its_own_backend_and_passes_on_every_profile(store: Store, name: str) -> None:
    backend, tags, shown = PACKAGES[name]
    record = store.latest(name, PYTHONS[0])
    assert record is not None
    assert backend in {pin.name for pin in record.requirements}
    assert f"-{tags}-manylinux_2_" in record.wheel
    assert {check.profile for check in record.checks} == set(DEFAULT_PROFILES)
    assert all(shown in check.shown for check in record.checks), [check.shown for check in record.checks]
