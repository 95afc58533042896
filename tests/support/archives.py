"""Small tar archives and source distributions."""

from __future__ import annotations

import io
import tarfile

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


def sdist(name: str = "spam", version: str = "1.0") -> bytes:
    """Return the bytes of a small source distribution."""
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
