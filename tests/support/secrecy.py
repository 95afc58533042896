"""Commands of the factory among canaries, and a search for these in all results."""

from __future__ import annotations

import shutil
import subprocess
import sys
import tarfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import zstandard

from tests.support.canaries import (
    LOOK,
    CommandLines,
    Proxy,
    files_with_canaries,
    found_in,
    proxy_with_indexes,
)
from tests.support.checkouts import PACKAGES, Checkout

# Runs the factory with arguments; returns its exit status and all that it printed.
RunFactory = Callable[..., tuple[int, str]]


@contextmanager
def proxy_with_requirement(folder: Path) -> Iterator[Proxy]:
    """Serve the build requirement of the packages from behind a proxy."""
    pip = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps"]
    subprocess.run([*pip, "--dest", str(folder), "setuptools>=77"], check=True)
    with proxy_with_indexes({path.name: path.read_bytes() for path in folder.iterdir()}) as proxy:
        yield proxy


def package_that_looks(folder: Path) -> Path:
    """Copy vectors-c into a folder, with a build that looks for secrets; returns the folder."""
    shutil.copytree(PACKAGES / "vectors-c", folder / "vectors-c")
    setup = folder / "vectors-c/setup.py"
    setup.write_text(LOOK + setup.read_text())
    return folder


def as_root(checkout: Checkout, variables: Mapping[str, str]) -> RunFactory:
    """Return the runner of a checkout's factory."""

    def run(*arguments: str) -> tuple[int, str]:
        done = checkout.factory(*arguments, **variables)
        return done.returncode, done.stdout + done.stderr

    return run


def require_secrecy(factory: RunFactory, name: str, cache: Path, folder: Path, environment: str = "rootfs") -> None:
    """Build, index and export, and look for canaries everywhere; `folder` is for the results."""
    commands, said = CommandLines(), ""
    with commands.watched():
        for words in (
            ("build", name, "--environment", environment),
            ("shell", name, "--environment", environment, "--network", "--", "true"),
            ("index", "--output", str(folder / "index")),
            ("cache", "export", str(folder / "exported")),
        ):
            status, output = factory(*words)
            assert status == 0, output
            said += output
    assert commands.leaked == set()
    assert {"uv", "sh"} <= commands.programs
    assert not found_in(said.encode())
    for made in (cache, folder / "index"):
        assert files_with_canaries(made) == []
    names = dict(exported(folder / "exported"))
    assert [each for each, content in names.items() if found_in(content)] == []
    assert any(each.startswith(f"logs/{name}-1.0/") for each in names)


def exported(path: Path) -> Iterator[tuple[str, bytes]]:
    """Yield the names and contents of an exported cache."""
    with (
        path.open("rb") as file,
        zstandard.ZstdDecompressor().stream_reader(file) as packed,
        tarfile.open(fileobj=packed, mode="r|") as archive,
    ):
        for member in archive:
            content = archive.extractfile(member) if member.isreg() else None
            yield member.name, content.read() if content else b""
