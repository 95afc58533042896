"""Configuration files of the user who runs the factory, also through sudo.

sudo replaces HOME and drops the variables that name other places, so they are handed on under names of the factory.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from pathlib import Path

# The name of a handed-on variable begins with it.
PREFIX = "FACTORY_USER_"
PLACES = ("HOME", "XDG_CONFIG_HOME", "XDG_CONFIG_DIRS", "CARGO_HOME", "NETRC")


def handed_on(environment: Mapping[str, str]) -> dict[str, str]:
    """Return the variables that tell the restarted factory the user's places."""
    return {f"{PREFIX}{name}": environment[name] for name in PLACES if environment.get(name)}


def user_environment(environment: Mapping[str, str] = os.environ) -> dict[str, str]:
    """Return the environment with the places of the user's configuration files."""
    handed = {name: environment[f"{PREFIX}{name}"] for name in PLACES if f"{PREFIX}{name}" in environment}
    if not handed:
        return dict(environment)
    # Root's own places do not count besides.
    own = {name: value for name, value in environment.items() if name not in PLACES and not name.startswith(PREFIX)}
    return own | handed


def home(environment: Mapping[str, str]) -> Path:
    """Return the user's home folder."""
    return Path(environment.get("HOME") or "~").expanduser()


def configuration_folders(environment: Mapping[str, str]) -> tuple[Path, ...]:
    """Return the folders of configuration files, the user's own one first."""
    own = environment.get("XDG_CONFIG_HOME") or home(environment) / ".config"
    shared = (environment.get("XDG_CONFIG_DIRS") or "/etc/xdg").split(":")
    return (Path(own), *map(Path, shared))


def netrc_files(environment: Mapping[str, str]) -> Iterator[Path]:
    """Yield the existing files with the user's passwords of hosts."""
    own = home(environment)
    named = [Path(environment["NETRC"])] if environment.get("NETRC") else [own / ".netrc", own / "_netrc"]
    yield from (path for path in named if path.is_file())
