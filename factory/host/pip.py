"""pip configuration of this machine, and the same package indexes for uv."""

from __future__ import annotations

import ast
import os
import re
import sys
from collections.abc import Mapping
from functools import lru_cache

from factory.util.process import run

# pip's setting -> uv's variable, and that variable's older name.
UV_VARIABLES = {
    "index-url": ("UV_DEFAULT_INDEX", "UV_INDEX_URL"),
    "extra-index-url": ("UV_INDEX", "UV_EXTRA_INDEX_URL"),
    "find-links": ("UV_FIND_LINKS", "UV_FIND_LINKS"),
}
_PIP_LINE = re.compile(r"^(?P<section>[\w:-]+)\.(?P<key>[\w-]+)=(?P<value>['\"].*['\"])$", re.MULTILINE)


def pip_settings(environment: Mapping[str, str] = os.environ) -> dict[str, str]:
    """Return pip's settings for every command, as `pip config list` reads them."""
    listed = _config_list(tuple(sorted(environment.items())))
    found: dict[str, dict[str, str]] = {"global": {}, ":env:": {}}
    for match in _PIP_LINE.finditer(listed):
        found.setdefault(match["section"], {})[match["key"]] = str(ast.literal_eval(match["value"]))
    return {**found["global"], **found[":env:"]}


@lru_cache
def _config_list(environment: tuple[tuple[str, str], ...]) -> str:
    """Return the output of `pip config list`, cached since pip starts slowly."""
    return run([sys.executable, "-m", "pip", "config", "list"], env=dict(environment), what="pip config list")


def uv_variables(pip: Mapping[str, str], environment: Mapping[str, str] = os.environ) -> dict[str, str]:
    """Return uv's variables for indexes; unset ones come from the settings of pip."""
    found = {}
    for key, names in UV_VARIABLES.items():
        separator = "," if key == "find-links" else " "
        own = next((environment[name] for name in names if environment.get(name)), None)
        value = own or separator.join(pip.get(key, "").split())
        if value:
            found[names[0]] = value
    return found
