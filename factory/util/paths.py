"""Where everything the factory keeps lies: one cache folder, one property a kind of thing."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

import platformdirs

CACHE_VARIABLE = "FACTORY_CACHE"
SHORT_KEY = 16


@dataclass(frozen=True, slots=True)
class Layout:
    """The folders below one cache root. None of them is made before something is written there."""

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
        """A folder for each job in progress: its tree and its finished steps."""
        return self.root / "jobs"

    @property
    def metadata(self) -> Path:
        """What sources say of themselves, by the sources' sha256."""
        return self.root / "metadata"

    @property
    def logs(self) -> Path:
        """The whole log of every stage: by package, those of a build in a folder that is named by its content key."""
        return self.root / "logs"

    @property
    def mirror(self) -> Path:
        """Other projects' wheels that ours need at run time."""
        return self.root / "mirror"

    @property
    def store(self) -> Path:
        """Finished wheels and their build records."""
        return self.root / "store"

    @property
    def benchmarks(self) -> Path:
        """What `factory bench` measured and need not measure again, by benchmark."""
        return self.root / "benchmarks"

    @property
    def compiler_cache(self) -> Path:
        """ccache's own folder."""
        return self.root / "ccache"

    @property
    def package_cache(self) -> Path:
        """uv's and pip's own caches, shared by all environments."""
        return self.root / "packages"


def short(key: str) -> str:
    """A content key as names of folders have it: what comes first of its hexadecimal digits."""
    return key[:SHORT_KEY]


def default_layout() -> Layout:
    """The layout at $FACTORY_CACHE, else in the user's cache folder."""
    configured = os.environ.get(CACHE_VARIABLE)
    return Layout(
        Path(configured).absolute() if configured else Path(platformdirs.user_cache_dir("riscv64-wheel-factory"))
    )


def checkout() -> Path:
    """The folder that holds recipes/ and patches/: the current folder or the nearest one above it that does."""
    here = Path.cwd()
    for folder in (here, *here.parents):
        if (folder / "recipes").is_dir():
            return folder
    return Path(__file__).resolve().parent.parent.parent
