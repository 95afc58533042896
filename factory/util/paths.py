"""Paths of the factory's files: one cache folder with a folder for each kind of file."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

import platformdirs

from factory.errors import StoreError

CACHE_VARIABLE = "FACTORY_CACHE"
SHORT_KEY = 16


@dataclass(frozen=True, slots=True)
class Layout:
    """The folders of a cache. They are made when something is written there."""

    root: Path

    @property
    def downloads(self) -> Path:
        """Fetched archives, by sha256."""
        return self.root / "downloads"

    @property
    def layers(self) -> Path:
        """Root filesystems and the layers above them, by content key."""
        return self.root / "layers"

    @property
    def jobs(self) -> Path:
        """A folder for each job in progress: its build tree and finished steps."""
        return self.root / "jobs"

    @property
    def scratch(self) -> Path:
        """A folder for each running check, benchmark and rebuild."""
        return self.root / "scratch"

    @property
    def metadata(self) -> Path:
        """Metadata of sources, by the sources' sha256."""
        return self.root / "metadata"

    @property
    def logs(self) -> Path:
        """The complete log of every stage, by package.

        Logs of a build are in a folder named by its content key.
        """
        return self.root / "logs"

    @property
    def mirror(self) -> Path:
        """Other projects' wheels that wheels built here need at run time."""
        return self.root / "mirror"

    @property
    def store(self) -> Path:
        """Finished wheels and their build records."""
        return self.root / "store"

    @property
    def benchmarks(self) -> Path:
        """Results of `factory bench`, reused by later runs, by benchmark."""
        return self.root / "benchmarks"

    @property
    def compiler_caches(self) -> Path:
        """The folder of ccache for each recipe."""
        return self.root / "ccache"

    @property
    def package_caches(self) -> Path:
        """The caches of uv, pip and cargo for each recipe, shared by all environments."""
        return self.root / "packages"


def make_private(folder: Path) -> None:
    """Make a folder that other users cannot enter: builds may write root's programs there."""
    folder.mkdir(parents=True, exist_ok=True)
    folder.chmod(0o700)


def short(key: str) -> str:
    """Shorten a content key to its first digits, as folder names have it."""
    return key[:SHORT_KEY]


def shown_path(path: Path) -> Path:
    """Return a path as people write it in the current folder."""
    path = path.resolve()
    return path.relative_to(Path.cwd()) if path.is_relative_to(Path.cwd()) else path


def require_folder(cache: Path) -> None:
    """Require that the cache's folder is one, or can be made.

    Raises:
        StoreError: it is a file, or below one.
    """
    first = next(path for path in (cache, *cache.parents) if os.path.lexists(path))
    if not first.is_dir():
        raise StoreError(f"{first}: not a folder, for the cache", hint=f"set {CACHE_VARIABLE} to a folder")


def default_layout() -> Layout:
    """Return the layout at $FACTORY_CACHE, else in the user's cache folder."""
    configured = os.environ.get(CACHE_VARIABLE)
    return Layout(
        Path(configured).absolute() if configured else Path(platformdirs.user_cache_dir("riscv64-wheel-factory"))
    )
