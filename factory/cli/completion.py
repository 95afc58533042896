"""Completion of command lines in shells, by argcomplete."""

from __future__ import annotations

import argparse
import os
from collections.abc import Iterator
from pathlib import Path

from factory.util.project import find_project

# The shell sets it when it asks for completions.
VARIABLE = "_ARGCOMPLETE"
SHELLS = ("bash", "zsh", "fish")
# Placeholder of arguments that are names of recipes.
NAME = "NAME"


def words_before_cursor() -> list[str]:
    """Return the finished words of a command line to complete, without the program."""
    line = os.environ.get("COMP_LINE", "")
    words = line[: int(os.environ.get("COMP_POINT") or len(line))].split(" ")
    return [word for word in words[:-1] if word][1:]


def complete(parser: argparse.ArgumentParser) -> None:
    """Write the completions for the shell, and end the process."""
    import argcomplete

    for action in _actions(parser):
        if action.metavar == NAME:
            action.completer = recipe_names  # type: ignore[attr-defined]
    argcomplete.autocomplete(parser, always_complete_options="long")


def recipe_names(parsed_args: argparse.Namespace, **_: object) -> list[str]:
    """Return the names of the recipes in the project's folder."""
    folder: Path | None = getattr(parsed_args, "project", None) or find_project()
    return sorted(file.parent.name for file in folder.glob("recipes/*/recipe.toml")) if folder else []


def shell_code(shell: str) -> str:
    """Return the code that makes a shell complete `factory`."""
    from argcomplete.shell_integration import shellcode

    return str(shellcode(["factory"], shell=shell))


def _actions(parser: argparse.ArgumentParser) -> Iterator[argparse.Action]:
    for action in parser._actions:
        yield action
        if isinstance(action, argparse._SubParsersAction):
            for child in action.choices.values():
                yield from _actions(child)
