"""What an exported file may hold: the areas of the cache folder, and what counts as one item in each."""

from __future__ import annotations

import enum
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from factory.util.paths import Layout


class Items(enum.Enum):
    """What is moved as a whole: a folder with everything in it, or each file by itself."""

    TREES = "trees"
    FILES = "files"


@dataclass(frozen=True, slots=True, kw_only=True)
class Area:
    """One folder of the cache.

    A tree has a name that ends with its key, and counts once it holds `mark`. Files that are `hashed` lie in a folder
    named by their sha256.
    """

    folder: Callable[[Layout], Path]
    items: Items = Items.FILES
    mark: str = ""
    hashed: bool = False


# In the order in which import puts them in place: a wheel is there before the record that names it.
AREAS: Mapping[str, Area] = {
    "downloads": Area(folder=lambda layout: layout.downloads, hashed=True),
    "layers": Area(folder=lambda layout: layout.layers, items=Items.TREES, mark="layer.json"),
    "mirror": Area(folder=lambda layout: layout.mirror),
    "metadata": Area(folder=lambda layout: layout.metadata),
    "ccache": Area(folder=lambda layout: layout.compiler_cache),
    "logs": Area(folder=lambda layout: layout.logs),
    "jobs": Area(folder=lambda layout: layout.jobs, items=Items.TREES, mark="steps"),
    "store/wheels": Area(folder=lambda layout: layout.store / "wheels", hashed=True),
    "store/records": Area(folder=lambda layout: layout.store / "records"),
}
# Large, and made or downloaded again where they are missing.
ON_REQUEST = ("downloads", "layers")
_UNFINISHED = (".lock", ".part", ".partial", ".source", ".tmp")


_TREE = re.compile(r"[a-z0-9][a-z0-9._-]*-[0-9a-f]{16}")


def is_tree(name: str) -> bool:
    """Whether a folder of that name is a layer or a job that can go on, and not one of a process that runs."""
    return _TREE.fullmatch(name) is not None


def is_file(name: str) -> bool:
    """Whether a file or folder of that name is worth moving: not a lock, nor something unfinished."""
    return not name.startswith(".") and name != "tmp" and not name.endswith(_UNFINISHED)


def area_of(name: str) -> str | None:
    """The area that a path below the cache folder lies in."""
    return next((area for area in AREAS if name.startswith(f"{area}/")), None)


def lock_of(tree: Path) -> Path:
    """The lock file that a process holds as long as it works on a layer or a job."""
    return tree.with_name(f"{tree.name}.lock")
