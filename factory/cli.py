"""The `factory` command: the only place where an error becomes text and an exit status."""

from __future__ import annotations

import argparse
import errno
import os
import sys
from collections.abc import Sequence

from factory.errors import FactoryError, StoreError
from factory.privileges import become_root


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line; returns the exit status."""
    args = make_parser().parse_args(arguments)
    try:
        if args.needs_root:
            become_root()
        return int(args.run(args))
    except FactoryError as error:
        print(f"factory: {error}", *getattr(error, "__notes__", ()), sep="\n", file=sys.stderr)
        return error.exit_code
    except KeyboardInterrupt:
        print("factory: interrupted; run the same command again to go on", file=sys.stderr)
        return 130
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except OSError as error:
        if error.errno not in (errno.ENOSPC, errno.EDQUOT, errno.EROFS):
            raise
        print(f"factory: can't write {error.filename or 'a file'}: {error.strerror}", file=sys.stderr)
        print(
            "  hint: make room, or set FACTORY_CACHE to another folder; nothing that was finished is lost",
            file=sys.stderr,
        )
        return StoreError.exit_code


def make_parser() -> argparse.ArgumentParser:
    """The whole tree of commands."""
    from factory.commands import COMMANDS

    parser = argparse.ArgumentParser(prog="factory", description="Build, check and publish wheels for riscv64.")
    commands = parser.add_subparsers(title="commands", metavar="COMMAND", required=True)
    for name, command in COMMANDS.items():
        summary = (command.__doc__ or "").split(": ", 1)[-1].splitlines()[0].rstrip(".")
        child = commands.add_parser(name, help=summary, description=summary[:1].upper() + summary[1:] + ".")
        command.configure(child)
        child.set_defaults(run=command.run, needs_root=getattr(command, "NEEDS_ROOT", False))
    return parser


if __name__ == "__main__":
    sys.exit(main())
