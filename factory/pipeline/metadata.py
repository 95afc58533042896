"""Metadata of a package's source, which a plan needs before anything is built."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from factory.model.artifacts import SourceTree
from factory.model.job import ProjectMetadata
from factory.model.recipe import Recipe
from factory.model.source import Source
from factory.pipeline.run import Run
from factory.stages.sources.fetch import fetch
from factory.stages.sources.identity import identity
from factory.stages.sources.local import LocalSource
from factory.stages.sources.metadata import read_project_metadata, read_without_fetch
from factory.stages.sources.prepare import lay_over
from factory.util.jsonio import load, save
from factory.util.locks import held
from factory.util.log import LogSink
from factory.util.scratch import discard


def describe(recipe: Recipe, run: Run) -> ProjectMetadata:
    """Return a recipe's metadata, with the build requirements that the recipe adds."""
    metadata = _source_metadata(recipe.source, recipe.label, run)
    return replace(metadata, build_requires=(*metadata.build_requires, *recipe.build.requires))


def _source_metadata(source: Source, label: str, run: Run) -> ProjectMetadata:
    """Return a source's metadata, cached by its hash.

    Local folders without an overlay are read directly.
    """
    if isinstance(source, LocalSource) and source.overlay is None:
        return read_project_metadata(SourceTree(path=source.path, sha256=""))
    path = run.layout.metadata / f"{identity(source)}.json"
    if not path.is_file():
        path.parent.mkdir(parents=True, exist_ok=True)
        waiting = f"{label}: waiting for another process that reads its metadata"
        with held(path.with_suffix(".lock"), lambda: run.reporter.line(waiting)):
            if not path.is_file():
                with run.stages(label)("metadata") as log:
                    save(path, _read_metadata(source, path.with_suffix(".source"), run, log))
    return load(path, ProjectMetadata)


def _read_metadata(source: Source, scratch: Path, run: Run, log: LogSink) -> ProjectMetadata:
    """Read the metadata; unpack the source only if its overlay and archive lack it."""
    metadata = read_without_fetch(source, run.layout.downloads, log)
    if metadata is not None:
        return metadata
    discard(scratch)
    try:
        tree = fetch(source, run.layout.downloads, scratch, log)
        lay_over(source, tree, log)
        return read_project_metadata(tree)
    finally:
        discard(scratch)
