"""Fixtures for all tests, and the conditions under which tests run."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import hypothesis
import pytest

from factory.host import index_session
from factory.host.native_programs import native_command
from factory.model.distribution import DEFAULT_DISTRIBUTION
from factory.publish.index_files import write_simple
from factory.publish.server import serve
from factory.stages.environments.base import RootRequest
from factory.stages.environments.debian.layers import DebianLayers
from factory.stages.environments.rootfs import RootfsEnvironment
from factory.stages.environments.roots import check_root, hybrid_root
from factory.util.paths import Layout, default_layout
from tests.support import index_server
from tests.support.checkouts import make_cache
from tests.support.dockerd import some_engine
from tests.support.index_server import IndexServer
from tests.support.layer_stores import layer_store
from tests.support.logs import MemoryLog
from tests.support.upstream import Upstream
from tests.support.users import installed, sudoer, user, users_factory

__all__ = ["installed", "sudoer", "user", "users_factory"]  # fixtures

# Seconds for a test and its fixtures, which make layers on an empty cache; the longest first.
DEADLINES = {"long": 4 * 3600, "main_job": 2 * 3600, "environment": 3600}
# Examples take longer while builds run beside the tests.
hypothesis.settings.register_profile("untimed", deadline=None)
hypothesis.settings.load_profile("untimed")
# Child processes import this checkout's factory, not an installed one.
os.environ["PYTHONPATH"] = str(Path(__file__).parent.parent)


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add the option that records messages anew."""
    parser.addoption("--update-snapshots", action="store_true", help="rewrite tests/snapshots")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Give marked tests their deadline, and skip them where the user is not root: only root opens riscv64 roots."""
    for item in items:
        marker = next((name for name in DEADLINES if item.get_closest_marker(name)), None)
        if marker is not None:
            item.add_marker(pytest.mark.timeout(DEADLINES[marker]))
            if os.geteuid() != 0:
                item.add_marker(pytest.mark.skip(reason="riscv64 roots need root: run the tests with .ci/nox tests"))


@pytest.fixture
def log() -> MemoryLog:
    return MemoryLog()


@pytest.fixture(scope="session")
def layout() -> Layout:
    """Return the machine's cache, whose layers all builds use."""
    return default_layout()


@pytest.fixture(scope="session")
def hybrid(layout: Layout) -> RootfsEnvironment:
    return RootfsEnvironment(root=hybrid_root(layer_store(layout), RootRequest()), layout=layout)


@pytest.fixture(scope="session")
def clean_root(layout: Layout) -> RootfsEnvironment:
    return RootfsEnvironment(root=check_root(layer_store(layout), DEFAULT_DISTRIBUTION.python), layout=layout)


@pytest.fixture(scope="session")
def docker_engine() -> Iterator[None]:
    """See to it that a Docker engine answers where Docker's own variables say."""
    with some_engine():
        yield


@pytest.fixture(scope="session")
def native_objdump(layout: Layout) -> list[str]:
    """Return the command of the native tools' objdump."""
    return native_command(DebianLayers(layer_store(layout)).native_tools().tree, "riscv64-linux-gnu-objdump")


@pytest.fixture(scope="session")
def native_qemu(layout: Layout) -> list[str]:
    """Return the command of the native tools' QEMU."""
    return native_command(DebianLayers(layer_store(layout)).native_tools().tree, "qemu-riscv64")


@pytest.fixture
def fresh_cache(layout: Layout, tmp_path: Path, hybrid: RootfsEnvironment, clean_root: RootfsEnvironment) -> Path:
    return make_cache(tmp_path / "cache", layout)


@pytest.fixture
def tiny_disk(tmp_path: Path) -> Iterator[Path]:
    """Mount a file system of 256 KiB."""
    if os.geteuid() != 0:
        pytest.skip("mounting a tiny tmpfs needs root")
    folder = tmp_path / "tiny"
    folder.mkdir()
    mount = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=256k", "tmpfs", folder], capture_output=True, text=True)
    if mount.returncode != 0:
        pytest.skip(f"this machine does not let root mount a tmpfs: {mount.stderr.strip()}")
    yield folder
    subprocess.run(["umount", folder], check=True)


@pytest.fixture
def index(monkeypatch: pytest.MonkeyPatch) -> Iterator[IndexServer]:
    """Serve an index and configure pip with it; waits between attempts are short."""
    monkeypatch.setattr(index_session, "BACKOFF_SECONDS", 0.001)
    for name in ("NO_PROXY", "no_proxy"):
        monkeypatch.setenv(name, "127.0.0.1")
    with index_server.serve() as server:
        monkeypatch.setenv("PIP_INDEX_URL", server.simple)
        yield server


@pytest.fixture
def upstream(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Upstream]:
    """Serve a package index and configure pip and uv with it."""
    for name in [name for name in os.environ if name.startswith(("PIP_", "UV_"))]:
        monkeypatch.delenv(name)
    asked: list[str] = []
    folder = tmp_path / "upstream"
    write_simple([], lambda _release: folder, folder / "out")
    with serve(folder / "out", on_request=asked.append) as base:
        made = Upstream(folder, asked, base)
        made.add("unrelated")
        monkeypatch.setenv("PIP_CONFIG_FILE", os.devnull)
        monkeypatch.setenv("PIP_INDEX_URL", f"{base}/simple/")
        monkeypatch.setenv("PIP_CACHE_DIR", str(tmp_path / "pip-cache"))
        monkeypatch.setenv("UV_CACHE_DIR", str(tmp_path / "uv-cache"))
        yield made
