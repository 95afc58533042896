"""Debian repository on the loopback interface, in the states of real mirrors."""

from __future__ import annotations

import hashlib
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from tests.support.folder_server import folder_served

CONTROL = """Package: {name}
Version: 1
Architecture: all
Maintainer: Nobody <nobody@example.org>
Description: one empty package
"""


@dataclass(frozen=True, kw_only=True)
class Repository:
    """A flat repository below `folder`, which apt reads from `url`."""

    folder: Path
    url: str

    @property
    def source(self) -> str:
        """Its line for sources.list."""
        return f"deb [trusted=yes] {self.url} ./\n"

    def offer(self, *names: str) -> None:
        """Publish empty packages: these and no others."""
        paragraphs = [self._package(name) for name in names]
        (self.folder / "Packages").write_text("\n".join(paragraphs))
        self.release()

    def release(self) -> None:
        """Write the Release file, which names the list of packages by its hash."""
        content = (self.folder / "Packages").read_bytes()
        listed = f"SHA256:\n {hashlib.sha256(content).hexdigest()} {len(content)} Packages\n"
        (self.folder / "Release").write_text(listed)

    def _package(self, name: str) -> str:
        control = CONTROL.format(name=name)
        tree = self.folder / "trees" / name
        (tree / "DEBIAN").mkdir(parents=True, exist_ok=True)
        (tree / "DEBIAN/control").write_text(control)
        archive = self.folder / f"{name}_1_all.deb"
        subprocess.run(["dpkg-deb", "--root-owner-group", "--build", tree, archive], check=True, capture_output=True)
        content = archive.read_bytes()
        found = f"Filename: ./{archive.name}\nSize: {len(content)}\nSHA256: {hashlib.sha256(content).hexdigest()}\n"
        return control + found


@contextmanager
def debian_repository(folder: Path) -> Iterator[Repository]:
    """Serve an empty repository from `folder`."""
    with folder_served(folder) as url:
        repository = Repository(folder=folder, url=url)
        repository.offer()
        yield repository
