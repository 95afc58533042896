"""Source kind `git`: a commit of a repository, with its submodules if wanted."""

from __future__ import annotations

import hashlib
import shutil
import tempfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Annotated, ClassVar

from packaging.version import Version

from factory.errors import SourceError
from factory.host.git import Git
from factory.model.artifacts import SourceTree
from factory.model.declaration import SHA256, about
from factory.model.source import Source
from factory.stages.sources.addresses import COMMIT, REPOSITORY_ADDRESS, TAG
from factory.stages.sources.archive import unpack
from factory.stages.sources.git_archive import Commit, archive_of, origins_of
from factory.stages.sources.git_repository import Repository, tags_of
from factory.stages.sources.source_files import tree_sha256
from factory.stages.sources.versions import TagForm, scm_variables
from factory.util.log import LogSink


@dataclass(frozen=True, slots=True, kw_only=True)
class GitSource(Source):
    """The commit of a git repository, as `git archive` makes a tree of it."""

    kind: ClassVar[str] = "git"

    sha256: Annotated[str, SHA256] = field(
        default="", metadata=about("hash of the tree's files, for those who do not rely on git's own; a build logs it")
    )
    url: Annotated[str, REPOSITORY_ADDRESS] = field(metadata=about("address of the repository"))
    commit: Annotated[str, COMMIT] = field(metadata=about("the pinned commit, of 40 hexadecimal digits"))
    tag: Annotated[str, TAG] = field(
        default="",
        metadata=about("tag of the commit: files that `export-subst` applies to state it, and `factory bump` needs it"),
    )
    submodules: bool = field(
        default=False,
        metadata=about("`true` to fetch the submodules, and those of submodules, but for folders in `source.parts`"),
    )

    def fetch(self, cache: Path, destination: Path, log: LogSink) -> SourceTree:
        """Fetch the commit and unpack it: see `Source.fetch`.

        Raises:
            SourceError: the server does not deliver the commit, or it has another tree than the pinned one, files of
                Git LFS, or a member or submodule that is not safe.
        """
        pin = self._pin()
        archive = archive_of(pin, cache, log)
        final = destination / f"{self.project}-{self.version}"
        shutil.rmtree(final, ignore_errors=True)
        tree = unpack(archive, destination).rename(final)
        sha256 = tree_sha256(tree, all_files=True)
        log.write(f"unpacked commit {self.commit}, sha256 of its tree {sha256}\n")
        self._require(sha256)
        return SourceTree(path=tree, sha256=sha256, origins=origins_of(pin, archive))

    def metadata_archive(self, cache: Path, log: LogSink) -> Path:
        """Return the commit's archive: see `Source.metadata_archive`."""
        return archive_of(self._pin(), cache, log)

    def content_sha256(self) -> str:
        """Return a hash of the pins."""
        return hashlib.sha256(f"git {self._pin().digest}".encode()).hexdigest()

    def deciding(self) -> Source:
        """Return the source without its address, since the commit decides: see `Source.deciding`."""
        parts = {folder: part.deciding() for folder, part in self.parts.items()}
        return replace(self, url="", sha256="", parts=parts)

    def build_variables(self, version: str) -> Mapping[str, str]:
        """Return the variables with the version, since the tree has no history."""
        return scm_variables(version)

    def origin_warning(self) -> str:
        """Ask the server for the tag, or without one for the commit: see `Source.origin_warning`."""
        with tempfile.TemporaryDirectory() as folder:
            git = Git(folder=Path(folder, "git"))
            if not self.tag:
                self._repository(git).fetch(only_commit=True)
                return ""
            found = tags_of(self.url, git).get(self.tag)
        if found == self.commit:
            return ""
        state = f"is commit {found} there" if found else "is not there"
        return f"tag {self.tag} of {self.url} {state}, the recipe pins commit {self.commit}"

    def bump_obstacle(self) -> str:
        """Return why no newer tag can be told: see `Source.bump_obstacle`."""
        if not self.tag:
            return f"its commit of {self.url} has no source.tag, by which newer versions are found: bump it by hand"
        if TagForm.of(self.tag, self.version) is None:
            return f"its tag {self.tag} does not end with the version, so newer tags cannot be told: bump it by hand"
        return ""

    def newest(self, is_wanted: Callable[[Version], bool]) -> Source | None:
        """Return the source of the newest wanted tag: see `Source.newest`."""
        form = TagForm.of(self.tag, self.version)
        assert form is not None, "there is no obstacle"
        with tempfile.TemporaryDirectory() as folder:
            tags = tags_of(self.url, Git(folder=Path(folder, "git")))
        usable = [tag for tag in tags if TAG.holds(tag)]
        found = [(version, tag) for tag in usable if (version := form.version_of(tag)) and is_wanted(version)]
        if not found:
            return None
        version, tag = max(found)
        return replace(self, version=str(version), tag=tag, commit=tags[tag], sha256="")

    def _pin(self) -> Commit:
        return Commit(
            subject=f"{self.project} {self.version}",
            url=self.url,
            commit=self.commit,
            tag=self.tag,
            submodules=self.submodules,
            replaced=tuple(self.parts),
        )

    def _repository(self, git: Git) -> Repository:
        subject = f"{self.project} {self.version}"
        return Repository(git=git, folder=git.folder / "0", url=self.url, commit=self.commit, subject=subject)

    def _require(self, sha256: str) -> None:
        if self.sha256 and self.sha256 != sha256:
            raise SourceError(
                f"{self.project} {self.version}: commit {self.commit} has another tree than the one pinned\n"
                f"  pinned sha256: {self.sha256}\n  found sha256:  {sha256}",
                hint="correct source.sha256, if the commit, the tag and the submodules are the right ones",
            )
