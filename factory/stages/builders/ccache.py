"""ccache's settings: how much it keeps on this machine, and the storage that a fleet of machines shares."""

from __future__ import annotations

import os
import re
import shutil
import socket
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from urllib.parse import urlsplit

from factory.errors import EnvironmentSetupError
from factory.model.protocols import BUILD, Command, Sandbox
from factory.stages.builders.inside import relay
from factory.util.atomic_files import write_if_changed
from factory.util.log import LogSink

SIZE_VARIABLE = "FACTORY_CCACHE_SIZE"
REMOTE_VARIABLE = "FACTORY_CCACHE_REMOTE"
DEFAULT_SIZE = "10G"
DEFAULT_PORTS = {"http": 80, "redis": 6379}
# On the root's own loopback, where nothing else listens before the build starts.
PORT = 48642
FOLDER = "ccache-remote"
CONNECT_SECONDS = 1.0
ANSWER_SECONDS = 5.0
# The root's native Python, without the build's own packages.
WITH_RELAY = f"""#!/bin/sh
VIRTUAL_ENV=/nonexistent /opt/native/bin/python-pure {BUILD}/{FOLDER}/relay.py {PORT} {BUILD}/{FOLDER}/socket
exec "$@"
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class RemoteStorage:
    """A server that holds compiled objects.

    ccache is told `setting` where a command has the network, and `relayed` where it has the relay alone.
    """

    setting: str
    relayed: str
    host: str
    port: int


@dataclass(frozen=True, slots=True, kw_only=True)
class CompilerCache:
    """The limit of the folder on this machine in ccache's own words, and what is shared."""

    size: str = DEFAULT_SIZE
    remote: RemoteStorage | None = None

    def prepare(self, folder: Path) -> None:
        """Let everything that uses the folder keep the limit: builds, and people who look around in a root."""
        write_if_changed(folder / "ccache.conf", f"max_size = {self.size}\n".encode())

    @contextmanager
    def shared(self, sandbox: Sandbox, variables: Mapping[str, str]) -> Iterator[Sandbox]:
        """The sandbox of a root with those variables; where both have it, its ccache reaches the remote storage."""
        if self.remote is None or "CCACHE_DIR" not in variables:
            yield sandbox
            return
        folder = sandbox.work / FOLDER
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir()
        shutil.copy(relay.__file__, folder / "relay.py")
        (folder / "run").write_text(WITH_RELAY)
        (folder / "run").chmod(0o755)
        try:
            with _serving(folder, self.remote):
                yield _ConnectedSandbox(sandbox=sandbox, remote=self.remote)
        finally:
            shutil.rmtree(folder, ignore_errors=True)


def configured(variables: Mapping[str, str] = os.environ) -> CompilerCache:
    """What the host's variables ask for.

    Raises:
        EnvironmentSetupError: a value that ccache would not understand.
    """
    size = variables.get(SIZE_VARIABLE) or DEFAULT_SIZE
    if not re.fullmatch(r"\d+(\.\d+)?([kMGT]i?)?B?", size):
        raise EnvironmentSetupError(
            f"{SIZE_VARIABLE} is {size!r}, which is no size", hint="write it as in 20G or 500M; 0 means no limit"
        )
    remote = variables.get(REMOTE_VARIABLE)
    return CompilerCache(size=size, remote=_remote(remote) if remote else None)


def _remote(value: str) -> RemoteStorage:
    """Read a storage in ccache's own syntax, URL|ATTRIBUTE|ATTRIBUTE...; the attributes are handed on."""
    url, *attributes = value.split("|")
    parts = urlsplit(url)
    try:
        port = parts.port or DEFAULT_PORTS[parts.scheme]
    except (KeyError, ValueError):
        port = 0
    if not (port and parts.hostname) or re.search(r"\s", value):
        raise EnvironmentSetupError(
            f"{REMOTE_VARIABLE} is {value!r}, which is no remote storage",
            hint="write it as in http://host:8080/ccache, redis://host or http://host/ccache|read-only",
        )
    user, at, name = parts.netloc.rpartition("@")
    inside = parts._replace(netloc=f"{user}{at}127.0.0.1:{PORT}").geturl()
    # Some servers answer by the name that they are called.
    called = [f"header=Host={name}"] if parts.scheme == "http" else []
    relayed = "|".join((inside, *called, *attributes))
    return RemoteStorage(setting=value, relayed=relayed, host=parts.hostname, port=port)


@contextmanager
def _serving(folder: Path, remote: RemoteStorage) -> Iterator[None]:
    """Pass on what comes to the socket in `folder`; a thread does it as long as this is open."""
    with socket.socket(socket.AF_UNIX) as listener:
        _bind(listener, folder)
        listener.listen()
        passing = relay.Relay(
            listener,
            lambda: socket.create_connection((remote.host, remote.port), timeout=CONNECT_SECONDS),
            ANSWER_SECONDS,
        )
        thread = threading.Thread(target=passing.serve, daemon=True)
        thread.start()
        try:
            yield
        finally:
            listener.shutdown(socket.SHUT_RDWR)
            thread.join()


def _bind(listener: socket.socket, folder: Path) -> None:
    """Bind below an open folder: a socket's own path may have 107 characters only."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        listener.bind(f"/proc/self/fd/{descriptor}/socket")
    finally:
        os.close(descriptor)


@dataclass(frozen=True, slots=True, kw_only=True)
class _ConnectedSandbox:
    """Implements model.Sandbox: commands without network start with the relay before them."""

    sandbox: Sandbox
    remote: RemoteStorage

    @property
    def work(self) -> Path:
        return self.sandbox.work

    def run(self, command: Command, *, log: LogSink) -> None:
        setting = self.remote.setting if command.network else self.remote.relayed
        argv = command.argv if command.network else [f"{BUILD}/{FOLDER}/run", *command.argv]
        variables = {"CCACHE_REMOTE_STORAGE": setting, **command.env}
        self.sandbox.run(replace(command, argv=argv, env=variables), log=log)
