"""Secrets of this machine: passwords and tokens in variables and configuration files.

They are found by their form, since a value that is hidden in a log without need costs nothing.
"""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Iterator, Mapping
from contextlib import suppress
from pathlib import Path

from factory.host.user_settings import configuration_folders, home, netrc_files, user_environment
from factory.util.redaction import basic_credentials, learn, url_secrets

# Variables whose value is a secret as a whole.
_SECRET_NAME = re.compile(r"(?:TOKEN|PASSWORD|PASSWD|SECRET|API_?KEY|AUTH)$|^NETRC_", re.IGNORECASE)
# Shorter values of such variables are settings, such as "true" and "none".
MIN_VARIABLE = 6
# In TOML and INI files.
_SETTING = re.compile(
    r"^\s*[\w.\"-]*(?:token|password|secret|secret-key)[\"']?\s*[=:]\s*[\"']?(?P<value>[^\s\"'#]+)",
    re.MULTILINE | re.IGNORECASE,
)
# A proxy's address needs no scheme.
_PROXY = re.compile(r"proxy\s*[=:]\s*[\"']?(?P<address>[^\s\"'/]+@)", re.IGNORECASE)
# In netrc and in apt's auth.conf.
_LOGIN = re.compile(r"\b(?:login\s+(?P<user>\S+)\s+)?password\s+(?P<password>\"[^\"\n]*\"|\S+)")
APT = ("/etc/apt/apt.conf", "/etc/apt/sources.list", "/etc/apt/auth.conf")
APT_FOLDERS = ("/etc/apt/apt.conf.d", "/etc/apt/sources.list.d", "/etc/apt/auth.conf.d")
MAX_BYTES = 1 << 20


def learn_secrets(environment: Mapping[str, str] | None = None) -> None:
    """Hide the secrets of this machine in all that is logged from now on."""
    learn(host_secrets(user_environment(os.environ if environment is None else environment)))


def host_secrets(environment: Mapping[str, str]) -> frozenset[str]:
    """Return the secrets in the variables and in the configuration files of pip, uv, cargo, apt and netrc."""
    found = secrets_in("\n".join(f"{name}={value}" for name, value in environment.items() if "@" in value))
    found |= {value for name, value in environment.items() if _SECRET_NAME.search(name) and len(value) >= MIN_VARIABLE}
    for path in configuration_files(environment):
        with suppress(OSError):
            found |= secrets_in(path.read_bytes()[:MAX_BYTES].decode(errors="replace"))
    return frozenset(found)


def secrets_in(text: str) -> set[str]:
    """Return the secrets in the text of a configuration file."""
    proxies = "\n".join(f"://{match['address']}" for match in _PROXY.finditer(text))
    found = url_secrets(text) | url_secrets(proxies) | {match["value"] for match in _SETTING.finditer(text)}
    for match in _LOGIN.finditer(text):
        password = match["password"].strip('"')
        found |= {password} | ({basic_credentials(match["user"], password)} if match["user"] else set())
    return found


def configuration_files(environment: Mapping[str, str]) -> Iterator[Path]:
    """Yield the files in which pip, uv, cargo, apt and netrc keep addresses and secrets; they need not exist."""
    own, folders = home(environment), configuration_folders(environment)
    yield from (Path(environment[name]) for name in ("PIP_CONFIG_FILE", "UV_CONFIG_FILE") if environment.get(name))
    yield from (folder / "pip/pip.conf" for folder in folders)
    yield from (Path("/etc/pip.conf"), own / ".pip/pip.conf", Path(sys.prefix, "pip.conf"))
    yield from (folder / "uv/uv.toml" for folder in (*folders, Path("/etc")))
    cargo = Path(environment.get("CARGO_HOME") or own / ".cargo")
    yield from (cargo / name for name in ("config.toml", "config", "credentials.toml", "credentials"))
    yield from netrc_files(environment)
    yield from map(Path, APT)
    yield from (path for folder in APT_FOLDERS for path in sorted(Path(folder).glob("*")))
