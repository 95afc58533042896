"""A recorded build is repeated: in another folder, at another time, without a compiler cache."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from factory.errors import NotReproducible, RebuildImpossible, StoreError
from factory.util.atomic_files import sha256_of
from tests.support.checkouts import ONE_PROFILE, Checkout, make_checkout, own_factory

pytestmark = pytest.mark.environment


def build(root: Path, cache: Path, *, kind: str) -> Checkout:
    """vectors-c, built as the second rebuild of its version."""
    checkout = make_checkout(root, cache, kind=kind, more=ONE_PROFILE)
    recipe = root / "recipes/vectors-c/recipe.toml"
    recipe.write_text(recipe.read_text().replace("[package]", "[package]\nbuild = 2"))
    built = checkout.factory("build", "vectors-c")
    assert built.returncode == 0, built.stderr
    return checkout


def test_rebuild_gives_recorded_bytes_until_input_changes(fresh_cache: Path, tmp_path: Path) -> None:
    checkout = build(tmp_path / "checkout", fresh_cache, kind="plain")
    rebuilt = checkout.factory("rebuild", "vectors-c", "--verify")
    assert rebuilt.returncode == 0, rebuilt.stderr
    assert f"same bytes: sha256 {sha256_of(checkout.wheel())}" in rebuilt.stderr
    assert checkout.wheel().name.startswith("vectors_c-1.0-2-cp313-cp313-manylinux_")
    (wheel,) = (checkout.root / "dist/rebuilt").iterdir()
    assert (wheel.name, sha256_of(wheel)) == (checkout.wheel().name, sha256_of(checkout.wheel()))
    assert [path.name for area in ("jobs", "scratch") for path in (checkout.cache / area).glob("*/")] == []

    recipe = checkout.root / "recipes/vectors-c/recipe.toml"
    recipe.write_text(recipe.read_text().replace("build = 2", "build = 3"))
    refused = checkout.factory("rebuild", "vectors-c", "--verify")
    assert refused.returncode == RebuildImpossible.exit_code
    assert "vectors-c 1.0 " in refused.stderr
    assert "recipe.toml" in refused.stderr


def test_rebuild_with_timestamp_names_differing_file(fresh_cache: Path, tmp_path: Path) -> None:
    checkout = build(tmp_path / "checkout", fresh_cache, kind="dated")
    rebuilt = checkout.factory("rebuild", "vectors-c", "--verify")
    assert rebuilt.returncode == NotReproducible.exit_code, rebuilt.stderr
    assert "vectors_c.cpython-313-riscv64-linux-gnu.so" in rebuilt.stdout
    assert "not reproducible" in rebuilt.stderr


def test_dispatched_wheel_is_audited_and_rebuilt_elsewhere(fresh_cache: Path, tmp_path: Path) -> None:
    """The wheel carries its declaration, which is part of its bytes."""
    more = '[audit]\ndispatched = ["vectors_c*.so"]\nin-wheel = true\n[check]\nprofiles = ["rvv128"]\n'
    checkout = make_checkout(tmp_path / "checkout", fresh_cache, kind="vector", more=more)
    built = checkout.factory("build", "vectors-c")
    assert built.returncode == 0, built.stderr
    (tmp_path / "elsewhere").mkdir()
    copied = shutil.copy(checkout.wheel(), tmp_path / "elsewhere")
    audited = own_factory("audit", str(copied))
    assert audited.returncode == 0, audited.stdout
    assert "(run-time dispatched)" in audited.stdout
    rebuilt = checkout.factory("rebuild", "vectors-c", "--verify")
    assert f"same bytes: sha256 {sha256_of(checkout.wheel())}" in rebuilt.stderr, rebuilt.stderr


def test_what_was_never_built_has_no_record(fresh_cache: Path, tmp_path: Path) -> None:
    refused = make_checkout(tmp_path / "checkout", fresh_cache).factory("rebuild", "vectors-c")
    assert refused.returncode == StoreError.exit_code
    assert "vectors-c: no build record" in refused.stderr
    assert "factory build vectors-c" in refused.stderr
