"""cargo configuration of this machine: registries and mirrors, for roots."""

from __future__ import annotations

import os
import tomllib
from collections.abc import Mapping
from pathlib import Path

import tomli_w

from factory.errors import EnvironmentSetupError
from factory.host.user_settings import user_environment

# The variable with the configuration as TOML, for commands with network.
CONFIG_VARIABLE = "HOST_CARGO_CONFIG"
FILES = ("config.toml", "config")
# Other tables, such as linkers and wrappers, concern the host only.
TABLES = ("source", "registries", "registry", "http", "net")
PREFIXES = ("CARGO_REGISTRIES_", "CARGO_REGISTRY_", "CARGO_HTTP_", "CARGO_NET_")
# These publish crates, and start programs of the host; no download needs them.
NOT_HANDED_ON = ("CARGO_REGISTRY_TOKEN", "CARGO_REGISTRY_GLOBAL_CREDENTIAL_PROVIDERS")
HOST_ONLY = {"registry": ("token", "global-credential-providers", "credential-provider"), "http": ("cainfo",)}


def cargo_settings(environment: Mapping[str, str] = os.environ) -> dict[str, str]:
    """Return variables with cargo's registries, mirrors and network settings.

    Raises:
        EnvironmentSetupError: the configuration file is unreadable or not TOML.
    """
    environment = user_environment(environment)
    settings = {
        name: value
        for name, value in environment.items()
        if name.startswith(PREFIXES) and name not in NOT_HANDED_ON and not name.endswith("_CREDENTIAL_PROVIDER")
    }
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
            f"{file}: reading cargo's configuration failed: {error}",
            hint="correct or remove it: builds use its registries",
        ) from error
    tables: dict[str, object] = {name: configured[name] for name in TABLES if name in configured}
    for table, keys in HOST_ONLY.items():
        if isinstance(found := tables.get(table), dict):
            tables[table] = {key: value for key, value in found.items() if key not in keys}
    return tables
