"""Layers of Debian packages, from a mirror that is in the state that a test wants."""

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
    """Debian's base, with that mirror as its only one."""
    tree = tmp_path / "with-mirror"
    (tree / "etc/apt").mkdir(parents=True)
    (tree / "etc/apt/sources.list").write_text(mirror.source)
    return DebianLayers(layer_store(layout)).base(), Layer(key=mirror.url, tree=tree, packages=())


def test_a_debian_package_that_is_not_there_is_named_with_what_to_do(layout: Layout, below: tuple[Layer, ...]) -> None:
    with pytest.raises(EnvironmentSetupError, match=r"no-such-package: installation failed") as caught:
        DebianLayers(layer_store(layout)).packages(below, ("no-such-package",))
    assert "Unable to locate package no-such-package" in caught.value.message
    assert "check the names with apt-cache in Debian 13 (trixie)" in (caught.value.hint or "")


def test_a_mirror_caught_in_the_middle_of_an_update_is_told_as_such_and_a_later_try_succeeds(
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
