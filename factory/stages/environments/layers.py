"""Layers of a root filesystem: made once, keyed by content, never changed afterwards."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path

from factory.errors import EnvironmentSetupError
from factory.model.artifacts import PackagePin
from factory.util.locks import held
from factory.util.log import LogSink, OpenStage
from factory.util.paths import short
from factory.util.scratch import discard


@dataclass(frozen=True, slots=True, kw_only=True)
class Layer:
    """A finished layer: its files below `tree`, and the exact packages that it brought."""

    key: str
    tree: Path
    packages: tuple[PackagePin, ...]

    @property
    def digest(self) -> str:
        """A hash over what was asked for and the exact versions that came."""
        return content_key({"key": self.key, "packages": [asdict(pin) for pin in self.packages]})


MakeLayer = Callable[[Path, LogSink], tuple[PackagePin, ...]]


def content_key(value: object) -> str:
    """The sha256 of a JSON value, in hexadecimal."""
    return hashlib.sha256(json.dumps(value, sort_keys=True).encode()).hexdigest()


def ensure_layer(layers: Path, kind: str, definition: object, make: MakeLayer, open_stage: OpenStage) -> Layer:
    """Return the layer for `definition`, making it by `make(tree, log)` when there is none yet.

    It's made in a folder of another name and renamed when complete, so a killed run leaves no half layer: the next
    run starts it again. Two processes that want the same layer take turns.
    """
    key = content_key([kind, definition])
    folder = layers / f"{kind}-{short(key)}"
    if not (folder / "layer.json").is_file():
        layers.mkdir(parents=True, exist_ok=True)
        with held(layers / f"{folder.name}.lock"):
            if not (folder / "layer.json").is_file():
                with open_stage(f"{kind} layer") as log:
                    _make(folder, key, make, log)
    return _load(folder, key)


def _make(folder: Path, key: str, make: MakeLayer, log: LogSink) -> None:
    partial = folder.with_name(folder.name + ".partial")
    discard(partial)
    tree = partial / "tree"
    tree.mkdir(parents=True)
    packages = make(tree, log)
    description = {"key": key, "packages": [asdict(pin) for pin in packages]}
    (partial / "layer.json").write_text(json.dumps(description, indent=1) + "\n")
    partial.rename(folder)


def _load(folder: Path, key: str) -> Layer:
    try:
        (folder / "layer.json").touch()  # the time of its last use
        description = json.loads((folder / "layer.json").read_text())
        packages = tuple(PackagePin(**pin) for pin in description["packages"])
    except (ValueError, KeyError, TypeError) as error:
        raise EnvironmentSetupError(
            f"the layer {folder} has a damaged layer.json: {error}", hint=f"remove it and run again: rm -rf {folder}"
        ) from error
    return Layer(key=key, tree=folder / "tree", packages=packages)
