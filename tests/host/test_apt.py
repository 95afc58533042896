"""apt's passwords are in files for root alone."""

from __future__ import annotations

from pathlib import Path

import pytest

from factory.host import apt
from factory.host.apt import SecretSettings, secret_settings, without_login

MIRROR = "http://me:can%20ary@127.0.0.1:8000/debian"


def test_mirror_login_is_apart_from_its_address() -> None:
    assert without_login(MIRROR) == "http://127.0.0.1:8000/debian"
    assert "machine http://127.0.0.1:8000/debian login me password can ary" in secret_settings(MIRROR).logins


def test_mirror_without_login_needs_no_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(apt, "_all_fetch_options", lambda: ('Acquire::http::Proxy "http://proxy:3128"',))
    assert secret_settings("http://mirror.example/debian").write(tmp_path, "/inputs") is None
    assert list(tmp_path.iterdir()) == []
    assert apt.fetch_options() == ('Acquire::http::Proxy "http://proxy:3128"',)


def test_proxy_with_password_is_no_option_of_command_line(monkeypatch: pytest.MonkeyPatch) -> None:
    proxy = 'Acquire::http::Proxy "http://me:canary@proxy:3128"'
    monkeypatch.setattr(apt, "_all_fetch_options", lambda: (proxy, 'Acquire::Check-Valid-Until "false"'))
    assert apt.fetch_options() == ('Acquire::Check-Valid-Until "false"',)
    assert secret_settings(None).options == (proxy,)


def test_files_with_secrets_are_for_root_alone(tmp_path: Path) -> None:
    settings = SecretSettings(options=("Acquire::http::Proxy x",), logins=("machine a login b password c",))
    for _ in range(2):
        assert settings.write(tmp_path, "/inputs") == f"/inputs/{apt.CONFIGURATION}"
    assert {path.stat().st_mode & 0o777 for path in tmp_path.iterdir()} == {0o600}
    assert 'Dir::Etc::netrc "/inputs/apt-host-logins.conf";' in (tmp_path / apt.CONFIGURATION).read_text()
