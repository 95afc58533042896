"""Entry point of the `factory` command; turns errors into text and exit statuses."""

from __future__ import annotations

import argparse
import io
import os
import signal
import sys
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING

from factory.cli import completion
from factory.cli.failures import TRACEBACK, discard_output, explain, report
from factory.cli.parser import make_parser, parse_arguments
from factory.errors import FactoryError
from factory.host.privileges import become_root, owns_cache, reads_cache
from factory.host.secrets import learn_secrets
from factory.util.full_disk import FULL
from factory.util.paths import default_layout, require_folder

if TYPE_CHECKING:
    from _typeshed import ReadableBuffer as Buffer

UMASK = 0o022


class Terminated(KeyboardInterrupt):
    """SIGTERM from `timeout`, a service manager or a CI runner; handled like Ctrl-C."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line; returns the exit status."""
    _prepare_streams()
    if completion.VARIABLE in os.environ:
        completion.complete(make_parser(completion.words_before_cursor()))
    args = parse_arguments(sys.argv[1:] if arguments is None else arguments)
    with _sigterm_as_interrupt():
        return _run(args)


def _run(args: argparse.Namespace) -> int:
    # A user's umask must not decide about modes in wheels, nor hide what is published from a web server.
    os.umask(UMASK)
    as_json = getattr(args, "json", False)
    try:
        _take_cache(args)
        learn_secrets()
        status = int(args.run(args))
        if sys.stdout is not None:
            sys.stdout.flush()
        return status
    except FactoryError as error:
        return report(error, as_json=as_json)
    except KeyboardInterrupt as interrupt:
        report(FactoryError("interrupted; run the same command again to resume"), as_json=as_json)
        return 128 + (signal.SIGTERM if isinstance(interrupt, Terminated) else signal.SIGINT)
    except BrokenPipeError:
        discard_output()
        return 0
    except OSError as error:
        if TRACEBACK in os.environ:
            raise
        if error.errno in FULL and error.filename is None:  # what is printed goes to a file there
            discard_output()
        return report(explain(error), as_json=as_json)


def _take_cache(args: argparse.Namespace) -> None:
    """Become root where the command opens roots, or the cache is closed to this user."""
    if args.needs_root or args.needs_cache or args.reads_cache:
        require_folder(default_layout().root)
    if args.needs_root or (args.needs_cache and not owns_cache()) or (args.reads_cache and not reads_cache()):
        become_root()


class _Dropping(io.FileIO):
    """A standard error that drops what cannot be written, so that it ends no command."""

    def write(self, content: Buffer, /) -> int:
        with suppress(OSError):
            if (written := super().write(content)) is not None:
                return written  # None: nothing now, of one that does not block
        return memoryview(content).nbytes


def _prepare_streams() -> None:
    """Let standard error never fail, and standard output only where a reader loses.

    File names that are no text are printed with backslashes, and nothing is printed to closed streams.
    """
    stream = sys.stderr
    if isinstance(stream, io.TextIOWrapper) and sys.__stderr__ is stream:
        raw = _Dropping(stream.fileno(), "w", closefd=False)
        sys.stderr = io.TextIOWrapper(io.BufferedWriter(raw), stream.encoding, line_buffering=True)
    for name in ("stdout", "stderr"):
        if getattr(sys, name) is None:
            setattr(sys, name, Path(os.devnull).open("w", encoding="utf-8"))  # noqa: SIM115 - open to the end
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")


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
