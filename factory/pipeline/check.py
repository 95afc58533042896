"""Package checks: install a wheel in a clean root and run its recipe's script."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from factory.errors import CheckFailed, RecipeError
from factory.model.protocols import Command, CopiedRoot
from factory.model.recipe import Recipe
from factory.model.record import CheckResult
from factory.pipeline.illegal_instruction import describe
from factory.pipeline.metadata import describe as describe_recipe
from factory.pipeline.own_qemu import with_own_qemu
from factory.pipeline.plan import plan
from factory.pipeline.profiles import ProfileCopies
from factory.pipeline.run import Run
from factory.publish.resolver import Unresolvable
from factory.publish.server import serve
from factory.publish.trial_index import write_trial_index
from factory.publish.wheel_filename import parse_filename
from factory.stages.checks import installation, runner
from factory.stages.checks.compare_outputs import require_passed
from factory.stages.checks.faults import Fault
from factory.stages.environments.base import OpenedCopiedRoot, OpenedRoot, RootRequest
from factory.stages.environments.variables import BUILD_VENV
from factory.stages.sources import patches
from factory.stages.sources.fetch import fetch
from factory.stages.sources.models import download_model
from factory.stages.sources.prepare import prepare
from factory.util.log import LogSink
from factory.util.scratch import discard


def stored_needs(recipe: Recipe, run: Run) -> list[Path]:
    """Return the newest stored wheels that the package and its check need at run time.

    `recipe` may have its suite in the place of the check.

    Raises:
        StoreError: one is not built.
    """
    python = run.config.target.python
    recipes = run.recipes.by_name.replaced(recipe)
    planned = plan([recipe.name], [python], recipes, lambda each: describe_recipe(each, run), [recipe.toolchain])
    (job,) = (job for job in planned if job.id == (canonicalize_name(recipe.name), python, ""))
    needed = [run.recipes.find(name) for name in sorted(job.check_needs)]
    return [run.store.wheel_path(run.newest(each, python)) for each in needed]


def require_script(recipe: Recipe) -> None:
    """Require a check's script.

    Raises:
        RecipeError: there is none.
    """
    if recipe.check.script is None:
        raise RecipeError(
            f"{recipe.label}: no check: a wheel is published only after it was run",
            hint=f"write {recipe.directory / 'smoke.py'}; docs/add-a-recipe.md says what it reports",
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class PackageCheck:
    """Check of one recipe's package, for the Python and toolchain of the run's configuration."""

    recipe: Recipe
    run: Run

    @property
    def profiles(self) -> tuple[str, ...]:
        """ISA profiles that the recipe is checked on."""
        return self.run.config.profiles(self.recipe)

    def check_wheel(
        self, wheel: Path, others: Sequence[Path], folder: Path, profiles: Sequence[str], log: LogSink
    ) -> tuple[CheckResult, ...]:
        """Run the check of `wheel` on `profiles`, with an index of it and `others`."""
        index = self.write_index(wheel, others, folder, log)
        return self.run_check(index, folder / "work", profiles, log, wheel)

    def write_index(self, wheel: Path, others: Sequence[Path], folder: Path, log: LogSink) -> Path:
        """Write an index of the wheel, `others` and their requirements; returns its folder.

        What another project's package requires of ours is not in `others`: if a requirement has no wheel, the stored
        wheels of all other projects are offered.

        Raises:
            CheckFailed: a requirement has no wheel for the target.
        """
        try:
            return self._write_index(wheel, others, folder, log)
        except Unresolvable:
            given = {parse_filename(path.name)[0] for path in (wheel, *others)}
            stored = [path for path in self._stored_wheels() if parse_filename(path.name)[0] not in given]
        try:
            return self._write_index(wheel, [*others, *stored], folder, log)
        except Unresolvable as error:
            raise CheckFailed(error.message, hint=self._hint(error)) from error

    def _write_index(self, wheel: Path, others: Sequence[Path], folder: Path, log: LogSink) -> Path:
        """Write an index whose requirements come from `others` and the package index.

        Raises:
            Unresolvable: a requirement has no wheel for the target.
        """
        index, run = folder / "index", self.run
        asked = {canonicalize_name(Requirement(text).name) for text in self.recipe.check.requires}
        required = [path for path in others if parse_filename(path.name)[0] in asked]
        write_trial_index(
            wheel,
            others,
            target=run.config.target,
            mirror=run.layout.mirror,
            out=index,
            log=log,
            dependents=(wheel, *required) if self.recipe.check.dependencies else others,
        )
        return index

    def _stored_wheels(self) -> Iterator[Path]:
        """Iterate over the newest wheels of all other recipes."""
        run, python = self.run, self.run.config.target.python
        for name in sorted(run.recipes.by_name.keys() - {canonicalize_name(self.recipe.name)}):
            record = run.store.latest(name, python)
            if record is not None:
                yield run.store.wheel_path(record)

    def _hint(self, error: Unresolvable) -> str | None:
        """Return the error's hint, or the command that builds packages which have a recipe."""
        python = self.run.config.target.python
        by_project = {canonicalize_name(each.project): name for name, each in self.run.recipes.by_name.items()}
        missing = {by_project[each] for each in error.missing() if each in by_project}
        lacking = [name for name in sorted(missing) if self.run.store.latest(name, python) is None]
        return f"run: factory build {' '.join(lacking)} --python {python}" if lacking else error.hint

    def run_check(
        self, index: Path, work: Path, profiles: Sequence[str], log: LogSink, wheel: Path | None = None
    ) -> tuple[CheckResult, ...]:
        """Install the package from the folder `index` in a clean root and run its check.

        Raises:
            CheckFailed: the package doesn't install, another file than `wheel` is installed in the end, a profile
                fails, or profiles disagree.
        """
        recipe, config = self.recipe, self.run.config
        require_script(recipe)
        model = self._model(log)
        with self.installed(index, work, profiles, log) as sandbox:
            if wheel is not None:
                runner.require_installed(sandbox, recipe, wheel, log)
            results = self._run_profiles(sandbox, model, profiles, log)
        for result in results:
            self.run.reporter.line(f"{config.label(recipe)}: {result.profile}: {result.shown}")
        require_passed(recipe, results, config.label(recipe), config.options(recipe))
        return results

    def _run_profiles(
        self, root: CopiedRoot, model: Path | None, profiles: Sequence[str], log: LogSink
    ) -> tuple[CheckResult, ...]:
        """Run the check on every profile, each in its own copy of the root, several at once.

        A model's threads already use all processors, and wait for each other in loops.
        """
        recipe, run = self.recipe, self.run
        with run.slots.spare(1 if model is not None else len(profiles)) as at_once:
            copies = ProfileCopies(root=root, at_once=at_once, keep=run.keep)
            return runner.run_profiles(
                root,
                recipe,
                run.config.target.python,
                model,
                profiles,
                log,
                describe=self._describe,
                run_all=copies.run_all,
            )

    @contextmanager
    def opened_for_person(
        self, wheel: Path, others: Sequence[Path], folder: Path, profiles: Sequence[str], log: LogSink
    ) -> Iterator[tuple[OpenedRoot, Path | None]]:
        """Open a root as the check has it, with its script and its model's path."""
        index, model = self.write_index(wheel, others, folder, log), self._model(log)
        with self.installed(index, folder / "work", profiles, log) as root:
            runner.provide(root, self.recipe.check, model)
            yield root, model

    @contextmanager
    def installed(self, index: Path, work: Path, profiles: Sequence[str], log: LogSink) -> Iterator[OpenedCopiedRoot]:
        """Open a clean root for `profiles`, with the package installed from the folder `index`.

        Raises:
            CheckFailed: it doesn't install.
        """
        discard(work)
        with serve(index) as url, self._sandbox(work, profiles, log) as sandbox:
            ours = [project.name for project in (index / "simple").iterdir() if project.is_dir()]
            compiles = sandbox.native_pip
            installation.install(sandbox, self.recipe, f"{url}/simple/", ours, log, compiles=compiles)
            yield sandbox

    @contextmanager
    def _sandbox(self, work: Path, profiles: Sequence[str], log: LogSink) -> Iterator[OpenedCopiedRoot]:
        """Open the check's root: a clean one, or for a check that compiles the build's.

        The build's root has the source in /build/src, and so has the clean one if the suite needs it.
        """
        run, roots = self.run, self.run.roots
        python = run.config.target.python
        caches = f"_check-{canonicalize_name(self.recipe.name)}"  # a check must not write what a build reads
        if not self.recipe.check.build_root:
            root = with_own_qemu(roots.check_root(python), profiles, run)
            with roots.environment_of(root).open(work, caches=caches, keep=run.keep) as sandbox:
                if self.recipe.check.needs_source:
                    self._put_source(work, log)
                yield sandbox
            return
        request = RootRequest(python=python, apt=self.recipe.build.apt, toolchain=run.config.toolchain)
        root = with_own_qemu(roots.build_root(request), profiles, run)
        with roots.environment_of(root).open(work, caches=caches, keep=run.keep) as sandbox:
            self._put_source(work, log)
            sandbox.run(Command([f"python{python}", "-m", "venv", BUILD_VENV]), log=log)
            yield sandbox

    def _put_source(self, work: Path, log: LogSink) -> None:
        source, run = self.recipe.source, self.run
        tree = fetch(source, run.layout.downloads, work / "source", log)
        prepare(source, patches.select(run.recipes.patches, source), tree, log)
        tree.path.rename(work / "src")

    def _describe(self, fault: Fault) -> str:
        """Describe an illegal instruction, with the disassembler of this run's roots."""
        roots = self.run.roots
        return describe(fault, roots.disassembler(roots.check_root(self.run.config.target.python)))

    def _model(self, log: LogSink) -> Path | None:
        pins = self.run.recipes.models_of(self.recipe)
        return download_model(pins[0], self.run.layout.downloads, log) if pins else None
