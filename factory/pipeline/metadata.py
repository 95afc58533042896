"""Metadata of a package's source, which a plan needs before anything is built."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

from factory.errors import PatchError
from factory.model.artifacts import SourceTree
from factory.model.job import ProjectMetadata
from factory.model.recipe import Recipe
from factory.model.replaced_requirements import replace_requirements
from factory.model.source import Source
from factory.pipeline.run import Run
from factory.stages.sources import patches
from factory.stages.sources.fetch import fetch
from factory.stages.sources.identity import identity
from factory.stages.sources.local import LocalSource
from factory.stages.sources.metadata import PKG_INFO, PYPROJECT, SETUP, read_project_metadata, read_without_fetch
from factory.stages.sources.prepare import lay_over, read_patched
from factory.util.jsonio import load, save
from factory.util.locks import held
from factory.util.log import LogSink
from factory.util.scratch import discard

METADATA_FILES = (PKG_INFO, PYPROJECT, SETUP)


def describe(recipe: Recipe, run: Run) -> ProjectMetadata:
    """Return a recipe's metadata, with its added and replaced build requirements."""
    source = recipe.source
    selected = patches.select(run.recipes.patches, source)
    if source.overlay is None and patches.touch_top_files(selected, METADATA_FILES):
        metadata = _patched_metadata(source, selected, recipe.label, run)
    else:
        metadata = describe_source(source, recipe.label, run)
    requires = replace_requirements(metadata.build_requires, recipe.build.replaced_requires)
    return replace(metadata, build_requires=(*requires, *recipe.build.requires))


def _patched_metadata(source: Source, selected: Sequence[Path], label: str, run: Run) -> ProjectMetadata:
    """Return the metadata of a source whose patches change it, cached by the hash of both.

    A patch that does not apply changes nothing here: the job's own stage reports it.
    """

    def read(scratch: Path, log: LogSink) -> ProjectMetadata:
        try:
            return read_patched(source, selected, fetch(source, run.layout.downloads, scratch, log), log)
        except PatchError:
            discard(scratch)
            return read_project_metadata(fetch(source, run.layout.downloads, scratch, log))

    digest = hashlib.sha256(identity(source).encode())
    for patch in selected:
        digest.update(hashlib.sha256(patch.read_bytes()).digest())
    return _cached(digest.hexdigest(), read, label, run)


def describe_source(source: Source, label: str, run: Run) -> ProjectMetadata:
    """Return a source's metadata without its patches, cached by its hash.

    Local folders without an overlay are read directly.
    """
    if isinstance(source, LocalSource) and source.overlay is None:
        return read_project_metadata(SourceTree(path=source.path, sha256=""))
    return _cached(identity(source), lambda scratch, log: _read_metadata(source, scratch, run, log), label, run)


def _cached(key: str, read: Callable[[Path, LogSink], ProjectMetadata], label: str, run: Run) -> ProjectMetadata:
    """Return the cached metadata with that key, or read it from the source."""
    path = run.layout.metadata / f"{key}.json"
    if not path.is_file():
        path.parent.mkdir(parents=True, exist_ok=True)
        waiting = f"{label}: waiting for another process that reads its metadata"
        with held(path.with_suffix(".lock"), lambda: run.reporter.line(waiting)):
            if not path.is_file():
                with run.stages(label, brief=True)("metadata") as log:
                    scratch = path.with_suffix(".source")
                    discard(scratch)
                    try:
                        save(path, read(scratch, log))
                    finally:
                        discard(scratch)
    return load(path, ProjectMetadata)


def _read_metadata(source: Source, scratch: Path, run: Run, log: LogSink) -> ProjectMetadata:
    """Read the metadata; unpack the source only if its overlay and archive lack it."""
    metadata = read_without_fetch(source, run.layout.downloads, log)
    if metadata is not None:
        return metadata
    tree = fetch(source, run.layout.downloads, scratch, log)
    lay_over(source, tree, log)
    return read_project_metadata(tree)
