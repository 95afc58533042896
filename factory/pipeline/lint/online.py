"""Lint with network: pins, patches and Debian packages against where they come from."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from contextlib import suppress
from dataclasses import dataclass, field, replace
from email.parser import BytesParser
from pathlib import Path

from factory.errors import PatchError, SourceError
from factory.model.distribution import DEFAULT_DISTRIBUTION
from factory.model.recipe import Recipe
from factory.model.source import SOURCE_TABLE, Source
from factory.model.target import PYTHONS
from factory.pipeline.lint.finding import Finding, RecipeText
from factory.recipes.document import KeyPath
from factory.stages.builders.cargo import needs_rust
from factory.stages.sources import patches
from factory.stages.sources.archive import read_top_files
from factory.stages.sources.debian_packages import package_names
from factory.stages.sources.fetch import fetch
from factory.stages.sources.identity import identity
from factory.stages.sources.metadata import PKG_INFO, PYPROJECT, read_without_fetch
from factory.util.log import LogSink
from factory.util.paths import Layout
from factory.util.scratch import own_folder

LICENCE_FIELDS = ("License-Expression", "License", "License-File")
LICENCE_FILES = tuple(f"{name}{suffix}" for name in ("LICENSE", "LICENCE", "COPYING") for suffix in ("", ".txt", ".md"))


@dataclass(frozen=True, slots=True, kw_only=True)
class OnlineLint:
    """Checks of recipes that need the network; a shared source is checked once."""

    layout: Layout
    patches: Path
    log: LogSink
    _patched: set[str] = field(default_factory=set)

    def check(self, recipes: Collection[Recipe]) -> Iterator[Finding]:
        """Iterate over the findings of recipes.

        Raises:
            SourceError: a server does not answer.
        """
        wanted = {package for recipe in recipes for package in recipe.build.apt}
        known = package_names(DEFAULT_DISTRIBUTION.suite) if wanted else frozenset[str]()
        for recipe in recipes:
            self.log.write(f"{recipe.label}\n")
            text = RecipeText.of(recipe)
            pins = list(_check_pins(text))
            yield from pins
            try:
                yield from self._check_source(text)
            except SourceError as error:
                if error.machines_fault:
                    raise
                if not pins:
                    yield text.finding((SOURCE_TABLE,), _one_line(error))
            for package in recipe.build.apt:
                if package.partition("=")[0] not in known:
                    message = f"{DEFAULT_DISTRIBUTION.name} has no package {package!r} for riscv64"
                    yield text.finding(("build", "apt"), message)

    def _check_source(self, text: RecipeText) -> Iterator[Finding]:
        """Iterate over what the source shows: no licence, dead options, patches that do not apply."""
        source = text.recipe.source
        archive = None if source.overlay else source.metadata_archive(self.layout.downloads, self.log)
        if archive is not None and not _has_licence(archive):
            yield text.finding((SOURCE_TABLE,), f"{archive.name} states no licence and has no file {LICENCE_FILES[0]}")
        yield from self._check_requirements(text)
        key = source.content_sha256() if source.overlay else identity(source)
        with suppress(PatchError):  # names and headers, which are found without network
            selected = patches.select(self.patches, source)
            if selected and key not in self._patched:
                self._patched.add(key)
                yield from self._check_patches(source, selected)

    def _check_requirements(self, text: RecipeText) -> Iterator[Finding]:
        """Iterate over options of the build that the source's own requirements make dead."""
        recipe = text.recipe
        metadata = read_without_fetch(recipe.source, self.layout.downloads, self.log)
        with suppress(PatchError):
            selected = patches.select(self.patches, recipe.source)
            if metadata is None or patches.touch_top_files(selected, (PYPROJECT,)):
                return
            for each in recipe.build.requires:
                if each in metadata.build_requires:
                    yield text.finding(("build", "requires"), f"{each!r} is required by the source already")
            without = replace(recipe, build=replace(recipe.build, rust=False))
            if recipe.build.rust and all(needs_rust(metadata, without, python) for python in PYTHONS):
                yield text.finding(("build", "rust"), "the source's build requirements show it already")

    def _check_patches(self, source: Source, selected: list[Path]) -> Iterator[Finding]:
        with own_folder(self.layout.scratch, "lint", source.project, keep=False) as scratch:
            tree = fetch(source, self.layout.downloads, scratch, self.log)
            for patch in selected:
                try:
                    patches.apply([patch], tree, self.log)
                except PatchError as error:
                    reason = " ".join(filter(None, (error.message.splitlines()[0], error.hint)))
                    yield Finding(file=patch, line=1, key="patch", message=reason)
                    return


def _check_pins(text: RecipeText) -> Iterator[Finding]:
    """Iterate over sources that are not where they come from, or differ there."""
    for path, source in _sources(text.recipe.source):
        try:
            warning = source.origin_warning()
        except SourceError as error:
            if error.machines_fault:
                raise
            warning = _one_line(error)
        if warning:
            yield text.finding((*path, "sha256"), warning)


def _one_line(error: SourceError) -> str:
    return " ".join(line.strip() for line in error.message.splitlines())


def _sources(source: Source) -> Iterator[tuple[KeyPath, Source]]:
    yield (SOURCE_TABLE,), source
    yield from (((SOURCE_TABLE, "parts", folder), part) for folder, part in source.parts.items())


def _has_licence(archive: Path) -> bool:
    """Report whether a source states its licence.

    True is returned for archives that only unpacking can read.
    """
    read = read_top_files(archive, (PKG_INFO, PYPROJECT, *LICENCE_FILES))
    if read is None or not read[1].keys().isdisjoint(LICENCE_FILES):
        return True
    core = BytesParser().parsebytes(read[1].get(PKG_INFO, b""), headersonly=True)
    stated = any(str(core.get(name, "")).strip() not in ("", "UNKNOWN") for name in LICENCE_FIELDS)
    return stated or any(str(each).startswith("License ::") for each in core.get_all("Classifier", ()))
