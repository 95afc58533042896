"""Secrets of this machine: passwords and tokens in variables and configuration files.

They are found by their form, since a value that is hidden in a log without need costs nothing.
"""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from pathlib import Path

from factory.host.user_settings import configuration_folders, home, netrc_files, user_environment
from factory.util.redaction import basic_credentials, learn, url_secrets

# Variables whose value is a secret as a whole.
_SECRET_NAME = re.compile(r"(?:TOKEN|PASSWORD|PASSWD|SECRET|API_?KEY|AUTH)$|^NETRC_", re.IGNORECASE)
# Shorter values of such variables and settings are words such as "true" and "none".
MIN_VALUE = 6
# In TOML and INI files.
_SETTING = re.compile(
    r"^\s*[\w.\"-]*(?:token|password|secret|secret-key)[\"']?\s*[=:]\s*[\"']?(?P<value>[^\s\"'#]+)",
    re.MULTILINE | re.IGNORECASE,
)
# A proxy's address needs no scheme.
_PROXY = re.compile(r"proxy\s*[=:]\s*[\"']?(?P<address>[^\s\"'/]+@)", re.IGNORECASE)
# In netrc and in apt's auth.conf.
_LOGIN = re.compile(r"\b(?:login\s+(?P<user>\S+)\s+)?password\s+(?P<password>\"[^\"\n]*\"|\S+)")
_COMMENT = re.compile(r"^\s*#.*", re.MULTILINE)
APT = ("apt.conf", "apt.conf.d/*", "sources.list", "sources.list.d/*")
APT_LOGINS = ("auth.conf", "auth.conf.d/*")
APT_FOLDER = Path("/etc/apt")
MAX_BYTES = 1 << 20


def learn_secrets(environment: Mapping[str, str] | None = None) -> None:
    """Hide the secrets of this machine in all that is logged from now on."""
    learn(host_secrets(user_environment(os.environ if environment is None else environment)))


def host_secrets(environment: Mapping[str, str]) -> frozenset[str]:
    """Return the secrets in variables and in configuration files of package tools."""
    found = secrets_in("\n".join(f"{name}={value}" for name, value in environment.items() if "@" in value))
    found |= {value for name, value in environment.items() if _SECRET_NAME.search(name) and len(value) >= MIN_VALUE}
    for path in configuration_files(environment):
        found |= secrets_in(_read(path))
    for path in (*netrc_files(environment), *_matching(APT_LOGINS)):
        found |= logins_in(_read(path))
    return frozenset(found)


def _read(path: Path) -> str:
    with suppress(OSError), path.open("rb") as file:
        return file.read(MAX_BYTES).decode(errors="replace")
    return ""


def _matching(names: Iterable[str]) -> Iterator[Path]:
    yield from (path for name in names for path in sorted(APT_FOLDER.glob(name)))


def secrets_in(text: str) -> set[str]:
    """Return the secrets in a configuration file's text: TOML, or the form of pip and apt."""
    proxies = "\n".join(f"://{match['address']}" for match in _PROXY.finditer(text))
    values = {match["value"] for match in _SETTING.finditer(text) if len(match["value"]) >= MIN_VALUE}
    return url_secrets(text) | url_secrets(proxies) | values


def logins_in(text: str) -> set[str]:
    """Return the passwords in the text of a netrc or of apt's auth.conf."""
    found: set[str] = set()
    for match in _LOGIN.finditer(_COMMENT.sub("", text)):
        password = match["password"].strip('"')
        found |= {password} | ({basic_credentials(match["user"], password)} if match["user"] else set())
    return found


def configuration_files(environment: Mapping[str, str]) -> Iterator[Path]:
    """Yield the configuration files of pip, uv, cargo and apt; they need not exist."""
    own, folders = home(environment), configuration_folders(environment)
    yield from (Path(environment[name]) for name in ("PIP_CONFIG_FILE", "UV_CONFIG_FILE") if environment.get(name))
    yield from (folder / "pip/pip.conf" for folder in folders)
    yield from (Path("/etc/pip.conf"), own / ".pip/pip.conf", Path(sys.prefix, "pip.conf"))
    yield from (folder / "uv/uv.toml" for folder in (*folders, Path("/etc")))
    cargo = Path(environment.get("CARGO_HOME") or own / ".cargo")
    yield from (cargo / name for name in ("config.toml", "config", "credentials.toml", "credentials"))
    yield from _matching(APT)
