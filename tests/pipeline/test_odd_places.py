"""Tests of builds in caches with odd names and under strict umasks."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from factory.model.distribution import DEFAULT_DISTRIBUTION
from factory.stages.environments.debian.bootstrap import extract
from factory.util.atomic_files import sha256_of
from factory.util.paths import Layout
from tests.support.checkouts import ONE_PROFILE, make_cache, make_checkout
from tests.support.logs import MemoryLog

ODD = """it's a "cache" of $HOME `id` & co."""

pytestmark = pytest.mark.environment


def test_build_in_odd_cache_gives_the_same_wheel(fresh_cache: Path, layout: Layout, tmp_path: Path) -> None:
    plain = make_checkout(tmp_path / "plain", fresh_cache, more=ONE_PROFILE)
    odd = make_checkout(tmp_path / "odd checkout", make_cache(tmp_path / ODD, layout), more=ONE_PROFILE)
    built = plain.factory("build", "vectors-c")
    assert built.returncode == 0, built.stderr
    before = os.umask(0o077)
    try:
        built = odd.factory("build", "vectors-c")
    finally:
        os.umask(before)
    assert built.returncode == 0, built.stderr
    assert sha256_of(odd.wheel()) == sha256_of(plain.wheel())
    assert odd.wheel().stat().st_mode & 0o777 == 0o644


def test_layer_in_odd_cache_is_made(tmp_path: Path, log: MemoryLog) -> None:
    tree = tmp_path / ODD / "layers/hello.partial/tree"
    packages = extract(tree, "amd64", ("hello",), DEFAULT_DISTRIBUTION, log)
    assert "hello" in {pin.name for pin in packages}
    assert (tree / "usr/bin/hello").is_file()
