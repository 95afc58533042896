"""Commands that open roots restart as root, and keep their network configuration."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

from factory.cli.parser import make_parser
from factory.errors import PrerequisiteMissing
from factory.host.privileges import become_root, owns_cache, reads_cache

NOBODY = 65534


@pytest.fixture
def unprivileged_user(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """Act as an unprivileged user with a new cache and an empty PATH."""
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    monkeypatch.setenv("FACTORY_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("PATH", str(tmp_path))
    return tmp_path


def make_sudo(folder: Path, script: str, *, asks: bool = False) -> None:
    """Make a program that takes the place of sudo, and the programs that `run` needs; the real one asks for a password.

    With `asks`, it refuses commands that it may not ask for a password.
    """
    for name in ("setpriv", "sh"):
        (folder / name).symlink_to(f"/usr/bin/{name}")
    refusal = f'if [ "$1" = --non-interactive ]; then exit {int(asks)}; fi\n'
    (folder / "sudo").write_text(f"#!/bin/sh\n{refusal}{script}")
    (folder / "sudo").chmod(0o755)


def in_child(action: Callable[[], object]) -> str:
    """Return the result of an action in a process without a terminal, or its error."""
    reader, writer = os.pipe()
    if os.fork() == 0:
        os.setsid()
        try:
            result = str(action())
        except BaseException as error:
            result = f"{error}"
        os.write(writer, result.encode())
        os._exit(0)
    os.close(writer)
    os.wait()
    with open(reader) as pipe:  # noqa: PTH123 - a descriptor
        return pipe.read()


def test_sudo_that_cannot_ask_is_an_error(unprivileged_user: Path) -> None:
    """Its own message is about askpass helpers, and its status that of any other failure."""
    make_sudo(unprivileged_user, "exit 1\n", asks=True)
    (unprivileged_user / "cache").mkdir()
    shown = in_child(become_root)
    if (unprivileged_user / "cache").stat().st_uid == 0:
        assert shown.startswith(f"the cache {unprivileged_user / 'cache'} belongs to root: sudo needs a password, and")
    assert "there is no terminal to ask for it\n  hint: run it in a terminal, or as root; or export FACTORY_" in shown


@pytest.mark.skipif(os.geteuid() != 0, reason="needs another user")
def test_cache_of_root_is_read_by_another_user(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with TemporaryDirectory() as folder:  # other users may not look into pytest's folders
        cache = Path(folder, "cache")
        (cache / "store").mkdir(parents=True)
        monkeypatch.setenv("FACTORY_CACHE", str(cache))

        def read() -> bool:
            os.setresuid(NOBODY, NOBODY, NOBODY)
            return reads_cache()

        found = {}
        for hidden in (None, cache / "store", cache, Path(folder)):
            Path(folder).chmod(0o755)
            if hidden:
                hidden.chmod(0o700)
            found[hidden] = in_child(read)
            if hidden:
                hidden.chmod(0o755)
        assert found == {None: "True", cache / "store": "False", cache: "False", Path(folder): "False"}
    assert reads_cache()


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
    called = unprivileged_user / "called"
    make_sudo(unprivileged_user, f'for word; do echo "$word"; done > {called}\n/usr/bin/env > {called}.variables\n')
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
    make_sudo(unprivileged_user, f'echo "$*" >> {called}\n')
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
