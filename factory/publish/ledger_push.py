"""Commit of the ledger by the job that publishes, and its push to the branch."""

from __future__ import annotations

import base64
import os
from pathlib import Path
from urllib.parse import urlsplit

from factory.errors import CommandFailed, PublishError
from factory.util.git import git
from factory.util.redaction import learn

AUTHOR = ("-c", "user.name=riscv64-wheel-factory", "-c", "user.email=riscv64-wheel-factory@users.noreply.github.com")
ATTEMPTS = 3


def push_ledger(ledger: Path, token: str) -> bool:
    """Commit and push the ledger's changes; return whether there are any.

    They are pushed to the branch that is checked out.

    Entries are files of their own: they fit upon what others pushed meanwhile.

    Raises:
        PublishError: the ledger is in no clone, or its repository refuses the push.
    """
    try:
        git(ledger, "add", "--all", "--", ".")
        if not git(ledger, "diff", "--cached", "--name-only", "--", ".").strip():
            return False
        git(ledger, *AUTHOR, "commit", "--quiet", "--message=index: add releases", "--", ".")
        branch = git(ledger, "symbolic-ref", "--short", "HEAD").strip()
        for attempt in range(ATTEMPTS):
            try:
                _with_token(ledger, token, "push", "--quiet", "origin", f"HEAD:refs/heads/{branch}")
                return True
            except CommandFailed:
                if attempt == ATTEMPTS - 1:
                    raise
            _with_token(ledger, token, "fetch", "--quiet", "origin", f"refs/heads/{branch}")
            git(ledger, *AUTHOR, "rebase", "--quiet", "FETCH_HEAD")
        raise AssertionError
    except CommandFailed as error:
        raise PublishError(
            f"{ledger}: cannot commit and push it: {error.output.strip() or error.message}",
            hint="the files are uploaded: commit the ledger and push it, or run this again",
        ) from error


def _with_token(ledger: Path, token: str, *arguments: str) -> str:
    """Run git with the token for the remote's host, which is on no command line."""
    address = urlsplit(git(ledger, "remote", "get-url", "--push", "origin").strip())
    variables = dict(os.environ)
    if token and address.scheme in ("https", "http"):
        login = base64.b64encode(f"x-access-token:{token}".encode()).decode()
        learn(frozenset({login}))
        variables |= {
            "GIT_CONFIG_COUNT": "1",
            "GIT_CONFIG_KEY_0": f"http.{address.scheme}://{address.netloc}/.extraheader",
            "GIT_CONFIG_VALUE_0": f"Authorization: Basic {login}",
            "GIT_TERMINAL_PROMPT": "0",
        }
    return git(ledger, *arguments, env=variables)
