"""Areas of the cache folder that an exported file may hold, and their items."""

from __future__ import annotations

import enum
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from factory.util.paths import Layout

# Without setuid and setgid: files of builds are strangers'. Those of layers are Debian's.
NO_SETUID = 0o1777


class Items(enum.Enum):
    """The unit that is moved: a folder with everything in it, or a single file."""

    TREES = "trees"
    FILES = "files"


@dataclass(frozen=True, slots=True, kw_only=True)
class Area:
    """A folder of the cache.

    A tree's name ends with its key; the tree is complete if it contains `mark`. Files of a `hashed` area are in folders
    named by their sha256. `rights` are the bits of modes that the area's files keep. Files of a `dated` area are
    failures: the newer one replaces the older one of the same name.
    """

    folder: Callable[[Layout], Path]
    items: Items = Items.FILES
    mark: str = ""
    hashed: bool = False
    dated: bool = False
    rights: int = NO_SETUID


# In the order of import: a wheel is in place before the record that names it.
AREAS: Mapping[str, Area] = {
    "downloads": Area(folder=lambda layout: layout.downloads, hashed=True),
    "layers": Area(folder=lambda layout: layout.layers, items=Items.TREES, mark="layer.json", rights=0o7777),
    "mirror": Area(folder=lambda layout: layout.mirror),
    "metadata": Area(folder=lambda layout: layout.metadata),
    "ccache": Area(folder=lambda layout: layout.compiler_caches),
    "logs": Area(folder=lambda layout: layout.logs),
    "jobs": Area(folder=lambda layout: layout.jobs, items=Items.TREES, mark="steps"),
    "store/wheels": Area(folder=lambda layout: layout.store / "wheels", hashed=True),
    "store/records": Area(folder=lambda layout: layout.store / "records"),
    "store/failures": Area(folder=lambda layout: layout.store / "failures", dated=True),
}
# Large areas, which are made or downloaded again if they are missing.
ON_REQUEST = ("downloads", "layers")
# What publishing reads: nothing that is executed.
RESULTS = ("logs", "store/wheels", "store/records", "store/failures")
_UNFINISHED = (".lock", ".part", ".partial", ".source", ".tmp")


_TREE = re.compile(r"[a-z0-9][a-z0-9._-]*-[0-9a-f]{16}")


def is_tree(name: str) -> bool:
    """Return whether a name is that of a layer or a job, not of a running process's folder."""
    return _TREE.fullmatch(name) is not None


def is_file(name: str) -> bool:
    """Return whether a name is neither that of a lock nor of an unfinished file."""
    return not name.startswith(".") and name != "tmp" and not name.endswith(_UNFINISHED)


def area_of(name: str) -> str | None:
    """Return the area of a path below the cache folder."""
    return next((area for area in AREAS if name.startswith(f"{area}/")), None)


def lock_of(tree: Path) -> Path:
    """Return the lock file that a process holds while it works on a layer or a job."""
    return tree.with_name(f"{tree.name}.lock")
