"""Releases of a package `demo` that has no wheels."""

from __future__ import annotations

from msgspec import structs

from factory.publish.release import Mirrored, Release

RELEASE = Release(
    filename="demo-1.0-py3-none-any.whl",
    project="demo",
    version="1.0",
    sha256="a" * 64,
    size=10,
    requires_python=">=3.9",
    metadata_sha256="b" * 64,
    origin=Mirrored(),
)


def numbered(number: int) -> Release:
    return structs.replace(RELEASE, filename=f"demo-{number}-py3-none-any.whl", version=str(number))
