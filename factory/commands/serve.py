"""`factory serve`: serve a written index over HTTP until interrupted."""

from __future__ import annotations

import argparse
import signal
from pathlib import Path

from factory.publish.server import open_server
from factory.publish.simple import install_lines

DEFAULT_FOLDER = Path("dist/index")
DEFAULT_PORT = 8000


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
    for number in (signal.SIGINT, signal.SIGTERM):
        # Set by hand: a shell that starts it in the background has SIGINT ignored.
        signal.signal(number, signal.default_int_handler)
    server = open_server(args.folder, args.host, args.port, None if args.quiet else _show)
    print(f"serving {args.folder} at {server.url}/simple/ (Ctrl-C ends it)", flush=True)
    print(*install_lines(f"{server.url}/simple/"), sep="\n", flush=True)
    try:
        server.serve_forever()
    except KeyboardInterrupt:
        pass
    finally:
        server.server_close()
    return 0


def _show(line: str) -> None:
    print(f"  {line}", flush=True)
