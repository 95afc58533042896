"""Commands that open roots restart as root, and keep their network configuration."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest

from factory.cli.parser import make_parser
from factory.errors import PrerequisiteMissing
from factory.host.privileges import become_root, owns_cache


@pytest.fixture
def unprivileged_user(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """Act as an unprivileged user with a new cache and an empty PATH."""
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    monkeypatch.setenv("FACTORY_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("PATH", str(tmp_path))
    return tmp_path


def test_become_root_without_namespace_and_sudo_reports_cause(unprivileged_user: Path) -> None:
    with pytest.raises(PrerequisiteMissing) as caught:
        become_root()
    assert caught.value.message.startswith("riscv64 roots: need root or a user namespace: ")
    assert "unshare" in caught.value.message
    assert caught.value.hint == "apt-get install util-linux mount"


def test_unknown_privilege_method_lists_valid_methods(unprivileged_user: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FACTORY_PRIVILEGE", "suod")
    with pytest.raises(PrerequisiteMissing, match="FACTORY_PRIVILEGE: unknown method 'suod'") as caught:
        become_root()
    assert caught.value.hint == "use one of: namespace, sudo"


def test_sudo_method_without_sudo_is_an_error(unprivileged_user: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FACTORY_PRIVILEGE", "sudo")
    with pytest.raises(PrerequisiteMissing, match="FACTORY_PRIVILEGE: sudo is not installed"):
        become_root()


def test_sudo_gets_command_cache_and_network_settings(unprivileged_user: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    # Records its arguments and variables; the real sudo asks for a password.
    sudo, called = unprivileged_user / "sudo", unprivileged_user / "called"
    sudo.write_text(f'#!/bin/sh\nfor word; do echo "$word"; done > {called}\n/usr/bin/env > {called}.variables\n')
    sudo.chmod(0o755)
    monkeypatch.setenv("https_proxy", "http://proxy:3128")
    monkeypatch.setenv("PIP_INDEX_URL", "https://index.example/simple")
    monkeypatch.setenv("FACTORY_CACHE", "/somewhere")
    monkeypatch.setenv("EDITOR", "vi")
    monkeypatch.setattr(sys, "argv", ["factory", "build", "numpy"])
    if os.fork() == 0:
        become_root()
    os.wait()
    names, *words = called.read_text().splitlines()
    variables = Path(f"{called}.variables").read_text().splitlines()
    settings = {
        "https_proxy": "http://proxy:3128",
        "PIP_INDEX_URL": "https://index.example/simple",
        "FACTORY_CACHE": "/somewhere",
    }
    assert {f"{name}={value}" for name, value in settings.items()} <= set(variables)
    assert names.startswith("--preserve-env=")
    assert settings.keys() <= set(names.partition("=")[2].split(","))
    assert "EDITOR" not in names
    assert words == [sys.executable, "-P", "-m", "factory.cli", "build", "numpy"]


def test_setup_without_sudo_lists_missing_packages(unprivileged_user: Path) -> None:
    arguments = make_parser().parse_args(["setup"])
    with pytest.raises(PrerequisiteMissing, match="setup: cannot install ") as caught:
        arguments.run(arguments)
    command = (caught.value.hint or "").removeprefix("run as root: ").split()
    assert command[:2] == ["apt-get", "install"]
    assert {"mmdebstrap", "bubblewrap", "uidmap"} <= set(command[2:])


def test_setup_installs_packages_through_sudo_first(unprivileged_user: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    called = unprivileged_user / "called"
    (unprivileged_user / "sudo").write_text(f'#!/bin/sh\necho "$*" >> {called}\n')
    (unprivileged_user / "sudo").chmod(0o755)
    monkeypatch.setattr(sys, "argv", ["factory", "setup"])
    arguments = make_parser().parse_args(["setup"])
    if os.fork() == 0:
        arguments.run(arguments)
    os.wait()
    update, install, again = called.read_text().splitlines()
    assert update == "DEBIAN_FRONTEND=noninteractive apt-get update"
    assert install.startswith("DEBIAN_FRONTEND=noninteractive apt-get install --yes --no-install-recommends ")
    assert again.endswith(f"{sys.executable} -P -m factory.cli setup")


def test_become_root_as_root_returns(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("FACTORY_CACHE", str(tmp_path))
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    become_root()


def test_cache_of_another_user_is_not_owned(unprivileged_user: Path) -> None:
    assert owns_cache()
    (unprivileged_user / "cache").mkdir()
    assert owns_cache() is ((unprivileged_user / "cache").stat().st_uid == 1000)
