"""Layers of Debian packages, from a mirror under the test's control."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from factory.errors import EnvironmentSetupError
from factory.host.apt import MIRROR_VARIABLE, mirror_url
from factory.model.distribution import DEFAULT_DISTRIBUTION
from factory.stages.environments.debian import bootstrap
from factory.stages.environments.debian.layers import DebianLayers
from factory.stages.environments.layers import Layer
from factory.util.paths import Layout
from factory.util.scratch import discard
from tests.support.canaries import CANARIES, LOGINS, CommandLines, files_with_canaries
from tests.support.debian_repository import Repository, debian_repository
from tests.support.gateway import gateway
from tests.support.layer_stores import layer_store
from tests.support.logs import MemoryLog

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


def test_password_of_mirror_is_in_no_tree_and_command_line(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, log: MemoryLog
) -> None:
    """It downloads by the machine's own mirror, behind a login."""
    commands = CommandLines()
    with gateway(mirror_url(), LOGINS["mirror"]) as place, commands.watched():
        monkeypatch.setenv(MIRROR_VARIABLE, f"http://mirror:{CANARIES['mirror']}@{place}")
        packages = bootstrap.extract(tmp_path / "made/tree", "amd64", ("dash",), DEFAULT_DISTRIBUTION, log)
    assert "dash" in {package.name for package in packages}
    assert (tmp_path / "made/tree/etc/apt/sources.list").read_text().count(f" http://{place} ") == 1
    assert files_with_canaries(tmp_path) == []
    assert commands.leaked == set()
    assert "mmdebstrap" in commands.programs


def test_password_of_mirror_is_in_no_layer_of_packages(
    layout: Layout, below: tuple[Layer, ...], mirror: Repository, monkeypatch: pytest.MonkeyPatch
) -> None:
    mirror.offer("secret-tiny")
    commands = CommandLines()
    with gateway(mirror.url, LOGINS["mirror"]) as place, commands.watched():
        source = below[1].tree / "etc/apt/sources.list"
        source.write_text(source.read_text().replace(mirror.url, f"http://{place}"))
        monkeypatch.setenv(MIRROR_VARIABLE, f"http://mirror:{CANARIES['mirror']}@{place}")
        layer = DebianLayers(layer_store(layout)).packages(below, ("secret-tiny",))
    try:
        assert "secret-tiny" in {package.name for package in layer.packages}
        assert files_with_canaries(layer.tree.parent) == []
    finally:
        discard(layer.tree.parent)
    assert commands.leaked == set()
    assert "apt-get" in commands.programs
