"""Repository on GitHub that a command writes to: options and the token's variable."""

from __future__ import annotations

import argparse
import os
import re
from typing import TYPE_CHECKING

from factory.errors import PublishError

if TYPE_CHECKING:  # requests takes half a second
    from factory.host.github import GitHub

TOKEN_VARIABLE = "FACTORY_GITHUB_TOKEN"
_NAME = re.compile(r"[A-Za-z0-9._-]+/[A-Za-z0-9._-]+")


def add_repository_options(parser: argparse.ArgumentParser) -> None:
    """Declare the options that `open_repository` reads."""
    parser.add_argument(
        "--repository",
        default=os.environ.get("GITHUB_REPOSITORY", ""),
        metavar="OWNER/NAME",
        help="repository on GitHub (default: GITHUB_REPOSITORY)",
    )
    parser.add_argument(
        "--api",
        default=os.environ.get("GITHUB_API_URL", ""),
        metavar="URL",
        help="address of GitHub's API (default: GITHUB_API_URL)",
    )


def take_token() -> str:
    """Return the token, and take it out of the environment: no child process needs it.

    Raises:
        PublishError: there is none.
    """
    token = os.environ.pop(TOKEN_VARIABLE, "")
    if not token:
        raise PublishError(
            f"{TOKEN_VARIABLE}: is not set: GitHub needs a token",
            hint="set it to a token with rights to write contents and issues of the repository",
        )
    return token


def open_repository(args: argparse.Namespace, token: str) -> GitHub:
    """Return the client of the repository.

    Raises:
        PublishError: an option is missing or invalid.
    """
    from factory.host.github import GitHub, Repository

    if not _NAME.fullmatch(args.repository):
        raise PublishError(f"--repository: invalid: {args.repository!r}", hint="give OWNER/NAME, as in its address")
    if not args.api.startswith(("https://", "http://127.0.0.1:")):
        raise PublishError(f"--api: invalid: {args.api!r}", hint="give the address of GitHub's API, with https://")
    return GitHub(Repository(name=args.repository, api=args.api, token=token))
