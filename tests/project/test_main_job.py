"""The main job, with the real packages: llama-cpp-python from its source to text that a model wrote on riscv64.

It uses the machine's own cache: what is built already is looked at, not built again.
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from packaging.utils import canonicalize_name

from factory.model.record import BuildRecord
from factory.model.target import PYTHONS
from factory.store.store import Store
from factory.util.atomic_files import sha256_of
from factory.util.paths import default_layout
from tests.support.checkouts import ROOT, own_factory

pytestmark = pytest.mark.main_job

CPU_BACKENDS = {
    "rv64gc": "riscv64_0",
    "rvv128": "riscv64_v",
    "k1": "riscv64_v_zvfh",
    "rva23": "riscv64_v",
    "vlen512": "riscv64_v_zvfh",
    "vlen1024": "riscv64_v_zvfh",
}
MEGABYTE = 1_000_000


@pytest.fixture(scope="module")
def store() -> Store:
    """Run the main job and return the store."""
    finished = own_factory("build", "llama-cpp-python")
    assert finished.returncode == 0, finished.stderr
    return Store(default_layout().store)


@pytest.fixture(scope="module")
def llama(store: Store) -> BuildRecord:
    record = store.latest("llama-cpp-python", PYTHONS[0])
    assert record is not None
    return record


@pytest.fixture(scope="module")
def index(store: Store, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("index")
    published = own_factory("index", "llama-cpp-python", "--output", str(folder), "--ledger", str(folder / "ledger"))
    assert published.returncode == 0, published.stderr
    return folder


def test_one_wheel_wrote_about_paris_on_every_profile(llama: BuildRecord) -> None:
    shown = {check.profile: check.shown for check in llama.checks}
    assert set(shown) == set(CPU_BACKENDS)
    assert all(text.startswith("The capital of France is") and "Paris" in text for text in shown.values()), shown


def test_each_profile_chose_the_backend_that_it_should(llama: BuildRecord) -> None:
    facts = {check.profile: check.facts["facts"] for check in llama.checks}
    assert {name: fact["cpu-backend"] for name, fact in facts.items()} == CPU_BACKENDS  # type: ignore[index]


def test_first_twelve_tokens_are_equal_on_all_profiles(llama: BuildRecord) -> None:
    tokens = [check.facts["tokens"] for check in llama.checks]
    assert {len(each) for each in tokens} == {16}  # type: ignore[arg-type]
    assert len({tuple(each[:12]) for each in tokens}) == 1  # type: ignore[index]


def test_the_wheel_is_small_and_each_library_is_in_it_once(store: Store, llama: BuildRecord) -> None:
    wheel = store.wheel_path(llama)
    assert wheel.stat().st_size <= 8 * MEGABYTE
    assert wheel.name.startswith("llama_cpp_python-0.3.36-py3-none-manylinux_2_")
    audited = own_factory("audit", str(wheel), "--dispatched", "llama_cpp/lib/libggml-cpu-riscv64_v*.so")
    assert audited.returncode == 0, audited.stdout
    assert "duplicate" not in audited.stdout


def test_auditwheel_agrees_with_the_tag(store: Store, llama: BuildRecord) -> None:
    wheel = store.wheel_path(llama)
    command = [sys.executable, "-m", "auditwheel", "show", str(wheel)]
    shown = " ".join(subprocess.run(command, capture_output=True, text=True, check=True).stdout.split())
    tag = wheel.stem.rsplit("-", 1)[1]
    assert f'is consistent with the following platform tag: "{tag}"' in shown


def test_numpy_and_openblas_use_vectors_only_with_rvv(store: Store) -> None:
    record = store.latest("numpy", PYTHONS[0])
    assert record is not None
    rvv = {check.profile: check.facts["facts"]["rvv"] for check in record.checks}  # type: ignore[index]
    assert rvv == {"rv64gc": False, "rvv128": True, "k1": True, "rva23": True, "vlen1024": True}
    core = {check.profile: check.facts["facts"]["core"] for check in record.checks}  # type: ignore[index]
    assert {profile: name != "riscv64_generic" for profile, name in core.items()} == rvv


def test_the_records_name_every_patch_and_stage(llama: BuildRecord) -> None:
    patches = sorted(path.name for path in (ROOT / "patches/llama-cpp-python/0.3.36").iterdir())
    assert [patch.name for patch in llama.patches] == patches
    assert all(patch.upstream_status for patch in llama.patches)
    assert {"cmake", "scikit-build-core"} <= {pin.name for pin in llama.requirements}


def test_a_second_build_does_nothing(store: Store, llama: BuildRecord) -> None:
    before = sha256_of(store.wheel_path(llama))
    again = own_factory("build", "llama-cpp-python")
    assert "started" not in again.stderr
    assert "llama-cpp-python 0.3.36: already built" in again.stderr
    assert sha256_of(store.wheel_path(llama)) == before


def test_pip_installs_it_from_the_index_alone_and_it_writes_text(index: Path) -> None:
    checked = own_factory("check", "llama-cpp-python", "--index", str(index), "--profile", "k1")
    assert checked.returncode == 0, checked.stderr
    assert "k1: The capital of France is" in checked.stderr
    log = (default_layout().logs / "llama-cpp-python-0.3.36/check.log").read_text()
    installed = log.rpartition("Successfully installed ")[2].splitlines()[0]
    names = {canonicalize_name(name.rsplit("-", 1)[0]) for name in installed.split()}
    assert names >= {"llama-cpp-python", "numpy", "jinja2", "markupsafe", "diskcache", "typing-extensions"}
