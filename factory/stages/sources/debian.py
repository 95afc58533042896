"""Source kind `debian`: the upstream tarball of a Debian source package.

The tarball is pinned, not a revision: revisions come and go, while the tarball stays in the pool as long as any suite
has that version. A recipe that wants the source as the distribution builds it pins a revision's packaging too.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, ClassVar

from factory.errors import CommandFailed, SourceError
from factory.model.artifacts import SourceTree
from factory.model.declaration import SHA256, about, matching
from factory.model.source import Source
from factory.stages.sources.archive import unpack
from factory.stages.sources.disk import cached_file
from factory.stages.sources.gnu_patch import run_patch
from factory.util.log import LogSink

PATCHES = "patches"
# Debian Policy 5.6.1.
SOURCE_NAME = matching(r"[a-z0-9][a-z0-9+.-]+", "{value} is not the name of a Debian source package")
# The upstream part of Policy 5.6.12: neither an epoch before it nor Debian's revision after it.
UPSTREAM_VERSION = matching(
    r"[0-9][A-Za-z0-9.+~]*(-[A-Za-z0-9.+~]+)*",
    "{value} is not an upstream version as Debian writes it, as in '0.3.34+ds'",
)
REVISION = matching(r"[A-Za-z0-9+.~]+", "{value} is not a revision as Debian writes it, as in '7'")


@dataclass(frozen=True, slots=True, kw_only=True)
class DebianPackaging:
    """A revision of a Debian source package."""

    revision: Annotated[str, REVISION] = field(metadata=about("revision whose patches are applied, such as `7`"))
    sha256: Annotated[str, SHA256] = field(metadata=about("sha256 of its `.debian.tar.xz`"))
    left_out: tuple[str, ...] = field(default=(), metadata=about("its patches that are not applied"))


@dataclass(frozen=True, slots=True, kw_only=True)
class DebianSource(Source):
    """The upstream tarball of a Debian source package, patched by its `packaging`."""

    kind: ClassVar[str] = "debian"

    project: Annotated[str, SOURCE_NAME] = field(metadata=about("name of the Debian source package"))
    version: Annotated[str, UPSTREAM_VERSION] = field(
        metadata=about("upstream version in Debian, without epoch and revision: `0.3.34+ds`")
    )
    sha256: Annotated[str, SHA256] = field(metadata=about("sha256 of the `.orig.tar`, as the `.dsc` states it"))
    packaging: DebianPackaging | None = field(
        default=None, metadata=about("revision whose patches are applied and whose files are put into `debian`")
    )

    def fetch(self, cache: Path, destination: Path, log: LogSink) -> SourceTree:
        """Fetch the tarball and apply the distribution's patches: see `Source.fetch`."""
        archive = self._archive(cache, log)
        log.write(f"unpacking {archive.name}, sha256 {self.sha256}\n")
        tree = SourceTree(path=unpack(archive, destination), sha256=self.sha256)
        if self.packaging is not None:
            self._apply_packaging(self.packaging, cache, tree, log)
        return tree

    def origin_warning(self) -> str:
        """Look the tarball and the packaging up in the pool: see `Source.origin_warning`."""
        from factory.stages.sources.debian_pool import require_file, require_tarball

        require_tarball(self)
        if self.packaging is not None:
            require_file(self, [self._packaging_name(self.packaging)])
        return ""

    def content_sha256(self) -> str:
        """Return the hash of the tarball, the packaging and the excluded patches."""
        if self.packaging is None:
            return self.sha256
        packaging = (self.sha256, self.packaging.sha256, *self.packaging.left_out)
        return hashlib.sha256("\0".join(packaging).encode()).hexdigest()

    def metadata_archive(self, cache: Path, log: LogSink) -> Path | None:
        """Return the tarball, unless patches may change its files."""
        return self._archive(cache, log) if self.packaging is None else None

    def _archive(self, cache: Path, log: LogSink) -> Path:
        from factory.stages.sources.debian_pool import download_tarball  # HTTP clients are slow to import

        return cached_file(self.sha256, cache) or download_tarball(self, cache, log)

    def _packaging_archive(self, packaging: DebianPackaging, cache: Path, log: LogSink) -> Path:
        from factory.stages.sources.debian_pool import download_file

        cached = cached_file(packaging.sha256, cache)
        return cached or download_file(self, self._packaging_name(packaging), packaging.sha256, cache, log)

    def _packaging_name(self, packaging: DebianPackaging) -> str:
        return f"{self.project}_{self.version}-{packaging.revision}.debian.tar.xz"

    def _apply_packaging(self, packaging: DebianPackaging, cache: Path, tree: SourceTree, log: LogSink) -> None:
        """Apply the packaging as dpkg-source does; keep the source's date."""
        archive = self._packaging_archive(packaging, cache, log)
        log.write(f"unpacking {archive.name}, sha256 {packaging.sha256}\n")
        date = tree.path.stat().st_mtime
        folder = unpack(archive, tree.path)
        for name in _selected(folder, packaging, archive.name):
            _apply(folder / PATCHES / name, tree, log)
        for path in (path for path in tree.path.rglob("*") if path.stat(follow_symlinks=False).st_mtime > date):
            os.utime(path, (date, date), follow_symlinks=False)
        os.utime(tree.path, (date, date))


def _selected(folder: Path, packaging: DebianPackaging, archive: str) -> Sequence[str]:
    series = _series(folder)
    if unknown := [name for name in packaging.left_out if name not in series]:
        raise SourceError(
            f"{archive}: cannot leave out {unknown[0]}: there is no such patch",
            hint=f"correct source.packaging.left-out; the patches are: {', '.join(series)}",
        )
    return [name for name in series if name not in packaging.left_out]


def _series(folder: Path) -> list[str]:
    """Return the names in a packaging's list of patches, in order."""
    series = folder / PATCHES / "series"
    lines = series.read_text(encoding="utf-8").splitlines() if series.is_file() else []
    return [words[0] for line in lines if (words := line.partition("#")[0].split())]


def _apply(patch: Path, tree: SourceTree, log: LogSink) -> None:
    """Apply a patch as dpkg-source does, without fuzz and only inside the tree."""
    log.write(f"the distribution's {patch.name}\n")
    try:
        run_patch(patch, tree.path, "-", log)
    except CommandFailed as error:
        raise SourceError(
            f"the distribution's {patch.name} does not apply to {tree.path.name}\n{error.output}",
            hint="name it in source.packaging.left-out, or pin the revision that belongs to this version",
        ) from error
