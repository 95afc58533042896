"""pip configuration of this machine, and the same package indexes for uv."""

from __future__ import annotations

import ast
import os
import re
import sys
from collections.abc import Mapping
from functools import lru_cache

from factory.host.user_settings import user_environment
from factory.host.uv import VARIABLES, uv_settings
from factory.util.process import run
from factory.util.redaction import learn, url_secrets

_PIP_LINE = re.compile(r"^(?P<section>[\w:-]+)\.(?P<key>[\w-]+)=(?P<value>['\"].*['\"])$", re.MULTILINE)


def pip_settings(environment: Mapping[str, str] = os.environ) -> dict[str, str]:
    """Return pip's settings for every command, as `pip config list` reads them."""
    listed = _config_list(tuple(sorted(user_environment(environment).items())))
    found: dict[str, dict[str, str]] = {"global": {}, ":env:": {}}
    for match in _PIP_LINE.finditer(listed):
        found.setdefault(match["section"], {})[match["key"]] = str(ast.literal_eval(match["value"]))
    learn(url_secrets(listed))
    return {**found["global"], **found[":env:"]}


@lru_cache
def _config_list(environment: tuple[tuple[str, str], ...]) -> str:
    """Return the output of `pip config list`, cached since pip starts slowly."""
    return run([sys.executable, "-P", "-m", "pip", "config", "list"], env=dict(environment), what="pip config list")


def uv_variables(pip: Mapping[str, str], environment: Mapping[str, str] = os.environ) -> dict[str, str]:
    """Return uv's variables for indexes; pip's settings fill the gaps of uv's own."""
    own = uv_settings(user_environment(environment))
    found = {}
    for key, (name, _) in VARIABLES.items():
        words = own.get(key) or tuple(pip.get(key, "").split())
        if words:
            found[name] = ("," if key == "find-links" else " ").join(words)
    return found
