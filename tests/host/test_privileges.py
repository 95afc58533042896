"""Commands that open roots start themselves again as root, with what says where packages come from."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest

from factory.cli.main import make_parser
from factory.errors import PrerequisiteMissing, PublishError
from factory.host.privileges import become_root, give_back, given_back


@pytest.fixture
def ordinary_user(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """Another user than root, with a new cache and a PATH with nothing on it."""
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    monkeypatch.setenv("FACTORY_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("PATH", str(tmp_path))
    return tmp_path


def test_without_namespaces_and_sudo_the_message_says_what_is_missing(ordinary_user: Path) -> None:
    with pytest.raises(PrerequisiteMissing) as caught:
        become_root()
    assert caught.value.message == (
        "riscv64 roots are made and opened in a user namespace, or by root: the program 'unshare' is not installed"
    )
    assert caught.value.hint == "apt-get install util-linux mount"


def test_a_way_that_there_is_not_is_named_with_those_that_there_are(
    ordinary_user: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FACTORY_PRIVILEGE", "suod")
    with pytest.raises(PrerequisiteMissing, match="FACTORY_PRIVILEGE is 'suod'") as caught:
        become_root()
    assert caught.value.hint == "it must be one of: namespace, sudo"


def test_a_wish_for_sudo_that_is_not_there_is_no_wish_for_something_else(
    ordinary_user: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FACTORY_PRIVILEGE", "sudo")
    with pytest.raises(PrerequisiteMissing, match="FACTORY_PRIVILEGE is sudo, which is not installed"):
        become_root()


def test_sudo_gets_the_same_command_the_cache_and_the_network_settings(
    ordinary_user: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # A sudo that writes down how it was called, where the real one would ask for a password.
    sudo, called = ordinary_user / "sudo", ordinary_user / "called"
    sudo.write_text(f'#!/bin/sh\nfor word; do echo "$word"; done > {called}\n')
    sudo.chmod(0o755)
    monkeypatch.setenv("https_proxy", "http://proxy:3128")
    monkeypatch.setenv("PIP_INDEX_URL", "https://index.example/simple")
    monkeypatch.setenv("FACTORY_CACHE", "/somewhere")
    monkeypatch.setenv("EDITOR", "vi")
    monkeypatch.setattr(sys, "argv", ["factory", "build", "numpy"])
    if os.fork() == 0:
        become_root()
    os.wait()
    words = called.read_text().splitlines()
    settings = {
        "https_proxy=http://proxy:3128",
        "PIP_INDEX_URL=https://index.example/simple",
        "FACTORY_CACHE=/somewhere",
    }
    assert settings <= set(words)
    assert not [word for word in words if word.startswith("EDITOR=")]
    assert words[-5:] == [sys.executable, "-m", "factory.cli", "build", "numpy"]


def test_setup_names_the_packages_that_only_an_administrator_can_install(ordinary_user: Path) -> None:
    arguments = make_parser().parse_args(["setup"])
    with pytest.raises(PrerequisiteMissing, match="Debian packages are missing: ") as caught:
        arguments.run(arguments)
    command = (caught.value.hint or "").removeprefix("an administrator runs once: ").split()
    assert command[:2] == ["apt-get", "install"]
    assert {"mmdebstrap", "bubblewrap", "uidmap"} <= set(command[2:])


def test_setup_installs_packages_through_sudo_before_it_becomes_root(
    ordinary_user: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    called = ordinary_user / "called"
    (ordinary_user / "sudo").write_text(f'#!/bin/sh\necho "$*" >> {called}\n')
    (ordinary_user / "sudo").chmod(0o755)
    monkeypatch.setattr(sys, "argv", ["factory", "setup"])
    arguments = make_parser().parse_args(["setup"])
    if os.fork() == 0:
        arguments.run(arguments)
    os.wait()
    update, install, again = called.read_text().splitlines()
    assert update == "DEBIAN_FRONTEND=noninteractive apt-get update"
    assert install.startswith("DEBIAN_FRONTEND=noninteractive apt-get install --yes --no-install-recommends ")
    assert again.endswith(f"{sys.executable} -m factory.cli setup")


def test_root_goes_on_at_once(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("FACTORY_CACHE", str(tmp_path))
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    become_root()


def test_what_a_failed_command_wrote_is_given_back_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    given: list[tuple[Path, ...]] = []
    monkeypatch.setattr("factory.host.privileges.give_back", lambda *folders: given.append(folders))
    with pytest.raises(PublishError), given_back(tmp_path, tmp_path / "never made"):
        raise PublishError("refused")
    assert given == [(tmp_path,)]


@pytest.mark.environment
def test_what_was_written_for_a_user_is_the_users(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    home = tmp_path / "home"
    (home / "dist/new/index").mkdir(parents=True)
    (home / "dist/new/index/page.html").write_text("page")
    os.chown(home, 1234, 1234)
    monkeypatch.setenv("SUDO_UID", "1234")
    monkeypatch.setenv("SUDO_GID", "1234")
    give_back(home / "dist/new/index")
    assert {path.stat().st_uid for path in home.rglob("*")} == {1234}
    assert tmp_path.stat().st_uid == 0
