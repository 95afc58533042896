"""uv configuration of this machine: package indexes in variables and uv.toml."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterator, Mapping
from pathlib import Path
from urllib.parse import quote, urlsplit, urlunsplit

from factory.errors import EnvironmentSetupError
from factory.host.user_settings import configuration_folders

# uv's variable, and its older name, by the name that pip and uv.toml have for the setting.
VARIABLES = {
    "index-url": ("UV_DEFAULT_INDEX", "UV_INDEX_URL"),
    "extra-index-url": ("UV_INDEX", "UV_EXTRA_INDEX_URL"),
    "find-links": ("UV_FIND_LINKS", "UV_FIND_LINKS"),
}
_NAMED = re.compile(r"(?P<name>[\w.-]+)=(?P<url>\w[\w+.-]*:.*)")


def uv_settings(environment: Mapping[str, str]) -> dict[str, tuple[str, ...]]:
    """Return uv's own indexes: variables first, then the user's uv.toml, then the machine's.

    Named indexes get their user and password from uv's variables for them.

    Raises:
        EnvironmentSetupError: a uv.toml is not TOML.
    """
    found: dict[str, tuple[str, ...]] = {}
    for path in reversed(list(_files(environment))):
        found |= _indexes(_read(path))
    for setting, names in VARIABLES.items():
        value = next((environment[name] for name in names if environment.get(name)), "")
        if words := tuple(value.split("," if setting == "find-links" else None)):
            found[setting] = words
    found = {setting: values for setting, values in found.items() if any(values)}
    return {setting: tuple(_with_password(each, environment) for each in values) for setting, values in found.items()}


def _files(environment: Mapping[str, str]) -> Iterator[Path]:
    """Yield the existing files of uv, the most important first."""
    if environment.get("UV_NO_CONFIG", "").lower() not in ("", "0", "false"):
        return
    named = environment.get("UV_CONFIG_FILE")
    files = (
        [Path(named)]
        if named
        else [each / "uv/uv.toml" for each in (*configuration_folders(environment), Path("/etc"))]
    )
    yield from (path for path in files if path.is_file())


def _read(path: Path) -> Mapping[str, object]:
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError, OSError) as error:
        raise EnvironmentSetupError(
            f"{path}: reading uv's configuration failed: {error}", hint="correct or remove it: builds use its indexes"
        ) from error


def _indexes(configured: Mapping[str, object]) -> dict[str, tuple[str, ...]]:
    """Return the indexes of a uv.toml; its table `pip` precedes, as for `uv pip`."""
    pip = configured.get("pip")
    tables = [configured, pip] if isinstance(pip, dict) else [configured]
    found: dict[str, tuple[str, ...]] = {}
    for table in tables:
        found |= {name: _words(table[name]) for name in VARIABLES if name in table}
    listed = configured.get("index")
    entries = [each for each in listed if isinstance(each, dict) and "url" in each] if isinstance(listed, list) else []
    used = [each for each in entries if not each.get("explicit")]
    extra = tuple(_entry(each) for each in used if not each.get("default"))
    default = tuple(_entry(each) for each in used if each.get("default"))
    return found | ({"extra-index-url": extra} if extra else {}) | ({"index-url": default[:1]} if default else {})


def _entry(index: Mapping[str, object]) -> str:
    return f"{index['name']}={index['url']}" if index.get("name") else str(index["url"])


def _words(value: object) -> tuple[str, ...]:
    return tuple(map(str, value)) if isinstance(value, list) else (str(value),)


def _with_password(index: str, environment: Mapping[str, str]) -> str:
    """Return an index's address with the login that variables give for its name."""
    match = _NAMED.fullmatch(index)
    if match is None:
        return index
    name = re.sub(r"[^A-Z0-9]", "_", match["name"].upper())
    user, password = (environment.get(f"UV_INDEX_{name}_{part}", "") for part in ("USERNAME", "PASSWORD"))
    return with_userinfo(match["url"], user, password) if user or password else match["url"]


def with_userinfo(url: str, user: str, password: str) -> str:
    """Return a URL with user and password, unless it has its own."""
    parts = urlsplit(url)
    if parts.username is not None:
        return url
    return urlunsplit(parts._replace(netloc=f"{quote(user, safe='')}:{quote(password, safe='')}@{parts.netloc}"))
