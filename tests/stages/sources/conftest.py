from __future__ import annotations

import io
import tarfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from factory.host import index_session
from factory.stages.sources import download
from tests.support.index_server import IndexServer, serve


@pytest.fixture
def index(monkeypatch: pytest.MonkeyPatch) -> Iterator[IndexServer]:
    """A running index that pip is configured with; waits between attempts are short."""
    for module in (index_session, download):
        monkeypatch.setattr(module, "BACKOFF_SECONDS", 0.001)
    for name in ("NO_PROXY", "no_proxy"):
        monkeypatch.setenv(name, "127.0.0.1")
    with serve() as server:
        monkeypatch.setenv("PIP_INDEX_URL", server.simple)
        yield server


Entry = tuple[tarfile.TarInfo, bytes]


def file_entry(name: str, content: bytes = b"", mode: int = 0o644, mtime: int = 1_500_000_000) -> Entry:
    info = tarfile.TarInfo(name)
    info.size, info.mode, info.mtime = len(content), mode, mtime
    return info, content


def special_entry(name: str, kind: bytes, target: str = "") -> Entry:
    info = tarfile.TarInfo(name)
    info.type, info.linkname, info.mtime, info.mode = kind, target, 1_400_000_000, 0o755
    return info, b""


def tar_bytes(entries: list[Entry], mode: str = "w:gz") -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode=mode) as tar:  # type: ignore[call-overload]
        for info, content in entries:
            tar.addfile(info, io.BytesIO(content) if info.isreg() else None)
    return buffer.getvalue()


@pytest.fixture
def make_tar(tmp_path: Path) -> Callable[..., Path]:
    """Write a tar archive of the given entries, of the kind that its name says."""

    def make(*entries: Entry, name: str = "spam-1.0.tar.gz") -> Path:
        path = tmp_path / name
        path.write_bytes(tar_bytes(list(entries), "w:" + name.rpartition(".")[2].replace("tgz", "gz")))
        return path

    return make


def sdist(name: str = "spam", version: str = "1.0") -> bytes:
    """A small source distribution."""
    top = f"{name}-{version}"
    core = f"Metadata-Version: 2.4\nName: {name}\nVersion: {version}\nRequires-Python: >=3.9\nRequires-Dist: eggs>=2\n"
    system = '[build-system]\nrequires = ["flit_core"]\nbuild-backend = "flit_core.buildapi"\n'
    return tar_bytes(
        [
            file_entry(f"{top}/PKG-INFO", core.encode()),
            file_entry(f"{top}/pyproject.toml", system.encode()),
            file_entry(f"{top}/{name}.py", bytes(range(256)) * 2000),
        ]
    )
