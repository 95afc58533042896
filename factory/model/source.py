"""Pinned sources: the base class of all kinds, and overlays.

factory.stages.sources has a module for each kind.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Annotated, ClassVar

from packaging.version import Version

from factory.model.artifacts import BinaryPackage, SourceTree
from factory.model.declaration import INSIDE_SOURCE, SHA256, about
from factory.util.jsonio import Tagged
from factory.util.log import LogSink

# The tables of a recipe that hold a source: the package's own, and those of `source.parts`.
SOURCE_TABLE, PART_TABLE = "source", "part"


@dataclass(frozen=True, slots=True, kw_only=True)
class Overlay:
    """Folders of files that make a source into the project `project` of that version."""

    project: str
    version: str
    folders: tuple[Path, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Source(Tagged, ABC):
    """A pinned source.

    A subclass declares the keys of its kind in recipes, fetches it and knows its hash.

    `parts` maps folders of the source, as paths with slashes, to the further sources that are put there.
    """

    # Content keys hold sources as JSON text, in this order of keys; a subclass's further fields follow.
    json_order: ClassVar[tuple[str, ...]] = ("project", "version", "sha256", "path", "overlay", "parts")

    project: str = field(metadata=about("project whose source it is; one other than the package's needs an `overlay`"))
    version: str = field(metadata=about("version of that source; one other than the package's needs an `overlay`"))
    sha256: Annotated[str, SHA256] = field(metadata=about("sha256 of the archive"))
    overlay: Overlay | None = field(
        default=None,
        metadata=about(
            "folders of files that are copied over the patched source, the last one on top", tables=(SOURCE_TABLE,)
        ),
    )
    parts: Mapping[Annotated[str, INSIDE_SOURCE], Source] = field(
        default_factory=dict,
        metadata=about(
            "further sources, each with keys of its own, by the folder of this one that they become",
            tables=(SOURCE_TABLE,),
        ),
    )

    @abstractmethod
    def fetch(self, cache: Path, destination: Path, log: LogSink) -> SourceTree:
        """Put the source into a new folder in `destination`; `cache` keeps downloads.

        Parts and the overlay are not included. The folder's modification time is the source's date: that of its newest
        file. Later stages keep it, and repacked wheels get it. The result's `sha256` has 64 lowercase hexadecimal
        digits, also for a source that is not one archive; bills of materials state it.

        Raises:
            SourceError: it cannot be found or downloaded, differs from its pin, or is not safe to unpack.
        """

    def metadata_archive(self, cache: Path, log: LogSink) -> Path | None:
        """Return the archive with the source's top files as they are after `fetch`.

        None is returned where there is no such archive.

        Raises:
            SourceError: as for `fetch`.
        """
        return None

    def origin_warning(self) -> str:
        """Return a warning about the pinned file where it comes from, empty if there is none.

        Raises:
            SourceError: it is not there any more, or with other content than the pinned one; or its server does not
                answer.
        """
        return ""

    def content_sha256(self) -> str:
        """Return the hash of the source without its parts and overlay."""
        return self.sha256

    def bump_obstacle(self) -> str:
        """Return why newer versions cannot be looked up, empty if they can."""
        return f"not from the package index: its source is of the kind {self.kind}: bump it by hand"

    def newest(self, is_wanted: Callable[[Version], bool]) -> Source | None:
        """Return the source of the newest wanted version, None if there is none.

        Its `sha256` is empty where only a fetch tells it.

        Raises:
            SourceError: its server does not answer, or has such a version in another form only.
        """
        raise NotImplementedError

    def deciding(self) -> Source:
        """Return the source as content keys hold it: without what changes none of its files."""
        return replace(self, parts={folder: part.deciding() for folder, part in self.parts.items()})

    def build_variables(self, version: str) -> Mapping[str, str]:
        """Return environment variables that tell the build of a wheel what its source does not."""
        return {}

    @property
    def binary_package(self) -> BinaryPackage | None:
        """The distribution's binary package that the source is, if it is one."""
        return None
