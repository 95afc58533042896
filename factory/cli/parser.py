"""Parser of the command line, with suggestions for what it does not know."""

from __future__ import annotations

import argparse
import difflib
from collections.abc import Iterable, Mapping, Sequence
from importlib.metadata import PackageNotFoundError, version
from typing import Any, NoReturn

from factory.cli.commands import COMMANDS, load_command
from factory.cli.exit_statuses import help_text
from factory.cli.failures import print_json
from factory.errors import FactoryError

# Words for which argparse has to parse options and names at once: names that begin with a dash, and defaults in help.
PLAIN = frozenset({"--", "-h", "--help"})
DISTRIBUTION = "riscv64-wheel-factory"


class CommandParser(argparse.ArgumentParser):
    """An argument parser that suggests known words for unknown ones.

    With `as_json`, errors are also printed as JSON.
    """

    as_json = False

    def error(self, message: str) -> NoReturn:
        """Print the usage and the error, and exit with status 2."""
        if self.as_json:
            print_json(FactoryError(message, hint=f"{self.prog} --help"))
        super().error(message)

    def parse_all(self, arguments: Sequence[str], namespace: argparse.Namespace) -> argparse.Namespace:
        """Parse the arguments, with options also between and after names."""
        parse = self.parse_known_intermixed_args if PLAIN.isdisjoint(arguments) else self.parse_known_args
        args, unknown = parse(arguments, namespace)
        if unknown:
            options = [word for word in unknown if word.startswith("-")]
            known = [option for action in self._actions for option in action.option_strings]
            words = [f"{word}{_suggestion(word.partition('=')[0], known)}" for word in options or unknown]
            self.error(f"unrecognized arguments: {' '.join(words)}")
        return args

    def _check_value(self, action: argparse.Action, value: Any) -> None:
        if action.choices is not None and value not in action.choices:
            known = [str(choice) for choice in action.choices]
            message = f"invalid choice: {value!r}{_suggestion(str(value), known)} (choose from {', '.join(known)})"
            raise argparse.ArgumentError(action, message)


def _suggestion(word: str, known: Iterable[str]) -> str:
    close = difflib.get_close_matches(word, known, n=1)
    return f", did you mean {close[0]!r}?" if close else ""


def parse_arguments(arguments: Sequence[str]) -> argparse.Namespace:
    """Parse the command line.

    The words after `--` are taken apart for a command that runs them.
    """
    own, words = _split(arguments)
    args = _parse(make_parser(own), own, argparse.Namespace())
    if words:
        args.command = [*args.command, *words]
    return args


def _parse(parser: CommandParser, arguments: Sequence[str], namespace: argparse.Namespace) -> argparse.Namespace:
    """Parse with the parser of the command that the arguments begin with."""
    parser.as_json = "--json" in arguments
    vars(namespace).update(parser._defaults)
    commands = _commands(parser)
    if not commands:
        return parser.parse_all(arguments, namespace)
    name = next(iter(arguments), "")
    if name in commands:
        return _parse(commands[name], arguments[1:], namespace)
    return parser.parse_args(arguments, namespace)


def _commands(parser: argparse.ArgumentParser) -> Mapping[str, CommandParser]:
    """Return the parsers of the commands that a parser knows, none for that of one command."""
    found = (action.choices for action in parser._actions if isinstance(action, argparse._SubParsersAction))
    return next(found, {})


def _split(arguments: Sequence[str]) -> tuple[Sequence[str], Sequence[str]]:
    """Split the command line at `--` if its command runs the words after it."""
    name = next(iter(arguments), "")
    if "--" not in arguments or name not in COMMANDS or not getattr(load_command(name), "RUNS_COMMAND", False):
        return arguments, ()
    end = arguments.index("--")
    return arguments[:end], arguments[end + 1 :]


def make_parser(arguments: Sequence[str] = ()) -> CommandParser:
    """Return the parser, with only the command that the arguments name, if any.

    Importing all commands takes a second.
    """
    parser = CommandParser(
        prog="factory",
        description="Build, check and publish wheels for riscv64.",
        epilog=help_text(),
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--version", action="version", version=f"factory {_version()}")
    commands = parser.add_subparsers(title="commands", metavar="COMMAND", required=True)
    named = [name for name in arguments[:1] if name in COMMANDS]
    for name in named or COMMANDS:
        command = load_command(name)
        summary = (command.__doc__ or "").split(": ", 1)[-1].splitlines()[0].rstrip(".")
        description = f"{summary[:1].upper()}{summary[1:]}."
        child = commands.add_parser(name, help=summary, description=description, epilog="Exit statuses: factory --help")
        command.configure(child)
        needs = {name.lower(): getattr(command, name, False) for name in ("NEEDS_ROOT", "NEEDS_CACHE", "READS_CACHE")}
        child.set_defaults(run=command.run, **needs)
    return parser


def _version() -> str:
    try:
        return version(DISTRIBUTION)
    except PackageNotFoundError:  # run from its source
        return "(not installed)"
