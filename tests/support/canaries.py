"""Canaries: secrets in every usual place, and a proxy with indexes that wants them."""

from __future__ import annotations

import os
import threading
import time
from base64 import b64encode
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

# All canaries begin with it. Code of packages looks for it in two parts, so that it does not find itself.
PARTS = ("cAnArY", f"x{os.getpid()}x")
MARK = "".join(PARTS)
NAMES = ("proxy", "pip", "uv", "netrc", "uv-toml", "cargo", "cargo-publish", "cargo-file", "mirror")
CANARIES = {name: f"{MARK}-{name}" for name in NAMES}
# In HTTP's header a user and a password are one word.
LOGINS = {name: b64encode(f"{name}:{secret}".encode()).decode() for name, secret in CANARIES.items()}
# Reads all that a command can see of the machine; prints nothing but a number, since logs hide secrets.
LOOK = rf"""
import os, glob
mark = ("{PARTS[0]}" + "{PARTS[1]}").encode()
def content(path):
    try:
        with open(path, "rb") as file:
            return file.read(1 << 22)
    except OSError:
        return b""
folders = ["/root", "/root/*", "/tmp", "/tmp/*", "/run", "/etc", "/etc/*", "/etc/*/*", "/dev/shm", "/dev/shm/*"]
folders += ["/inputs", "/build", "/build/cargo", "/packages", "/packages/*"]
places = ["/proc/*/environ", "/proc/*/cmdline"]
places += [folder + "/" + name for folder in folders for name in ("*", ".*")]
found = [path for place in places for path in glob.glob(place) if mark in content(path)]
found += [name for name, value in os.environ.items() if mark.decode() in value]
print(len(found), "places with secrets:", found, flush=True)
"""


NOTHING = "0 places with secrets: []"


@dataclass
class Proxy:
    """A proxy on loopback, behind which each host is an index; only pip's has files."""

    files: dict[str, bytes]
    port: int = 0
    # The hosts that were asked with their own login.
    served: set[str] = field(default_factory=set)

    def answer(self, request: BaseHTTPRequestHandler) -> tuple[int, bytes]:
        if request.headers.get("Proxy-Authorization") != f"Basic {LOGINS['proxy']}":
            return 407, b""
        url = urlsplit(request.path)
        host = (url.hostname or "").partition(".")[0]
        if request.headers.get("Authorization") != f"Basic {LOGINS.get(host)}":
            return 401, b""
        self.served.add(host)
        name = url.path.strip("/").rpartition("/")[2]
        if host != "pip":
            return 404, b""
        if name in self.files:
            return 200, self.files[name]
        project = name.replace("-", "_")
        links = [f'<a href="/files/{file}">{file}</a>' for file in self.files if file.startswith(f"{project}-")]
        return (200, "\n".join(links).encode()) if links else (404, b"")


@contextmanager
def proxy_with_indexes(files: Mapping[str, bytes]) -> Iterator[Proxy]:
    proxy = Proxy(dict(files))

    class Handler(BaseHTTPRequestHandler):
        def do_HEAD(self) -> None:
            self.do_GET()

        def do_GET(self) -> None:
            status, content = proxy.answer(self)
            self.send_response(status)
            self.send_header("Content-Type", "text/html")
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(b"" if self.command == "HEAD" else content)

        def log_message(self, format: str, *args: Any) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        proxy.port = server.server_port
        threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
        yield proxy
        server.shutdown()


def address(name: str, *, login: bool = True) -> str:
    """Return the address of the index that wants the canary `name`."""
    userinfo = f"{name}:{CANARIES[name]}@" if login else ""
    return f"http://{userinfo}{name}.example/simple/"


def set_up(home: Path, port: int) -> dict[str, str]:
    """Put canaries into files below `home`; returns variables with further ones."""
    files = {
        ".netrc": f"machine netrc.example login netrc password {CANARIES['netrc']}\n",
        ".config/pip/pip.conf": f"[global]\nindex-url = {address('pip')}\ntrusted-host = pip.example\n",
        ".config/uv/uv.toml": f'[[index]]\nname = "toml"\nurl = "{address("uv-toml")}"\n'
        f'[[index]]\nname = "own"\nurl = "{address("uv", login=False)}"\n'
        f'[[index]]\nname = "second"\nurl = "{address("netrc", login=False)}"\n',
        ".cargo/config.toml": '[registries.own]\nindex = "sparse+http://cargo.example/"\n'
        f'token = "{CANARIES["cargo-file"]}"\n',
        ".cargo/credentials.toml": f'[registry]\ntoken = "{CANARIES["cargo-publish"]}"\n',
    }
    for name, text in files.items():
        (home / name).parent.mkdir(parents=True, exist_ok=True)
        (home / name).write_text(text)
    proxy = f"http://proxy:{CANARIES['proxy']}@127.0.0.1:{port}"
    return {
        "HOME": str(home),
        **dict.fromkeys(("http_proxy", "HTTP_PROXY"), proxy),
        **dict.fromkeys(("no_proxy", "NO_PROXY"), "127.0.0.1,localhost"),
        "UV_INDEX_OWN_USERNAME": "uv",
        "UV_INDEX_OWN_PASSWORD": CANARIES["uv"],
        "CARGO_REGISTRIES_OWN_TOKEN": CANARIES["cargo"],
        "CARGO_REGISTRY_TOKEN": CANARIES["cargo-publish"],
        "FACTORY_DEBIAN_MIRROR": f"http://mirror:{CANARIES['mirror']}@mirror.example/debian",
    }


def spellings() -> list[bytes]:
    """Return all that must not be found: the canaries' common mark, and the logins of HTTP."""
    return [MARK.encode(), *(login.encode() for login in LOGINS.values())]


def found_in(content: bytes) -> bool:
    return any(spelling in content for spelling in spellings())


def files_with_canaries(folder: Path) -> list[Path]:
    """Return the files below a folder that have a canary in them; links are not followed."""
    found = []
    for here, _, names in os.walk(folder):
        paths = (Path(here, name) for name in names)
        found += [path for path in paths if path.is_file() and not path.is_symlink() and found_in(path.read_bytes())]
    return found


class CommandLines:
    """A poller of every process's command line on this machine."""

    def __init__(self) -> None:
        self.leaked: set[str] = set()
        self.programs: set[str] = set()
        self._stopped = threading.Event()

    def poll(self) -> None:
        while not self._stopped.is_set():
            for process in Path("/proc").glob("[0-9]*"):
                self._read(process)
            time.sleep(0.001)

    def _read(self, process: Path) -> None:
        try:
            line = (process / "cmdline").read_bytes()
        except OSError:
            return
        words = line.split(b"\0")
        self.programs |= {Path(os.fsdecode(word)).name for word in words if len(word) < 64}
        if found_in(line):
            self.leaked.add(os.fsdecode(line.replace(b"\0", b" ")))

    @contextmanager
    def watched(self) -> Iterator[None]:
        """Poll while the body runs."""
        thread = threading.Thread(target=self.poll, daemon=True)
        thread.start()
        try:
            yield
        finally:
            self._stopped.set()
            thread.join()
