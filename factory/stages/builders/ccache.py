"""ccache settings: the size limit of the local cache and the remote storage of a fleet."""

from __future__ import annotations

import os
import re
import shutil
import socket
import threading
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from urllib.parse import urlsplit

from factory.errors import EnvironmentSetupError
from factory.model.artifacts import CompilerCacheUse
from factory.model.protocols import INPUTS, Command, Sandbox
from factory.stages.builders.inside import relay
from factory.util.log import LogSink
from factory.util.untrusted import UnsafeOutput, UntrustedFolder

SIZE_VARIABLE = "FACTORY_CCACHE_SIZE"
REMOTE_VARIABLE = "FACTORY_CCACHE_REMOTE"
DEFAULT_SIZE = "10G"
DEFAULT_PORTS = {"http": 80, "redis": 6379}
# On the root's loopback interface; nothing else listens there before the build starts.
PORT = 48642
FOLDER = "ccache-remote"
CONNECT_SECONDS = 1.0
ANSWER_SECONDS = 5.0
# The root's native Python, without the packages of the build.
WITH_RELAY = f"""#!/bin/sh
VIRTUAL_ENV=/nonexistent /opt/native/bin/python-pure {INPUTS}/{FOLDER}/relay.py {PORT} {INPUTS}/{FOLDER}/socket
exec "$@"
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class RemoteStorage:
    """A server that holds compiled objects.

    Commands with network use `setting`; sealed commands use `relayed`, which goes through the relay.
    """

    setting: str
    relayed: str
    host: str
    port: int


@dataclass(frozen=True, slots=True, kw_only=True)
class CompilerCache:
    """Size limit of the local cache in ccache's syntax, and the remote storage."""

    size: str = DEFAULT_SIZE
    remote: RemoteStorage | None = None

    def prepare(self, folder: Path) -> None:
        """Write the size limit into a recipe's cache folder, for builds and debug shells."""
        folder.mkdir(parents=True, exist_ok=True)
        UntrustedFolder(folder).write("ccache.conf", f"max_size = {self.size}\n".encode())

    @contextmanager
    def shared(self, sandbox: Sandbox, variables: Mapping[str, str]) -> Iterator[Sandbox]:
        """Connect the sandbox's ccache to the remote storage, if there is one."""
        if self.remote is None or "CCACHE_DIR" not in variables:
            yield sandbox
            return
        folder = sandbox.inputs / FOLDER
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


def read_use(outputs: UntrustedFolder, statistics: str) -> CompilerCacheUse | None:
    """Return ccache's counters of a build, from its file CCACHE_STATSLOG.

    Returns None if there is no such file.

    The build can write it. It is of use for people alone.
    """
    try:
        counters = Counter(outputs.read_text(statistics).splitlines())
    except (FileNotFoundError, UnsafeOutput):
        return None
    hits = counters["direct_cache_hit"] + counters["preprocessed_cache_hit"]
    return CompilerCacheUse(hits=hits, misses=counters["cache_miss"])


def configured(variables: Mapping[str, str] = os.environ) -> CompilerCache:
    """Read the settings from the host's environment variables.

    Raises:
        EnvironmentSetupError: ccache does not accept a value.
    """
    size = variables.get(SIZE_VARIABLE) or DEFAULT_SIZE
    if not re.fullmatch(r"\d+(\.\d+)?([kMGT]i?)?B?", size):
        raise EnvironmentSetupError(
            f"{SIZE_VARIABLE}: {size!r} is not a size", hint=f"set {SIZE_VARIABLE}=20G; 0 means no limit"
        )
    remote = variables.get(REMOTE_VARIABLE)
    return CompilerCache(size=size, remote=_remote(remote) if remote else None)


def _remote(value: str) -> RemoteStorage:
    """Parse ccache's syntax URL|ATTRIBUTE|ATTRIBUTE...; attributes are passed on unchanged."""
    url, *attributes = value.split("|")
    parts = urlsplit(url)
    try:
        port = parts.port or DEFAULT_PORTS[parts.scheme]
    except (KeyError, ValueError):
        port = 0
    if not (port and parts.hostname) or re.search(r"\s", value):
        raise EnvironmentSetupError(
            f"{REMOTE_VARIABLE}: {value!r} is not a remote storage",
            hint="write it as http://host:8080/ccache, redis://host or http://host/ccache|read-only",
        )
    user, at, name = parts.netloc.rpartition("@")
    inside = parts._replace(netloc=f"{user}{at}127.0.0.1:{PORT}").geturl()
    # Name-based virtual hosts need the server's name.
    called = [f"header=Host={name}"] if parts.scheme == "http" else []
    relayed = "|".join((inside, *called, *attributes))
    return RemoteStorage(setting=value, relayed=relayed, host=parts.hostname, port=port)


@contextmanager
def _serving(folder: Path, remote: RemoteStorage) -> Iterator[None]:
    """Relay connections from the socket in `folder` to the remote storage, in a thread."""
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
    """Bind through a descriptor of the folder: a socket path is limited to 107 bytes."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        listener.bind(f"/proc/self/fd/{descriptor}/socket")
    finally:
        os.close(descriptor)


@dataclass(frozen=True, slots=True, kw_only=True)
class _ConnectedSandbox:
    """Sandbox (model.protocols) that starts the relay before commands without network."""

    sandbox: Sandbox
    remote: RemoteStorage

    @property
    def work(self) -> Path:
        return self.sandbox.work

    @property
    def inputs(self) -> Path:
        return self.sandbox.inputs

    def run(self, command: Command, *, log: LogSink) -> None:
        setting = self.remote.setting if command.network else self.remote.relayed
        argv = command.argv if command.network else [f"{INPUTS}/{FOLDER}/run", *command.argv]
        variables = {"CCACHE_REMOTE_STORAGE": setting, **command.env}
        self.sandbox.run(replace(command, argv=argv, env=variables), log=log)
