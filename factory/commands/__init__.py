"""The commands: one module each, one line here."""

from collections.abc import Mapping
from types import ModuleType

import factory.commands.audit as audit
from factory.commands import (
    bench,
    board,
    build,
    cache,
    check,
    coverage,
    doctor,
    image,
    index,
    publish,
    rebuild,
    refresh,
    retain,
    serve,
    setup,
    shell,
    unyank,
    yank,
)

# Each module has `configure(parser)`, `run(args) -> int` and, where it opens roots, `NEEDS_ROOT = True`.
COMMANDS: Mapping[str, ModuleType] = {
    "doctor": doctor,
    "board": board,
    "setup": setup,
    "build": build,
    "check": check,
    "rebuild": rebuild,
    "audit": audit,
    "shell": shell,
    "image": image,
    "index": index,
    "publish": publish,
    "refresh": refresh,
    "retain": retain,
    "yank": yank,
    "unyank": unyank,
    "serve": serve,
    "coverage": coverage,
    "cache": cache,
    "bench": bench,
}
