"""Fixtures for all tests, and the conditions under which tests run."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import hypothesis
import pytest

from factory.host.native_programs import native_command
from factory.publish.placement import write_simple
from factory.publish.server import serve
from factory.stages.environments.base import RootRequest
from factory.stages.environments.debian.bootstrap import PYTHON
from factory.stages.environments.rootfs import RootfsEnvironment
from factory.stages.environments.roots import check_root, hybrid_root, native_layer
from factory.util.paths import Layout, default_layout
from tests.support.checkouts import make_cache
from tests.support.dockerd import some_engine
from tests.support.logs import MemoryLog, unreported
from tests.support.upstream import Upstream

# An example's time says nothing where builds run beside the tests.
hypothesis.settings.register_profile("untimed", deadline=None)
hypothesis.settings.load_profile("untimed")
# Commands that tests start elsewhere run the factory that is tested, whichever one is installed.
os.environ["PYTHONPATH"] = str(Path(__file__).parent.parent)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Roots are opened by root alone."""
    if os.geteuid() != 0:
        reason = pytest.mark.skip(reason="opening riscv64 roots needs root: run the tests with .ci/nox tests")
        for item in items:
            if any(item.get_closest_marker(name) for name in ("environment", "main_job", "long")):
                item.add_marker(reason)


@pytest.fixture
def log() -> MemoryLog:
    return MemoryLog()


@pytest.fixture(scope="session")
def layout() -> Layout:
    """The machine's own cache: its layers are what builds use."""
    return default_layout()


@pytest.fixture(scope="session")
def hybrid(layout: Layout) -> RootfsEnvironment:
    return RootfsEnvironment(root=hybrid_root(layout, RootRequest(), unreported), layout=layout)


@pytest.fixture(scope="session")
def clean_root(layout: Layout) -> RootfsEnvironment:
    return RootfsEnvironment(root=check_root(layout, PYTHON, unreported), layout=layout)


@pytest.fixture(scope="session")
def docker_engine() -> Iterator[None]:
    """See to it that a Docker engine answers where Docker's own variables say."""
    with some_engine():
        yield


@pytest.fixture(scope="session")
def native_objdump(layout: Layout) -> list[str]:
    """The command that starts the native tools' objdump on this machine."""
    return native_command(native_layer(layout, unreported).tree, "riscv64-linux-gnu-objdump")


@pytest.fixture
def fresh_cache(layout: Layout, tmp_path: Path, hybrid: RootfsEnvironment, clean_root: RootfsEnvironment) -> Path:
    return make_cache(tmp_path / "cache", layout)


@pytest.fixture
def upstream(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Upstream]:
    """A running package index with which pip and uv are configured."""
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
