"""Which package indexes this machine is configured with: pip's own settings, and the same for uv."""

from __future__ import annotations

import ast
import os
import re
import sys
from collections.abc import Mapping
from functools import lru_cache

from factory.util.process import run

# pip's setting -> uv's variable, and the name that it had before.
UV_VARIABLES = {
    "index-url": ("UV_DEFAULT_INDEX", "UV_INDEX_URL"),
    "extra-index-url": ("UV_INDEX", "UV_EXTRA_INDEX_URL"),
    "find-links": ("UV_FIND_LINKS", "UV_FIND_LINKS"),
}
_PIP_LINE = re.compile(r"^(?P<section>[\w:-]+)\.(?P<key>[\w-]+)=(?P<value>['\"].*['\"])$", re.MULTILINE)


def pip_settings(environment: Mapping[str, str] = os.environ) -> dict[str, str]:
    """pip's settings for every command, from its files and its variables: pip alone knows all the places it reads."""
    listed = _config_list(tuple(sorted(environment.items())))
    found: dict[str, dict[str, str]] = {"global": {}, ":env:": {}}
    for match in _PIP_LINE.finditer(listed):
        found.setdefault(match["section"], {})[match["key"]] = str(ast.literal_eval(match["value"]))
    return {**found["global"], **found[":env:"]}


@lru_cache
def _config_list(environment: tuple[tuple[str, str], ...]) -> str:
    """What pip prints of its settings; kept, since every command with the network asks and the start of pip costs."""
    return run([sys.executable, "-m", "pip", "config", "list"], env=dict(environment), what="pip config list")


def uv_variables(pip: Mapping[str, str], environment: Mapping[str, str] = os.environ) -> dict[str, str]:
    """uv's own variables about indexes; where it has none, what `pip` (its settings) says."""
    found = {}
    for key, names in UV_VARIABLES.items():
        separator = "," if key == "find-links" else " "
        own = next((environment[name] for name in names if environment.get(name)), None)
        value = own or separator.join(pip.get(key, "").split())
        if value:
            found[names[0]] = value
    return found
