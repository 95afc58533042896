"""Entry point of the `factory` command; turns errors into text and exit statuses."""

from __future__ import annotations

import argparse
import errno
import os
import signal
import sys
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from factory.cli import completion
from factory.cli.commands import COMMANDS, load_command
from factory.cli.printable import printable
from factory.errors import FactoryError, StoreError
from factory.host.privileges import become_root
from factory.host.secrets import learn_secrets
from factory.util.full_disk import FULL, describe_full_disk

UMASK = 0o022
FREE_SPACE = "free disk space, or set FACTORY_CACHE to another folder; finished work is kept"
PERMIT = "permit it to this user, or set FACTORY_CACHE to another folder; finished work is kept"


class Terminated(KeyboardInterrupt):
    """SIGTERM from `timeout`, a service manager or a CI runner; handled like Ctrl-C."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line; returns the exit status."""
    if completion.VARIABLE in os.environ:
        completion.complete(make_parser(completion.words_before_cursor()))
    args = parse_arguments(sys.argv[1:] if arguments is None else arguments)
    with _sigterm_as_interrupt():
        return _run(args)


def _run(args: argparse.Namespace) -> int:
    # A user's umask must not decide about modes in wheels, nor hide what is published from a web server.
    os.umask(UMASK)
    try:
        if args.needs_root:
            become_root()
        learn_secrets()
        status = int(args.run(args))
        if sys.stdout is not None:
            sys.stdout.flush()
        return status
    except FactoryError as error:
        notes = "\n".join(getattr(error, "__notes__", ()))
        print(printable(f"factory: {error}\n{notes}".rstrip()), file=sys.stderr)
        return error.exit_code
    except KeyboardInterrupt as interrupt:
        print("factory: interrupted; run the same command again to resume", file=sys.stderr)
        return 128 + (signal.SIGTERM if isinstance(interrupt, Terminated) else signal.SIGINT)
    except BrokenPipeError:
        _discard_output()
        return 0
    except OSError as error:
        if error.errno in FULL:
            what, hint = describe_full_disk(error), FREE_SPACE
            if error.filename is None:  # what is printed goes to a file there
                _discard_output()
        elif error.errno in (errno.EACCES, errno.EPERM, errno.EROFS) and error.filename is not None:
            name = os.fsdecode(error.filename2 or error.filename)
            what, hint = f"{name}: cannot be read or written: {error.strerror}", PERMIT
        else:
            raise
        print(printable(f"factory: {what}\n  hint: {hint}"), file=sys.stderr)
        return StoreError.exit_code


def _discard_output() -> None:
    """Let nothing more fail to be printed, as Python does at its end."""
    if sys.stdout is not None:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def parse_arguments(arguments: Sequence[str]) -> argparse.Namespace:
    """Parse the command line.

    argparse refuses positional arguments after an option that follows others, so the words after `--` are taken apart
    for a command that runs them.
    """
    own, words = _split(arguments)
    args = make_parser(own).parse_args(own)
    if words:
        args.command = [*args.command, *words]
    return args


def _split(arguments: Sequence[str]) -> tuple[Sequence[str], Sequence[str]]:
    """Split the command line at `--` if its command runs the words after it."""
    name = next(iter(arguments), "")
    if "--" not in arguments or name not in COMMANDS or not getattr(load_command(name), "RUNS_COMMAND", False):
        return arguments, ()
    end = arguments.index("--")
    return arguments[:end], arguments[end + 1 :]


@contextmanager
def _sigterm_as_interrupt() -> Iterator[None]:
    """Handle SIGTERM like Ctrl-C while the body runs."""

    def end(_number: int, _frame: object) -> None:
        raise Terminated

    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.signal(signal.SIGTERM, end)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


def make_parser(arguments: Sequence[str] = ()) -> argparse.ArgumentParser:
    """Return the parser, with only the command that the arguments name, if any.

    Importing all commands takes a second.
    """
    parser = argparse.ArgumentParser(prog="factory", description="Build, check and publish wheels for riscv64.")
    commands = parser.add_subparsers(title="commands", metavar="COMMAND", required=True)
    named = [name for name in arguments[:1] if name in COMMANDS]
    for name in named or COMMANDS:
        command = load_command(name)
        summary = (command.__doc__ or "").split(": ", 1)[-1].splitlines()[0].rstrip(".")
        child = commands.add_parser(name, help=summary, description=summary[:1].upper() + summary[1:] + ".")
        command.configure(child)
        child.set_defaults(run=command.run, needs_root=getattr(command, "NEEDS_ROOT", False))
    return parser
