from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from factory.host import index_session
from tests.support.archives import Entry, tar_bytes
from tests.support.index_server import IndexServer, serve


@pytest.fixture
def index(monkeypatch: pytest.MonkeyPatch) -> Iterator[IndexServer]:
    """Serve an index and configure pip with it; waits between attempts are short."""
    monkeypatch.setattr(index_session, "BACKOFF_SECONDS", 0.001)
    for name in ("NO_PROXY", "no_proxy"):
        monkeypatch.setenv(name, "127.0.0.1")
    with serve() as server:
        monkeypatch.setenv("PIP_INDEX_URL", server.simple)
        yield server


@pytest.fixture
def make_tar(tmp_path: Path) -> Callable[..., Path]:
    """Write a tar archive of the given entries, of the kind that its name says."""

    def make(*entries: Entry, name: str = "spam-1.0.tar.gz") -> Path:
        path = tmp_path / name
        path.write_bytes(tar_bytes(list(entries), "w:" + name.rpartition(".")[2].replace("tgz", "gz")))
        return path

    return make
