"""Layers of Debian packages, from a mirror that is in the state that a test wants."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from factory.errors import EnvironmentSetupError
from factory.stages.environments.layers import Layer
from factory.stages.environments.roots import apt_layer, base_layer
from factory.util.paths import Layout
from factory.util.scratch import discard
from tests.support.debian_repository import Repository, debian_repository
from tests.support.logs import unreported

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
    return base_layer(layout, unreported), Layer(key=mirror.url, tree=tree, packages=())


def test_a_debian_package_that_is_not_there_is_named_with_what_to_do(layout: Layout, below: tuple[Layer, ...]) -> None:
    with pytest.raises(EnvironmentSetupError, match=r"no-such-package could not be installed") as caught:
        apt_layer(layout, below, ("no-such-package",), unreported)
    assert "Unable to locate package no-such-package" in caught.value.message
    assert "check the names with apt-cache in Debian trixie" in (caught.value.hint or "")


def test_a_mirror_caught_in_the_middle_of_an_update_is_told_as_such_and_a_later_try_succeeds(
    layout: Layout, below: tuple[Layer, ...], mirror: Repository
) -> None:
    mirror.offer("tiny")
    with (mirror.folder / "Packages").open("a") as listed:
        listed.write("\n")
    with pytest.raises(EnvironmentSetupError, match=r"tiny could not be installed") as caught:
        apt_layer(layout, below, ("tiny",), unreported)
    assert "File has unexpected size" in caught.value.message
    assert "a mirror caught in the middle of an update needs a later try" in (caught.value.hint or "")
    mirror.release()
    layer = apt_layer(layout, below, ("tiny",), unreported)
    try:
        assert "tiny" in {package.name for package in layer.packages}
    finally:
        discard(layer.tree.parent)
