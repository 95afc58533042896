"""Tests of ccache's limit, and of remote storage that sealed builds reach through the relay."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import time
from pathlib import Path

import pytest

from factory.errors import CommandFailed, EnvironmentSetupError
from factory.model.protocols import Command
from factory.stages.builders.ccache import CompilerCache, RemoteStorage, configured
from factory.stages.environments.registry import ENVIRONMENTS
from factory.stages.environments.rootfs import RootfsEnvironment
from factory.util.log import LogFile
from factory.util.paths import Layout
from tests.support.http_storage import http_storage
from tests.support.layer_stores import layer_store
from tests.support.waiting import wait_until


def test_default_settings_limit_size_and_share_nothing() -> None:
    assert configured({}) == CompilerCache(size="10G", remote=None)


@pytest.mark.parametrize(
    ("value", "relayed", "host", "port"),
    [
        ("http://c.example:81/a/b", "http://127.0.0.1:48642/a/b|header=Host=c.example:81", "c.example", 81),
        ("http://c.example/a|read-only", "http://127.0.0.1:48642/a|header=Host=c.example|read-only", "c.example", 80),
        ("redis://me:secret@[::1]", "redis://me:secret@127.0.0.1:48642", "::1", 6379),
    ],
)
def test_a_remote_storage_is_reached_on_the_roots_own_loopback(value: str, relayed: str, host: str, port: int) -> None:
    remote = configured({"FACTORY_CCACHE_REMOTE": value}).remote
    assert remote == RemoteStorage(setting=value, relayed=relayed, host=host, port=port)


@pytest.mark.parametrize("value", ["cache.example", "ftp://host/x", "http://", "http://h:port/", "http://a http://b"])
def test_invalid_remote_storage_names_variable_and_example(value: str) -> None:
    with pytest.raises(EnvironmentSetupError) as caught:
        configured({"FACTORY_CCACHE_REMOTE": value})
    assert f"FACTORY_CCACHE_REMOTE: {value!r}" in str(caught.value)
    assert "http://host:8080/ccache" in str(caught.value.hint)


def test_invalid_size_names_variable() -> None:
    with pytest.raises(EnvironmentSetupError, match="FACTORY_CCACHE_SIZE: 'much'"):
        configured({"FACTORY_CCACHE_SIZE": "much"})


class Machine:
    """A machine of a fleet: shared roots and a separate ccache."""

    def __init__(self, folder: Path, hybrid: RootfsEnvironment, cache: CompilerCache, kind: str = "rootfs") -> None:
        self.layout = Layout(folder)
        self.environment = ENVIRONMENTS[kind](root=hybrid.root, store=layer_store(self.layout))
        self.work = folder / "jobs" / f"{'long-name-' * 10}0123456789abcdef" / "work"
        self.work.parent.mkdir(parents=True)
        self.log = LogFile(folder / "log")
        self.cache = cache

    def run(self, script: str, *, network: bool = False) -> str:
        """Run a shell script as a build stage does; return its output."""
        self.cache.prepare(self.layout.compiler_caches / "test")
        before = self.log.path.stat().st_size
        with self.environment.open(self.work, caches="test") as sandbox:
            (self.work / "a.c").write_text("int NAME(void) { return 1; }\n")
            with self.cache.shared(sandbox, self.environment.root.variables) as connected:
                connected.run(Command(["sh", "-c", script], network=network), log=self.log)
        return self.log.path.read_text()[before:]

    def statistics(self) -> dict[str, int]:
        lines = self.run("ccache --print-stats").splitlines()
        return {fields[0]: int(fields[1]) for line in lines if len(fields := line.split("\t")) == 2}


def fleet(url: str) -> CompilerCache:
    return configured({"FACTORY_CCACHE_REMOTE": url})


COMPILE = "gcc -DNAME=a -c a.c"


@pytest.mark.environment
def test_the_limit_is_applied_in_the_root(tmp_path: Path, hybrid: RootfsEnvironment) -> None:
    machine = Machine(tmp_path, hybrid, configured({"FACTORY_CCACHE_SIZE": "300M"}))
    assert "(/ccache/ccache.conf) max_size = 300.0 MB" in machine.run("ccache --show-config")


def share(tmp_path: Path, hybrid: RootfsEnvironment, url: str) -> dict[str, int]:
    """Compile on two machines in turn; return the second one's statistics."""
    first, second = (Machine(tmp_path / name, hybrid, fleet(url)) for name in ("first", "second"))
    first.run(COMPILE)
    assert first.statistics()["cache_miss"] == 1
    second.run(COMPILE)
    return second.statistics()


@pytest.mark.environment
def test_second_machine_hits_objects_in_http_storage(tmp_path: Path, hybrid: RootfsEnvironment) -> None:
    with http_storage() as (url, objects):
        called = url.replace("127.0.0.1", "localhost")
        found = share(tmp_path, hybrid, called)
        assert (found["cache_miss"], found["direct_cache_hit"], found["remote_storage_error"]) == (0, 1, 0)
        assert found["remote_storage_hit"] > 0
        assert objects
        assert [name for name in objects if not name.startswith(called)] == []


@pytest.mark.environment
def test_a_build_with_the_network_needs_no_relay(tmp_path: Path, hybrid: RootfsEnvironment) -> None:
    with http_storage() as (url, objects):
        told = Machine(tmp_path, hybrid, fleet(url)).run(f"{COMPILE}; ccache --get-config remote_storage", network=True)
        assert objects
        assert url in told


@pytest.mark.environment
def test_container_hits_objects_in_http_storage(tmp_path: Path, hybrid: RootfsEnvironment, docker_engine: None) -> None:
    with http_storage() as (url, _):
        Machine(tmp_path / "first", hybrid, fleet(url)).run(COMPILE)
        second = Machine(tmp_path / "second", hybrid, fleet(url), "docker")
        second.run(COMPILE)
        assert second.statistics()["direct_cache_hit"] == 1


@pytest.mark.environment
def test_a_read_only_machine_reads_and_writes_nothing(tmp_path: Path, hybrid: RootfsEnvironment) -> None:
    with http_storage() as (url, objects):
        Machine(tmp_path / "pull-request", hybrid, fleet(f"{url}|read-only")).run(COMPILE)
        assert objects == {}
        Machine(tmp_path / "main", hybrid, fleet(url)).run(COMPILE)
        reader = Machine(tmp_path / "another", hybrid, fleet(f"{url}|read-only"))
        reader.run(COMPILE)
        assert reader.statistics()["direct_cache_hit"] == 1


@pytest.mark.environment
def test_a_second_machine_finds_in_redis_what_the_first_compiled(tmp_path: Path, hybrid: RootfsEnvironment) -> None:
    program = redis_server()
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    server = subprocess.Popen([program, "--port", str(port), "--save", "", "--dir", str(tmp_path)])
    try:
        wait_until(lambda: accepts(port))
        found = share(tmp_path, hybrid, f"redis://127.0.0.1:{port}")
    finally:
        server.terminate()
        server.wait()
    assert (found["cache_miss"], found["direct_cache_hit"], found["remote_storage_error"]) == (0, 1, 0)
    assert found["remote_storage_hit"] > 0


def redis_server() -> str:
    """Return the path of redis-server; install it if missing."""
    if shutil.which("redis-server") is None:
        for command in (["update"], ["install", "--yes", "--no-install-recommends", "redis-server"]):
            subprocess.run(["apt-get", *command], env={**os.environ, "DEBIAN_FRONTEND": "noninteractive"}, check=False)
    return shutil.which("redis-server") or pytest.skip("Debian's package redis-server can't be installed here")


def accepts(port: int) -> bool:
    with socket.socket() as client:
        return client.connect_ex(("127.0.0.1", port)) == 0


@pytest.mark.environment
@pytest.mark.parametrize("kind", ["down", "silent"])
def test_a_server_that_fails_neither_fails_nor_slows_a_build(
    kind: str, tmp_path: Path, hybrid: RootfsEnvironment
) -> None:
    with socket.socket() as server:
        server.bind(("127.0.0.1", 0))
        if kind == "silent":
            server.listen(100)
        machine = Machine(tmp_path, hybrid, fleet(f"http://127.0.0.1:{server.getsockname()[1]}/x"))
        started = time.monotonic()
        machine.run("for n in 1 2 3 4 5 6 7 8; do gcc -DNAME=a$n -c a.c || exit; done")
        seconds = time.monotonic() - started
    statistics = machine.statistics()
    # Not all eight need be misses: ccache counts a source apart that it takes for changed meanwhile.
    assert statistics["cache_miss"] > 0, statistics
    assert statistics["remote_storage_error"] + statistics["remote_storage_timeout"] > 0, statistics
    assert seconds < 20  # eight times ccache's own patience would be 80


@pytest.mark.environment
def test_a_build_reaches_the_storage_and_nothing_else(tmp_path: Path, hybrid: RootfsEnvironment) -> None:
    with http_storage() as (url, _), socket.create_server(("127.0.0.1", 0)) as other:
        machine = Machine(tmp_path, hybrid, fleet(url))
        probe = "import socket, sys; socket.create_connection(('127.0.0.1', int(sys.argv[1])))"
        machine.run(f'python3 -c "{probe}" 48642')
        with pytest.raises(CommandFailed) as caught:
            machine.run(f'python3 -c "{probe}" {other.getsockname()[1]}')
        assert "Connection refused" in caught.value.output
        assert [path.name for path in machine.work.iterdir()] == ["a.c"]
