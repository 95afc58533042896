"""Real git repositories of tests, and a server that delivers them by git's own protocol."""

from __future__ import annotations

import os
import subprocess
from base64 import b64encode
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler
from pathlib import Path

from tests.support.handler_server import QuietHandler, handled

# Seconds since 1970 of every commit.
DATE = 1_500_000_000
PYPROJECT = '[project]\nname = "spam"\nversion = "1.0"\n'
LFS_POINTER = f"version https://git-lfs.example/spec/v1\noid sha256:{'0' * 64}\nsize 5\n"
_ENVIRONMENT = {
    "PATH": os.environ["PATH"],
    "GIT_CONFIG_GLOBAL": os.devnull,
    "GIT_CONFIG_NOSYSTEM": "1",
    **{f"GIT_{who}_NAME": "Test" for who in ("AUTHOR", "COMMITTER")},
    **{f"GIT_{who}_EMAIL": "test@example.org" for who in ("AUTHOR", "COMMITTER")},
    **{f"GIT_{who}_DATE": f"{DATE} +0000" for who in ("AUTHOR", "COMMITTER")},
}


@dataclass(frozen=True)
class GitRepository:
    """A repository with a working tree in `folder`."""

    folder: Path

    @property
    def url(self) -> str:
        return self.folder.as_uri()

    def git(self, *arguments: str, stdin: bytes = b"") -> str:
        """Run git in the repository; returns its output."""
        command = ["git", "-C", str(self.folder), *arguments]
        done = subprocess.run(command, input=stdin, capture_output=True, env=_ENVIRONMENT)
        assert done.returncode == 0, done.stderr.decode()
        return done.stdout.decode().strip()

    def commit(
        self, files: Mapping[str, str | bytes] = {}, links: Mapping[str, str] = {}, more: Sequence[str] = ()
    ) -> str:
        """Commit files and links; returns the commit.

        `more` are lines of `git update-index --index-info`.
        """
        for name, content in files.items():
            (self.folder / name).parent.mkdir(parents=True, exist_ok=True)
            (self.folder / name).write_bytes(content.encode() if isinstance(content, str) else content)
        for name, target in links.items():
            (self.folder / name).symlink_to(target)
        self.git("add", "--all", "--force")
        self.git("update-index", "--index-info", stdin="".join(f"{line}\n" for line in more).encode())
        self.git("commit", "--quiet", "--allow-empty", "--message=change")
        return self.git("rev-parse", "HEAD")

    def commit_tree(self, entries: Sequence[tuple[str, str, str]]) -> str:
        """Commit a tree of entries (mode, object, name); returns the commit.

        git does not check the entries.
        """
        content = b"".join(f"{mode} {name}\0".encode() + bytes.fromhex(digest) for mode, digest, name in entries)
        tree = self.git("hash-object", "-t", "tree", "-w", "--stdin", "--literally", stdin=content)
        commit = self.git("commit-tree", tree, "-m", "crafted")
        self.git("update-ref", "refs/heads/main", commit)
        return commit

    def blob(self, content: str) -> str:
        """Write a blob; returns its hash."""
        return self.git("hash-object", "-w", "--stdin", stdin=content.encode())


def make_repository(folder: Path, *options: str) -> GitRepository:
    folder.mkdir(parents=True)
    made = GitRepository(folder)
    made.git("init", "--quiet", "--initial-branch=main", "--template=", *options)
    return made


def gitlink(commit: str, path: str) -> str:
    """Return the line of the index of a submodule."""
    return f"160000 {commit}\t{path}"


def modules(**urls: str) -> str:
    """Return a .gitmodules with the addresses of folders below `third_party`."""
    return "".join(
        f'[submodule "{name}"]\n\tpath = third_party/{name}\n\turl = "{url}"\n' for name, url in urls.items()
    )


@dataclass
class GitServer:
    """git's own HTTP server; with `login`, of the form `user:password`, for nobody else."""

    url: str = ""
    login: str = ""
    # Paths and Authorization headers of the requests.
    requests: list[tuple[str, str | None]] = field(default_factory=list)


@contextmanager
def git_served(folder: Path, certificate: Path | None = None) -> Iterator[GitServer]:
    """Serve the repositories in a folder by `git http-backend`, by https with a certificate."""
    server = GitServer()

    class Handler(QuietHandler):
        def do_GET(self) -> None:
            _answer(self, folder, server)

        def do_POST(self) -> None:
            _answer(self, folder, server)

    with handled(Handler, certificate) as server.url:
        yield server


def _answer(request: BaseHTTPRequestHandler, folder: Path, server: GitServer) -> None:
    path, _, query = request.path.partition("?")
    authorization = request.headers.get("Authorization")
    server.requests.append((path, authorization))
    if server.login and authorization != f"Basic {b64encode(server.login.encode()).decode()}":
        request.send_response(401)
        request.send_header("WWW-Authenticate", 'Basic realm="git"')
        request.end_headers()
        return
    variables = {
        "GIT_PROJECT_ROOT": str(folder),
        "GIT_HTTP_EXPORT_ALL": "1",
        "GIT_PROTOCOL": request.headers.get("Git-Protocol", ""),
        "REQUEST_METHOD": request.command,
        "PATH_INFO": path,
        "QUERY_STRING": query,
        "CONTENT_TYPE": request.headers.get("Content-Type", ""),
        "CONTENT_LENGTH": request.headers.get("Content-Length", ""),
        "HTTP_CONTENT_ENCODING": request.headers.get("Content-Encoding", ""),
    }
    done = subprocess.run(
        ["git", "-c", "safe.directory=*", "http-backend"],
        input=request.rfile.read(int(variables["CONTENT_LENGTH"] or 0)),
        capture_output=True,
        env={**_ENVIRONMENT, **variables},
    )
    head, _, body = done.stdout.partition(b"\r\n\r\n")
    headers = [line.decode().partition(": ") for line in head.split(b"\r\n") if line]
    status = next((value for name, _, value in headers if name == "Status"), "200 OK")
    request.send_response(int(status.partition(" ")[0]))
    for name, _, value in (*headers, ("Content-Length", "", str(len(body)))):
        request.send_header(name, value)
    request.end_headers()
    request.wfile.write(body)
