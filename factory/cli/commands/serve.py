"""`factory serve`: serve a written index over HTTP until interrupted."""

from __future__ import annotations

import argparse
import signal
from pathlib import Path

from factory.cli.failures import discard_output
from factory.cli.values import port
from factory.host.addresses import reachable_urls
from factory.publish.server import serve
from factory.publish.simple_api import install_lines

DEFAULT_FOLDER = Path("dist/index")
DEFAULT_PORT = 8000
STOP_SIGNALS = {signal.SIGINT, signal.SIGTERM}


def configure(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    parser.add_argument(
        "folder",
        nargs="?",
        type=Path,
        default=DEFAULT_FOLDER,
        metavar="DIR",
        help="folder written by factory index (default: %(default)s)",
    )
    parser.add_argument(
        "--host", default="127.0.0.1", help="address to listen on (default: %(default)s, this machine only)"
    )
    parser.add_argument(
        "--port", type=port, default=DEFAULT_PORT, help="port to listen on, 0 for any free one (default: %(default)s)"
    )
    parser.add_argument("--quiet", action="store_true", help="print no line for each request")


def run(args: argparse.Namespace) -> int:
    """Serve until SIGINT (Ctrl-C) or SIGTERM."""
    for number in STOP_SIGNALS:
        # A shell ignores SIGINT of background jobs, and an ignored signal cannot be waited for.
        signal.signal(number, signal.default_int_handler)
    # Blocked before the server's threads start, so that only this thread receives them.
    before = signal.pthread_sigmask(signal.SIG_BLOCK, STOP_SIGNALS)
    try:
        _serve_until_stopped(args)
    except BaseException:  # it did not start: what this process does next, and its children, get signals again
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
        raise
    return 0


def _serve_until_stopped(args: argparse.Namespace) -> None:
    with serve(args.folder, args.host, args.port, None if args.quiet else _show) as url:
        first, *others = reachable_urls(url)
        print(f"serving {args.folder} at {first}/simple/ (stop with Ctrl-C)", flush=True)
        lines = [f"also at {other}/simple/" for other in others]
        print(*lines, *install_lines(f"{first}/simple/"), sep="\n", flush=True)
        signal.sigwait(STOP_SIGNALS)


def _show(line: str) -> None:
    try:
        print(f"  {line}", flush=True)
    except OSError:  # nobody reads it, or its disk is full: requests are still answered
        discard_output()
