"""Values that recipes hold, read out of their tables; what is wrong with one is noted as a problem of its table."""

from __future__ import annotations

import re
from collections.abc import Collection
from pathlib import Path, PurePosixPath

from packaging.requirements import InvalidRequirement, Requirement
from packaging.version import InvalidVersion, Version

from factory.recipes.toml_reader import Table, unknown

_SHA256 = re.compile(r"[0-9a-f]{64}")
_BYTES = re.compile(r"(\d+(?:\.\d+)?) ?(MB|GB)")
_UNITS = {"MB": 10**6, "GB": 10**9}
_VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
# Debian Policy 5.6.1, with the `=version` that apt-get takes.
_DEBIAN_PACKAGE = re.compile(r"[a-z0-9][a-z0-9+.-]+(=[A-Za-z0-9.+:~-]+)?")


def check_version(table: Table, version: str) -> None:
    """Refuse what is not a version as PEP 440 defines it."""
    try:
        Version(version or "0")
    except InvalidVersion:
        table.problem("version", f"{version!r} is not a version as PEP 440 defines it")


def read_version(table: Table) -> str:
    """The `version` of a table."""
    version = table.string("version")
    check_version(table, version)
    return version


def read_sha256(table: Table, key: str, default: str | None = None) -> str:
    """64 lowercase hexadecimal digits."""
    sha256 = table.string(key, default)
    if sha256 and not _SHA256.fullmatch(sha256):
        table.problem(key, "must be 64 lowercase hexadecimal digits")
    return sha256


def check_folder(table: Table, key: str, path: str, directory: Path) -> None:
    """Refuse a path that is absolute, or leads to no folder beside the recipe."""
    if PurePosixPath(path).is_absolute():
        table.problem(key, "must be relative to the recipe's folder")
    elif not (directory / path).is_dir():
        table.problem(key, f"{path!r} is not a folder beside this recipe")


def is_inside(path: str) -> bool:
    """Whether a relative path stays below where it starts."""
    return not PurePosixPath(path).is_absolute() and ".." not in PurePosixPath(path).parts


def read_globs(table: Table, key: str) -> tuple[str, ...]:
    """Paths inside a wheel, with wildcards."""
    globs = table.strings(key)
    for glob in globs:
        if not is_inside(glob):
            table.problem(key, f"{glob!r} must be a path inside the wheel")
    return globs


def read_words(table: Table) -> dict[str, str]:
    """A table of strings."""
    return {key: table.string(key) for key in table.keys}


def read_choices(
    table: Table, key: str, known: Collection[str], default: tuple[str, ...], if_empty: str
) -> tuple[str, ...]:
    """Some of the `known` names, each once."""
    names = table.strings(key, default)
    if not names:
        table.problem(key, if_empty)
    for name in dict.fromkeys(names):
        if name not in known:
            table.problem(key, unknown(name, known))
        elif names.count(name) > 1:
            table.problem(key, f"{name!r} is named twice")
    return names


def read_bytes(table: Table, key: str) -> int:
    """An amount of memory, as in `1.5 GB`; 0 where none is said."""
    text = table.string(key, "")
    match = _BYTES.fullmatch(text)
    if text and match is None:
        table.problem(key, f'{text!r} is not an amount of memory; write it like "1.5 GB" or "800 MB"')
    return int(float(match[1]) * _UNITS[match[2]]) if match else 0


def read_config_settings(table: Table) -> dict[str, str | tuple[str, ...]]:
    """Values as PEP 517 frontends pass them: a string, or a list of strings for an option that is given repeatedly."""
    settings: dict[str, str | tuple[str, ...]] = {}
    for key in table.keys:
        value = table.get(key, (str, list), "a string or a list of strings")
        settings[key] = table.strings(key) if isinstance(value, list) else value or ""
    return settings


def read_variables(table: Table) -> dict[str, str]:
    """A table of environment variables."""
    for key in table.keys:
        if not _VARIABLE.fullmatch(key):
            table.problem(key, "is not the name of an environment variable")
    return {key: table.get(key, (str,), "a string") or "" for key in table.keys}


def read_debian_packages(table: Table, key: str) -> tuple[str, ...]:
    """Names of Debian packages, each with a version where one is said."""
    packages = table.strings(key)
    for package in packages:
        if not _DEBIAN_PACKAGE.fullmatch(package):
            table.problem(key, f"{package!r} is not the name of a Debian package")
    return packages


def read_requires(table: Table) -> tuple[str, ...]:
    """Requirements as PEP 508 defines them."""
    requires = table.strings("requires")
    for requirement in requires:
        try:
            Requirement(requirement)
        except InvalidRequirement:
            table.problem("requires", f"{requirement!r} is not a requirement as PEP 508 defines it")
    return requires
