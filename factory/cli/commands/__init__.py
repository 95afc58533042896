"""Commands: one module each, listed in the order of `factory --help`."""

from __future__ import annotations

from importlib import import_module
from types import ModuleType

COMMANDS = (
    "doctor",
    "board",
    "setup",
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
    "publish",
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

    It has `configure(parser)`, `run(args) -> int`, and `NEEDS_ROOT = True` if it opens roots.
    """
    return import_module(f"factory.cli.commands.{name}")
