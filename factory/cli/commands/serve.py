"""`factory serve`: serve a written index over HTTP until interrupted."""

from __future__ import annotations

import argparse
import signal
from pathlib import Path

from factory.publish.server import serve
from factory.publish.simple_api import install_lines

DEFAULT_FOLDER = Path("dist/index")
DEFAULT_PORT = 8000
ENDING = {signal.SIGINT, signal.SIGTERM}


def configure(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    parser.add_argument(
        "folder",
        nargs="?",
        type=Path,
        default=DEFAULT_FOLDER,
        metavar="DIR",
        help="what factory index wrote (default: %(default)s)",
    )
    parser.add_argument("--host", default="127.0.0.1", help="address to listen at (default: this machine alone)")
    parser.add_argument("--port", type=int, default=DEFAULT_PORT, help="0 takes a free one (default: %(default)s)")
    parser.add_argument("--quiet", action="store_true", help="no line for each request")


def run(args: argparse.Namespace) -> int:
    """Serve until Ctrl-C, or until a service manager ends it."""
    for number in ENDING:
        # A shell that starts it in the background has SIGINT ignored, and what is ignored can't be waited for.
        signal.signal(number, signal.default_int_handler)
    # Blocked before the server's threads begin: they are ended by this one, not in the middle of something.
    signal.pthread_sigmask(signal.SIG_BLOCK, ENDING)
    with serve(args.folder, args.host, args.port, None if args.quiet else _show) as url:
        print(f"serving {args.folder} at {url}/simple/ (Ctrl-C ends it)", flush=True)
        print(*install_lines(f"{url}/simple/"), sep="\n", flush=True)
        signal.sigwait(ENDING)
    return 0


def _show(line: str) -> None:
    print(f"  {line}", flush=True)
