"""Layers of Debian packages, from a mirror under the test's control."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from factory.errors import EnvironmentSetupError
from factory.stages.environments.debian.layers import DebianLayers
from factory.stages.environments.layers import Layer
from factory.util.paths import Layout
from factory.util.scratch import discard
from tests.support.debian_repository import Repository, debian_repository
from tests.support.layer_stores import layer_store

pytestmark = pytest.mark.environment


@pytest.fixture
def mirror(tmp_path: Path) -> Iterator[Repository]:
    folder = tmp_path / "mirror"
    folder.mkdir()
    with debian_repository(folder) as repository:
        yield repository


@pytest.fixture
def below(layout: Layout, mirror: Repository, tmp_path: Path) -> tuple[Layer, ...]:
    """Return the base layer with the test's mirror as its only one."""
    tree = tmp_path / "with-mirror"
    (tree / "etc/apt").mkdir(parents=True)
    (tree / "etc/apt/sources.list").write_text(mirror.source)
    return DebianLayers(layer_store(layout)).base(), Layer(key=mirror.url, tree=tree, packages=())


def test_unknown_debian_package_reports_name_and_hint(layout: Layout, below: tuple[Layer, ...]) -> None:
    with pytest.raises(EnvironmentSetupError, match=r"no-such-package: installation failed") as caught:
        DebianLayers(layer_store(layout)).packages(below, ("no-such-package",))
    assert "Unable to locate package no-such-package" in caught.value.message
    assert "Debian 13 (trixie)" in (caught.value.hint or "")


def test_packages_from_mirror_in_mid_update_succeed_on_retry(
    layout: Layout, below: tuple[Layer, ...], mirror: Repository
) -> None:
    mirror.offer("tiny")
    with (mirror.folder / "Packages").open("a") as listed:
        listed.write("\n")
    with pytest.raises(EnvironmentSetupError, match=r"tiny: installation failed") as caught:
        DebianLayers(layer_store(layout)).packages(below, ("tiny",))
    assert "File has unexpected size" in caught.value.message
    assert "retry later" in (caught.value.hint or "")
    mirror.release()
    layer = DebianLayers(layer_store(layout)).packages(below, ("tiny",))
    try:
        assert "tiny" in {package.name for package in layer.packages}
    finally:
        discard(layer.tree.parent)
