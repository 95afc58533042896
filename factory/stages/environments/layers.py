"""Layers of root filesystems: made once, named by content key, never changed."""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from functools import cached_property
from pathlib import Path
from statistics import median

from factory.errors import EnvironmentSetupError, FactoryError
from factory.model.artifacts import PackagePin
from factory.util.atomic_files import sync, sync_trees
from factory.util.full_disk import MESSAGES, describe_full_disk, file_system
from factory.util.locks import held, use
from factory.util.log import LogSink, OpenStage
from factory.util.paths import CACHE_VARIABLE, Layout, short
from factory.util.scratch import discard


@dataclass(frozen=True, kw_only=True)
class Layer:
    """A finished layer: its files below `tree`, and the exact packages that it adds."""

    key: str
    tree: Path
    packages: tuple[PackagePin, ...]

    @cached_property
    def digest(self) -> str:
        """The hash of the layer's definition and exact package versions."""
        return content_key({"key": self.key, "packages": [asdict(pin) for pin in self.packages]})


MakeLayer = Callable[[Path, LogSink], tuple[PackagePin, ...]]


def content_key(value: object) -> str:
    """Return the sha256 of a JSON value, in hexadecimal."""
    return hashlib.sha256(json.dumps(value, sort_keys=True).encode()).hexdigest()


@dataclass(frozen=True, slots=True, kw_only=True)
class LayerStore:
    """The layers of one cache folder, and the log of those that are made."""

    layout: Layout
    open_stage: OpenStage

    def ensure(self, kind: str, definition: object, make: MakeLayer, of: str = "") -> Layer:
        """Return the layer of a definition; make it with `make` if it is missing.

        Progress and log name its content, `of`, where a root has several layers of a kind.

        A layer is made in a temporary folder and renamed when complete, so an interrupted run leaves no partial layer.
        Processes that need the same layer take turns. It is in use until this process ends, and not removed before.
        """
        key = content_key([kind, definition])
        folder = self.layout.layers / f"{kind}-{short(key)}"
        while not use(folder / "layer.json"):
            folder.parent.mkdir(parents=True, exist_ok=True)
            with held(folder.with_name(f"{folder.name}.lock")):
                if not (folder / "layer.json").is_file():
                    with self.open_stage(f"{kind} layer{f' of {of}' if of else ''}") as log:
                        _make(folder, key, make, log)
        return _load(folder, key)

    def usual_seconds(self, kind: str) -> float:
        """Return the median of the seconds that layers of a kind took to make, 0 if unknown."""
        known = [_seconds(file) for file in self.layout.layers.glob(f"{kind}-*/layer.json")]
        return median([seconds for seconds in known if seconds] or [0.0])


def _seconds(file: Path) -> float:
    """Return the seconds that a layer took to make, 0 if they are not known."""
    try:
        return float(json.loads(file.read_text()).get("seconds", 0.0))
    except (OSError, ValueError, AttributeError, TypeError):
        return 0.0


def _make(folder: Path, key: str, make: MakeLayer, log: LogSink) -> None:
    partial = folder.with_name(folder.name + ".partial")
    discard(partial)
    tree = partial / "tree"
    tree.mkdir(parents=True)
    started = time.monotonic()
    with _removed_on_failure(partial):
        packages = make(tree, log)
    seconds = round(time.monotonic() - started, 1)
    description = {"key": key, "packages": [asdict(pin) for pin in packages], "seconds": seconds}
    (partial / "layer.json").write_text(json.dumps(description, indent=1) + "\n")
    sync_trees(partial)
    partial.rename(folder)
    sync(folder.parent)


@contextmanager
def _removed_on_failure(partial: Path) -> Iterator[None]:
    """Remove a layer that could not be made, since nobody resumes from it.

    Raises:
        EnvironmentSetupError: the disk is full; it is named before the removal.
    """
    try:
        yield
    except (FactoryError, OSError) as error:
        full = _full_disk(error, partial)
        discard(partial)
        if full is None:
            raise
        raise full from error


def _full_disk(error: FactoryError | OSError, partial: Path) -> FactoryError | None:
    """Return the error of a full disk, which a program or the log met; None if it is another."""
    message = error.message if isinstance(error, FactoryError) else describe_full_disk(error, partial)
    if MESSAGES.search(message) is None:
        return None
    hint = f"the disk is full: {file_system(partial)}: make room, or set {CACHE_VARIABLE} to a folder on another one"
    return EnvironmentSetupError(message, hint=hint, machines_fault=True)


def _load(folder: Path, key: str) -> Layer:
    try:
        (folder / "layer.json").touch()  # prune reads the time of last use
        description = json.loads((folder / "layer.json").read_text())
        packages = tuple(PackagePin(**pin) for pin in description["packages"])
    except (ValueError, KeyError, TypeError) as error:
        raise EnvironmentSetupError(
            f"{folder}: damaged layer.json: {error}", hint=f"remove it and run again: rm -rf {folder}"
        ) from error
    return Layer(key=key, tree=folder / "tree", packages=packages)
