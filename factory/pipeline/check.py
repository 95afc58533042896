"""How a package is run: installed from an index in a clean root, on emulated CPUs."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from factory.errors import CheckFailed
from factory.model.protocols import Sandbox
from factory.model.recipe import ModelPin, Recipe
from factory.model.record import CheckResult
from factory.pipeline.config import Factory
from factory.publish.check_index import write_trial_index
from factory.publish.server import serve
from factory.stages.checks import runner
from factory.stages.environments.base import BUILD_VENV, RootRequest
from factory.stages.sources import patches, registry
from factory.stages.sources.prepare import prepare
from factory.util.log import LogSink
from factory.util.scratch import discard


def check_wheel(
    wheel: Path,
    others: Sequence[Path],
    recipe: Recipe,
    folder: Path,
    profiles: Sequence[str],
    factory: Factory,
    log: LogSink,
) -> tuple[CheckResult, ...]:
    """Install the recipe's `wheel` from an index of it and `others`, and run its check on `profiles`: `run_check`."""
    index = trial_index(wheel, others, folder, factory, log)
    return run_check(recipe, index, folder / "work", profiles, factory, log)


def trial_index(wheel: Path, others: Sequence[Path], folder: Path, factory: Factory, log: LogSink) -> Path:
    """Write an index of the wheel, of `others` that it may need and of what else it needs; returns its folder."""
    index = folder / "index"
    write_trial_index(wheel, others, target=factory.target, mirror=factory.layout.mirror, out=index, log=log)
    return index


def stored_beside(wheel: Path, factory: Factory) -> list[Path]:
    """The wheels that may be published beside this one, which may need them."""
    return [other.path for other in factory.store.published_candidates() if other.path.name != wheel.name]


def run_check(
    recipe: Recipe, index: Path, work: Path, profiles: Sequence[str], factory: Factory, log: LogSink
) -> tuple[CheckResult, ...]:
    """Install a recipe's package from the index in the folder `index` in a clean root, and run its check there.

    Raises:
        CheckFailed: the package does not install, or a profile fails, or profiles disagree.
    """
    if recipe.check.script is None:
        raise CheckFailed(
            f"{recipe.label} has no check, and nothing is published that was not run",
            hint=f"write {recipe.directory / 'smoke.py'}; docs/add-a-recipe.md says what it reports",
        )
    model = _model(recipe, factory, log)
    with installed(recipe, index, work, factory, log) as sandbox:
        results = runner.run_profiles(sandbox, recipe, factory.target.python, model, profiles, log)
    for result in results:
        factory.reporter.line(f"{factory.label(recipe)}: {result.profile}: {result.shown}")
    runner.require_passed(recipe, results, factory.label(recipe), factory.options_for(recipe))
    return results


@contextmanager
def installed(recipe: Recipe, index: Path, work: Path, factory: Factory, log: LogSink) -> Iterator[Sandbox]:
    """A clean root in which a recipe's package is installed from the index in the folder `index`.

    Raises:
        CheckFailed: it does not install.
    """
    discard(work)
    with serve(index) as url, _check_sandbox(recipe, work, factory, log) as sandbox:
        ours = [project.name for project in (index / "simple").iterdir() if project.is_dir()]
        runner.install(sandbox, recipe, f"{url}/simple/", ours, log)
        yield sandbox


@contextmanager
def _check_sandbox(recipe: Recipe, work: Path, factory: Factory, log: LogSink) -> Iterator[Sandbox]:
    """The clean root; where the check compiles something, the one of the build, with its source in /build/src."""
    if not recipe.check.build_root:
        with factory.open_root(factory.check_root()).open(work, keep=factory.keep) as sandbox:
            yield sandbox
        return
    python = factory.target.python
    request = RootRequest(python=python, apt=recipe.build.apt, toolchain=factory.toolchain)
    with factory.open_root(factory.build_root(request)).open(work, keep=factory.keep) as sandbox:
        tree = registry.fetch(recipe.source, factory.layout.downloads, work / "source", log)
        prepare(recipe.source, patches.select(factory.checkout / "patches", recipe.source), tree, log)
        tree.path.rename(work / "src")
        sandbox.run([f"python{python}", "-m", "venv", BUILD_VENV], log=log)
        yield sandbox


def _model(recipe: Recipe, factory: Factory, log: LogSink) -> Path | None:
    pins = model_pins(recipe, factory)
    return registry.download_model(pins[0], factory.layout.downloads, log) if pins else None


def model_pins(recipe: Recipe, factory: Factory) -> list[ModelPin]:
    """The model of the recipe's check, where it has one."""
    return [] if recipe.check.model is None else [factory.model_pin(recipe.check.model)]
