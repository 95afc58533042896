"""Which registries of crates the host's cargo is configured with, for cargo in a root."""

from __future__ import annotations

import os
import tomllib
from collections.abc import Mapping
from pathlib import Path

import tomli_w

from factory.errors import EnvironmentSetupError

# The variable that holds the configuration, as TOML, where a command in a root has the network.
CONFIG_VARIABLE = "HOST_CARGO_CONFIG"
FILES = ("config.toml", "config")
# The rest of a configuration, such as linkers and wrappers, is about the host itself.
TABLES = ("source", "registries", "registry", "http", "net")
PREFIXES = ("CARGO_REGISTRIES_", "CARGO_REGISTRY_", "CARGO_HTTP_", "CARGO_NET_")


def cargo_settings(environment: Mapping[str, str] = os.environ) -> dict[str, str]:
    """Variables that give cargo in a root the host's registries, mirrors and ways to reach them.

    Raises:
        EnvironmentSetupError: cargo's configuration file is not TOML.
    """
    settings = {name: value for name, value in environment.items() if name.startswith(PREFIXES)}
    home = Path(environment.get("CARGO_HOME") or Path(environment.get("HOME", "/root")) / ".cargo")
    file = next((home / name for name in FILES if (home / name).is_file()), None)
    if file is not None:
        settings[CONFIG_VARIABLE] = tomli_w.dumps(_read(file))
    return settings


def _read(file: Path) -> dict[str, object]:
    try:
        configured = tomllib.loads(file.read_text(encoding="utf-8"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError, OSError) as error:
        raise EnvironmentSetupError(
            f"the configuration of this machine's cargo can't be read: {file}: {error}",
            hint="builds take registries from there: correct or remove it",
        ) from error
    tables: dict[str, object] = {name: configured[name] for name in TABLES if name in configured}
    if isinstance(http := tables.get("http"), dict):
        http.pop("cainfo", None)  # a file of the host's
    return tables
