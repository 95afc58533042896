"""Tests of the network's variables, from each place of pip, uv, cargo and netrc."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from factory.errors import EnvironmentSetupError
from factory.host.network import host_network
from factory.host.privileges import passed_variables
from factory.host.secrets import host_secrets
from factory.host.user_settings import user_environment
from factory.util.redaction import redact

UV_TOML = """
[[index]]
name = "company"
url = "https://company.example/simple"
[[index]]
name = "main"
url = "https://main.example/simple"
default = true
[[index]]
name = "rare"
url = "https://rare.example/simple"
explicit = true
"""


@pytest.fixture
def environment(tmp_path: Path) -> dict[str, str]:
    """Return the variables of a user with an empty home folder and nothing configured."""
    (tmp_path / "xdg").mkdir()
    return {"PATH": os.environ["PATH"], "HOME": str(tmp_path), "XDG_CONFIG_DIRS": str(tmp_path / "xdg")}


def write(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)


def test_uv_toml_gives_indexes_with_passwords(environment: dict[str, str], tmp_path: Path) -> None:
    write(tmp_path / ".config/uv/uv.toml", UV_TOML)
    passwords = {"UV_INDEX_COMPANY_USERNAME": "me", "UV_INDEX_COMPANY_PASSWORD": "uv canary"}
    shown = host_network(environment | passwords).environment
    assert shown["UV_INDEX"] == "https://me:uv%20canary@company.example/simple"
    assert shown["UV_DEFAULT_INDEX"] == "https://main.example/simple"
    assert not passwords.keys() & shown.keys()
    assert redact("it is uv canary") == "it is ***"


def test_uv_variable_precedes_uv_toml(environment: dict[str, str], tmp_path: Path) -> None:
    write(tmp_path / ".config/uv/uv.toml", UV_TOML)
    named = {"UV_INDEX": "own=https://own.example/simple", "UV_INDEX_OWN_PASSWORD": "canary-own"}
    assert host_network(environment | named).environment["UV_INDEX"] == "https://:canary-own@own.example/simple"


def test_damaged_uv_toml_is_named(environment: dict[str, str], tmp_path: Path) -> None:
    write(tmp_path / ".config/uv/uv.toml", "[[index\n")
    with pytest.raises(EnvironmentSetupError, match=r"uv/uv\.toml") as caught:
        host_network(environment)
    assert "correct or remove it" in (caught.value.hint or "")


def test_netrc_gives_passwords_of_indexes_only(environment: dict[str, str], tmp_path: Path) -> None:
    write(tmp_path / ".netrc", "machine index.example login me password canary-index\n")
    with (tmp_path / ".netrc").open("a") as file:
        file.write("machine other.example login me password canary-other\ndefault login me password canary-default\n")
    urls = {"PIP_INDEX_URL": "https://index.example/simple", "PIP_EXTRA_INDEX_URL": "https://second.example/simple"}
    shown = host_network(environment | urls)
    assert shown.environment["PIP_INDEX_URL"] == "https://me:canary-index@index.example/simple"
    assert shown.environment["UV_DEFAULT_INDEX"] == "https://me:canary-index@index.example/simple"
    assert shown.environment["PIP_EXTRA_INDEX_URL"] == "https://second.example/simple"
    assert "netrc" not in str(shown.files)
    assert redact("canary-other canary-default") == "*** ***"


def test_cargo_registries_are_for_fetching_crates_only(environment: dict[str, str]) -> None:
    tokens = {"CARGO_REGISTRIES_OWN_TOKEN": "canary-own", "CARGO_REGISTRY_TOKEN": "canary-publishing"}
    network = host_network(environment | tokens)
    assert not [name for name in network.variables(crates=False) if name.startswith("CARGO_REG")]
    fetching = network.variables(crates=True)
    assert fetching["CARGO_REGISTRIES_OWN_TOKEN"] == "canary-own"
    assert "canary-publishing" not in fetching.values()


def test_token_for_publishing_stays_in_cargo_toml(environment: dict[str, str], tmp_path: Path) -> None:
    write(tmp_path / ".cargo/config.toml", '[registry]\ntoken = "canary-toml"\ndefault = "own"\n')
    fetching = host_network(environment).variables(crates=True)
    assert 'default = "own"' in fetching["HOST_CARGO_CONFIG"]
    assert "canary-toml" not in fetching["HOST_CARGO_CONFIG"]
    assert redact("canary-toml") == "***"


@pytest.mark.parametrize(
    ("name", "text"),
    [
        (".netrc", "machine a login b password canary-file"),
        (".config/pip/pip.conf", "[global]\nindex-url = https://me:canary-file@host/simple\n"),
        (".pip/pip.conf", "[install]\nproxy = http://me:canary-file@host:3128\n"),
        (".config/uv/uv.toml", 'index-url = "https://canary-file@host/simple"\n'),
        (".cargo/credentials.toml", '[registries.own]\ntoken = "canary-file"\n'),
        (".cargo/config.toml", "[http]\nproxy = 'me:canary-file@host:3128'\n[registry]\nsecret-key = 'canary-file'\n"),
    ],
)
def test_secret_of_configuration_file_is_known(
    environment: dict[str, str], tmp_path: Path, name: str, text: str
) -> None:
    write(tmp_path / name, text)
    assert "canary-file" in host_secrets(environment)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("https_proxy", "http://me:canary-variable@proxy:3128"),
        ("http_proxy", "me:canary-variable@proxy:3128"),
        ("UV_INDEX_OWN_PASSWORD", "canary-variable"),
        ("CARGO_REGISTRIES_OWN_TOKEN", "canary-variable"),
        ("FACTORY_DEBIAN_MIRROR", "http://me:canary-variable@mirror/debian"),
        ("TWINE_PASSWORD", "canary-variable"),
    ],
)
def test_secret_of_variable_is_known(environment: dict[str, str], name: str, value: str) -> None:
    assert "canary-variable" in host_secrets(environment | {name: value})


def test_words_of_comments_are_no_secrets(environment: dict[str, str], tmp_path: Path) -> None:
    write(tmp_path / ".netrc", "# login and password follow\nmachine a login b password canary-netrc\n")
    write(tmp_path / ".config/pip/pip.conf", "# the password prompt is off\n[global]\nno-token = none\n")
    assert not {"follow", "prompt", "none"} & host_secrets(environment)


def test_root_by_sudo_reads_configuration_of_user(environment: dict[str, str], tmp_path: Path) -> None:
    """Root's own configuration does not count; sudo hands on no other variable."""
    write(tmp_path / ".config/pip/pip.conf", "[global]\nindex-url = https://pip.example/simple\n")
    write(tmp_path / ".config/uv/uv.toml", 'extra-index-url = ["https://uv.example/simple"]\n')
    write(tmp_path / ".cargo/config.toml", '[registries.own]\nindex = "https://cargo.example/"\n')
    write(tmp_path / ".netrc", "machine pip.example login me password canary-netrc\n")
    write(tmp_path / "root/.config/pip/pip.conf", "[global]\nindex-url = https://root.example/simple\n")
    as_root = {"PATH": os.environ["PATH"], "HOME": str(tmp_path / "root"), **passed_variables(environment)}
    network = host_network(as_root)
    assert network.environment["PIP_INDEX_URL"] == "https://me:canary-netrc@pip.example/simple"
    assert network.environment["UV_INDEX"] == "https://uv.example/simple"
    assert "cargo.example" in network.crates["HOST_CARGO_CONFIG"]
    assert user_environment(as_root)["HOME"] == str(tmp_path)
