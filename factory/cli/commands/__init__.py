"""The commands: one module each, one name here, in the order in which `factory --help` lists them."""

from __future__ import annotations

from importlib import import_module
from types import ModuleType

COMMANDS = (
    "doctor",
    "board",
    "setup",
    "build",
    "check",
    "rebuild",
    "audit",
    "shell",
    "image",
    "index",
    "publish",
    "refresh",
    "retain",
    "yank",
    "unyank",
    "serve",
    "coverage",
    "cache",
    "bench",
)


def load_command(name: str) -> ModuleType:
    """A command's module: `configure(parser)`, `run(args) -> int` and, where it opens roots, `NEEDS_ROOT = True`."""
    return import_module(f"factory.cli.commands.{name}")
