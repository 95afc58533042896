"""Proposals of recipes for projects of the package index, and their trial builds."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from factory.errors import CheckFailed, FactoryError, RecipeChange, RecipeError, SourceError
from factory.model.job import ProjectMetadata
from factory.model.markers import requirements_for
from factory.model.record import BuildRecord
from factory.pipeline.build import build
from factory.pipeline.check import PackageCheck, stored_needs
from factory.pipeline.run import Run
from factory.pipeline.unstored import copy_newest_wheel
from factory.recipes.loader import load_recipe
from factory.recipes.proposal.examples import find_examples
from factory.recipes.proposal.excerpts import find_excerpts
from factory.recipes.proposal.libraries import AskedLibrary, asked_libraries
from factory.recipes.proposal.modules import compiled_names, extension_modules, top_level_modules
from factory.recipes.proposal.proposal import Proposal
from factory.stages.builders.cargo import MANIFEST, RUST_BACKENDS
from factory.stages.environments.base import RootRequest
from factory.stages.environments.debian.contents import Contents
from factory.stages.environments.debian.layers import DebianLayers
from factory.stages.sources.compiled import languages
from factory.stages.sources.identity import require_identity
from factory.stages.sources.metadata import PKG_INFO, SETUP, read_project_metadata
from factory.stages.sources.pypi import PypiSource
from factory.util.debian_names import package_of_header, package_of_library, package_of_program
from factory.util.scratch import own_folder

# Of a trial: each build and check changes something, so more do not help.
MAX_ATTEMPTS = 8
# Excerpts that a survey tries.
MAX_EXCERPTS = 40


@dataclass(frozen=True, slots=True, kw_only=True)
class NewRecipe:
    """A proposal, with what was found in the source: backend, languages, licence, libraries."""

    proposal: Proposal
    backend: str
    languages: tuple[str, ...]
    licence: str
    needed: Sequence[tuple[AskedLibrary, str]]
    riscv64_wheels: int


def propose(project: str, version: str | None, run: Run) -> NewRecipe:
    """Read the sdist of a project, of a version or the newest, and propose a recipe.

    Raises:
        RecipeError: the project has a recipe.
        SourceError: there is no such sdist, it is unsafe to unpack, of another project, or has nothing to compile.
    """
    # Imported here because pypi-simple takes half a second.
    from factory.stages.sources.find_sdist import find_sdist

    name = canonicalize_name(project)
    _require_new(name, run)
    sdist = find_sdist(name, version)
    label = f"{name} {sdist.version}"
    with own_folder(run.layout.scratch, "new", name, keep=run.keep) as folder:
        with run.stages(label)("source") as log:
            source = PypiSource(project=name, version=sdist.version, sha256=sdist.sha256)
            tree = source.fetch(run.layout.downloads, folder, log)
        metadata = read_project_metadata(tree)
        require_identity(source, metadata)
        spoken = languages(tree)
        if sdist.is_pure or not (spoken or sdist.wheels):
            raise SourceError(
                f"{label}: pure Python: it has nothing to compile",
                hint="it needs no recipe: pip installs its wheel on every machine",
            )
        asked = [each for each in asked_libraries(tree.path) if not each.optional]
        needed = _debian_packages(asked, metadata, run)
        installed = {each.name for each in requirements_for(metadata.dependencies, run.config.target.python)}
        proposal = _proposal(name, sdist.version, sdist.sha256, tree.path, installed)
        licence = metadata.license_line or _classified_licence(tree.path)
        rust = _calls_cargo(tree.path) and RUST_BACKENDS.isdisjoint(_projects(metadata.build_requires))
    return NewRecipe(
        proposal=replace(proposal, apt=tuple(sorted({package for _, package in needed})), rust=rust),
        backend=metadata.build_backend,
        languages=spoken,
        licence=licence,
        needed=needed,
        riscv64_wheels=sum("riscv64" in wheel for wheel in sdist.wheels),
    )


def _require_new(name: str, run: Run) -> None:
    taken = run.recipes.by_name.get(name)
    folder = run.recipes.folder / "recipes" / name
    if taken is not None:
        raise RecipeError(f"{taken.directory}: {name} has a recipe", hint=f"run: factory build {taken.name}")
    if folder.exists():
        raise RecipeError(f"{folder}: exists, without a recipe", hint="remove it, or write its recipe.toml")


def _proposal(name: str, version: str, sha256: str, root: Path, installed: Iterable[str]) -> Proposal:
    """Return the proposal for a source; `installed` are the projects it needs."""
    modules = top_level_modules(root, name)
    imported = {canonicalize_name(each).replace("-", "_") for each in installed}
    tests = find_excerpts(root, modules, imported, compiled_names(root))
    return Proposal(
        name=name,
        version=version,
        sha256=sha256,
        modules=modules,
        extensions=extension_modules(root),
        excerpts=(*tests[:MAX_EXCERPTS], *find_examples(root, modules)),
    )


def _calls_cargo(root: Path) -> bool:
    """Report whether a build calls cargo: a crate is at the top, or setup.py names it."""
    setup = root / SETUP
    return (root / MANIFEST).is_file() or (setup.is_file() and "cargo" in setup.read_text(errors="replace").lower())


def _classified_licence(root: Path) -> str:
    """Return the licences of a source's classifiers, where its field of the licence is empty."""
    core = root / PKG_INFO
    lines = core.read_text(encoding="utf-8", errors="replace").splitlines() if core.is_file() else []
    return ", ".join(line.rpartition(" :: ")[2] for line in lines if line.startswith("Classifier: License :: "))


def _projects(requirements: Iterable[str]) -> set[str]:
    return {canonicalize_name(Requirement(text).name) for text in requirements}


def _debian_packages(
    asked: Sequence[AskedLibrary], metadata: ProjectMetadata, run: Run
) -> list[tuple[AskedLibrary, str]]:
    """Return what a build asks for, with Debian's packages, beyond every build root."""
    installed = _projects(metadata.build_requires)
    wanted = [each for each in asked if canonicalize_name(each.name) not in installed]
    if not wanted:
        return []
    contents = contents_of(run)
    root = run.roots.build_root(RootRequest(python=run.config.target.python))
    present = {pin.name for layer in root.layers for pin in layer.packages}
    found = ((each, find_package(contents, each.kind, each.name)) for each in wanted)
    return [(each, package) for each, package in found if package and package not in present]


def contents_of(run: Run) -> Contents:
    """Return the index of Debian's files, fetched once."""
    return DebianLayers(run.roots.store).contents()


def find_package(contents: Contents, kind: str, name: str) -> str | None:
    """Return Debian's package of a file; our names decide between several."""
    known = {"header": package_of_header, "program": package_of_program}.get(kind, package_of_library)
    return contents.package_of(kind, name, preferred=known(name))


def try_recipe(
    proposal: Proposal, folder: Path, pythons: Sequence[str], make_run: Callable[[], Run], show: Callable[[str], None]
) -> tuple[Proposal, list[BuildRecord]]:
    """Build a proposal, and change it as known failures suggest; show each change.

    Raises:
        FactoryError: the failure that no known change avoids.
    """
    surveyed = False
    for _ in range(MAX_ATTEMPTS):
        run = make_run()
        try:
            return proposal, build([proposal.name], pythons, run)
        except CheckFailed:
            if surveyed or not proposal.excerpts:
                raise
            surveyed = True
            better = _surveyed(proposal, folder, run.with_config(run.config.for_python(pythons[0])))
            better.write(folder)
            if not better.tests:
                raise
            show(f"change: smoke.py: {', '.join(better.tests)} of {better.excerpts[0].file}, which call compiled code")
        except FactoryError as error:
            better = changed(proposal, error.changes, run, show)
            if better == proposal:
                raise
            better.write(folder)
        proposal = better
    return proposal, build([proposal.name], pythons, make_run())


def changed(proposal: Proposal, changes: Sequence[RecipeChange], run: Run, show: Callable[[str], None]) -> Proposal:
    """Return the proposal with the changes that a failure suggests.

    Debian's index of files has the last word on packages.
    """
    for change in changes:
        if change.kind:
            package = find_package(contents_of(run), change.kind, change.name)
            change = replace(change, value=package or change.value)
        better = proposal.with_change(change)
        if better != proposal:
            reason = f" (has the {change.kind} {change.name})" if change.kind else ""
            show(f"change: {change.key}: {change.value.format(version=proposal.version)}{reason}")
        proposal = better
    return proposal


def _surveyed(proposal: Proposal, folder: Path, run: Run) -> Proposal:
    """Return the proposal with the tests that pass and call compiled code.

    They are run with the wheel of the failed build.

    Raises:
        CheckFailed: the wheel is not installable, or its code spoiled the survey's result.
    """
    recipe = load_recipe(folder, run.recipes.kinds)
    run = run.with_config(run.config.for_python(run.config.target.python, recipe.toolchain))
    open_stage = run.stages(run.config.label(recipe))
    with own_folder(run.layout.scratch, "survey", recipe.name, keep=run.keep) as own, open_stage("survey") as log:
        own.mkdir(parents=True, exist_ok=True)
        (own / "survey.py").write_text(proposal.survey_text(), encoding="utf-8")
        check = PackageCheck(recipe=replace(recipe, check=replace(recipe.check, script=own / "survey.py")), run=run)
        wheel = copy_newest_wheel(recipe, run, own / "wheel")
        (result,) = check.check_wheel(wheel, stored_needs(recipe, run), own, check.profiles[:1], log)
    return proposal.with_good_tests(good_tests(result.facts, proposal))


def good_tests(facts: Mapping[str, object], proposal: Proposal) -> list[list[str]]:
    """Return the good tests of each excerpt, as a survey reports them.

    The package's code could have written anything.

    Raises:
        CheckFailed: it is no such report.
    """
    try:
        found: Any = facts["facts"]
        return [
            [name for name in excerpt.calls if name in names]
            for excerpt, names in zip(proposal.excerpts, found["good"], strict=True)
        ]
    except (LookupError, TypeError, ValueError) as error:
        raise CheckFailed(
            f"{proposal.name} {proposal.version}: the survey of its tests left no usable result: {error!r}",
            hint="write smoke.py by hand",
        ) from error
