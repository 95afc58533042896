"""A package's metadata out of its source, which a plan needs before anything is built."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from factory.model.artifacts import SourceTree
from factory.model.job import ProjectMetadata
from factory.model.recipe import Recipe, SourcePin
from factory.pipeline.run import Run
from factory.stages.sources import registry
from factory.util.jsonio import load, save
from factory.util.locks import held
from factory.util.log import LogSink
from factory.util.scratch import discard


def describe(recipe: Recipe, run: Run) -> ProjectMetadata:
    """A recipe's metadata, out of its source, with what the recipe's build requires besides."""
    metadata = _source_metadata(recipe.source, recipe.label, run)
    return replace(metadata, build_requires=(*metadata.build_requires, *recipe.build.requires))


def _source_metadata(pin: SourcePin, label: str, run: Run) -> ProjectMetadata:
    """What the source says; kept by its hash, except where it is a folder that can be read as it is."""
    if pin.path is not None and pin.overlay is None:
        return registry.read_project_metadata(SourceTree(path=pin.path, sha256=""))
    path = run.layout.metadata / f"{registry.identity(pin)}.json"
    if not path.is_file():
        path.parent.mkdir(parents=True, exist_ok=True)
        waiting = f"{label}: waiting for another process that reads its metadata"
        with held(path.with_suffix(".lock"), lambda: run.reporter.line(waiting)):
            if not path.is_file():
                with run.stages(label)("metadata") as log:
                    save(path, _read_metadata(pin, path.with_suffix(".source"), run, log))
    return load(path, ProjectMetadata)


def _read_metadata(pin: SourcePin, scratch: Path, run: Run, log: LogSink) -> ProjectMetadata:
    discard(scratch)
    try:
        tree = registry.fetch(pin, run.layout.downloads, scratch, log)
        registry.lay_over(pin, tree, log)
        return registry.read_project_metadata(tree)
    finally:
        discard(scratch)
