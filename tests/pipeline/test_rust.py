"""A small package in Rust through every stage: a build script, a procedural macro, C, and crates from the network."""

from __future__ import annotations

import json
import os
import shutil
import zipfile
from pathlib import Path

import pytest

from factory.errors import BuildFailed
from factory.model.protocols import Command
from factory.stages.environments.base import RootRequest
from factory.stages.environments.rootfs import RootfsEnvironment
from factory.stages.environments.roots import hybrid_root
from factory.store.store import Store
from factory.util.log import LogFile
from factory.util.paths import Layout
from tests.support.checkouts import PACKAGES, Checkout
from tests.support.layer_stores import layer_store

pytestmark = pytest.mark.environment

RECIPE = """
[package]
name = "words-rust"
version = "1.0"
[source]
kind = "local"
path = "source"
[check]
profiles = ["rv64gc", "k1"]
"""
SMOKE = """
import json, os, subprocess
shown = subprocess.check_output(["words-rust", "  one two\\tthree\\n "], text=True).strip()
result = {"shown": shown, "facts": {}, "tokens": [], "logits": []}
open(os.environ["FACTORY_RESULT"], "w").write(json.dumps(result))
"""


def make_checkout(root: Path, cache: Path) -> Checkout:
    """Make a checkout with a recipe and a source for words-rust."""
    folder = root / "recipes/words-rust"
    shutil.copytree(PACKAGES / "words-rust", folder / "source")
    (folder / "recipe.toml").write_text(RECIPE)
    (folder / "smoke.py").write_text(SMOKE)
    return Checkout(root=root, cache=cache)


@pytest.fixture(scope="module")
def with_rust(layout: Layout) -> RootfsEnvironment:
    return RootfsEnvironment(root=hybrid_root(layer_store(layout), RootRequest(rust=True)), layout=layout)


def test_a_rust_layer_changes_no_other_roots_key(hybrid: RootfsEnvironment, with_rust: RootfsEnvironment) -> None:
    assert with_rust.root.layers[:-1] == hybrid.root.layers
    assert with_rust.root.toolchain()["rustc-web"].split(".") >= ["1", "96"]
    assert "rustc-web" not in hybrid.root.toolchain()


def test_rust_build_scripts_run_on_build_machine(with_rust: RootfsEnvironment, tmp_path: Path) -> None:
    script = r"""
        printf '#include <stdio.h>\nint main(void) { puts(RUNS_ON); return 0; }\n' > /tmp/x.c
        $HOST_CC -DRUNS_ON='"build machine"' -o /tmp/host /tmp/x.c && /tmp/host
        gcc -DRUNS_ON='"target"' -o /tmp/target /tmp/x.c && /tmp/target
        for program in /tmp/host /tmp/target; do od -An -j18 -N1 -tu1 $program; done
    """
    log = LogFile(tmp_path / "log")
    with with_rust.open(tmp_path / "work", caches="test") as sandbox:
        sandbox.run(Command(["sh", "-c", f"({script}) > /build/said"]), log=log)
    said = (tmp_path / "work/said").read_text().split()
    assert said == ["build", "machine", "target", "62", "243"]  # EM_X86_64, EM_RISCV


def test_rust_program_runs_and_is_reproducible(with_rust: RootfsEnvironment, fresh_cache: Path, tmp_path: Path) -> None:
    checkout = make_checkout(tmp_path / "checkout", fresh_cache)
    built = checkout.factory("build", "words-rust")
    assert built.returncode == 0, built.stderr
    assert checkout.wheel().name.startswith("words_rust-1.0-py3-none-manylinux_2_")
    (record,) = (json.loads(path.read_text()) for path in fresh_cache.glob("store/records/*.json"))
    assert [check["shown"] for check in record["checks"]] == ["3 words, sum 55, 64 bits, built on x86_64"] * 2
    assert record["toolchain"].keys() >= {"rustc-web", "cargo-web"}
    assert b"/build/" not in program(checkout.wheel())
    # The source has no Cargo.lock: what cargo chose is in the record, and the rebuild takes the same.
    assert 'name = "find-msvc-tools"' in record["cargo_locks"]["Cargo.lock"]
    rebuilt = checkout.factory("rebuild", "words-rust", "--verify", "--output", str(tmp_path / "rebuilt"))
    assert rebuilt.returncode == 0, rebuilt.stderr


def program(wheel: Path) -> bytes:
    """Extract the wheel's program."""
    with zipfile.ZipFile(wheel) as archive:
        (name,) = (name for name in archive.namelist() if name.endswith("/scripts/words-rust"))
        return archive.read(name)


def test_rust_missing_crate_is_named_before_compiling(
    with_rust: RootfsEnvironment, fresh_cache: Path, tmp_path: Path
) -> None:
    checkout = make_checkout(tmp_path / "checkout", fresh_cache)
    manifest = checkout.root / "recipes/words-rust/source/Cargo.toml"
    manifest.write_text(manifest.read_text().replace('seq-macro = "=0.3.6"', 'seq-macro = "=99.0.0"'))
    failed = checkout.factory("build", "words-rust")
    assert failed.returncode == BuildFailed.exit_code, failed.stderr
    assert "words-rust 1.0: crates " in failed.stderr
    assert 'seq-macro = "=99.0.0"' in failed.stderr
    assert "build: started" not in failed.stderr


def test_registries_that_cant_be_reached_are_one_clear_error(
    with_rust: RootfsEnvironment, fresh_cache: Path, tmp_path: Path
) -> None:
    (tmp_path / "config.toml").write_text(
        '[source.crates-io]\nreplace-with = "company"\n[source.company]\nregistry = "sparse+http://127.0.0.1:9/"\n'
    )
    checkout = make_checkout(tmp_path / "checkout", fresh_cache)
    failed = checkout.factory("build", "words-rust", CARGO_HOME=str(tmp_path), CARGO_NET_RETRY="0")
    assert failed.returncode == BuildFailed.exit_code, failed.stderr
    assert "crate seq-macro " in failed.stderr
    (log,) = fresh_cache.glob("logs/words-rust-1.0/*/environment.log")
    assert os.fspath(log) in failed.stderr
    assert Store(fresh_cache / "store").failures() == ()
