"""Commands: one module each, listed in the order of `factory --help`."""

from __future__ import annotations

from importlib import import_module
from types import ModuleType

COMMANDS = (
    "doctor",
    "board",
    "setup",
    "init",
    "new",
    "recipe",
    "bump",
    "retire",
    "lint",
    "plan",
    "why",
    "build",
    "check",
    "rebuild",
    "audit",
    "shell",
    "diff",
    "image",
    "index",
    "attest",
    "publish",
    "release",
    "verify",
    "issues",
    "lock",
    "refresh",
    "retain",
    "yank",
    "unyank",
    "serve",
    "report",
    "coverage",
    "cache",
    "bench",
    "completion",
)


def load_command(name: str) -> ModuleType:
    """Import a command's module.

    It has `configure(parser)` and `run(args) -> int`; `NEEDS_ROOT = True` if it opens roots, `NEEDS_CACHE = True` if it
    writes the cache without opening a root, and `READS_CACHE = True` if it only reads the cache.
    """
    return import_module(f"factory.cli.commands.{name}")
