"""Order of the stages: from source to repaired wheel, audit and check."""

from __future__ import annotations

import shutil
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from factory.errors import AuditFailed, BuildFailed
from factory.model.artifacts import AppliedPatch, BuiltWheel, PackagePin, RepairedWheel, SourceTree
from factory.model.audit_declaration import DECLARATION, encode_declaration
from factory.model.protocols import Sandbox
from factory.model.recipe import AuditOptions
from factory.model.record import AuditSummary, CheckResult
from factory.model.target import Target
from factory.pipeline.check import PackageCheck
from factory.pipeline.checkpoints import Checkpoints
from factory.pipeline.incremental import discard_unless_noted, renew
from factory.pipeline.job import PreparedJob
from factory.pipeline.run import Run
from factory.stages.audit.auditor import AuditReport, audit_wheel, render_text, require_clean
from factory.stages.audit.summary import summarize
from factory.stages.audit.wheel_reader import open_wheel
from factory.stages.builders.base import Build
from factory.stages.builders.native_python import NeedsRiscv64Python, forget_native_python, must_start_over
from factory.stages.builders.registry import builder_of
from factory.stages.environments.variables import SOURCE_DATE_EPOCH
from factory.stages.repair.bill import Inputs, complete
from factory.stages.repair.wheel import RepairTools, give_build_tag, repair
from factory.stages.sources.compiled import compiled_source
from factory.stages.sources.fetch import fetch
from factory.stages.sources.prepare import prepare
from factory.util import full_disk
from factory.util.failure_hints import Hint, find_hint
from factory.util.hang_limits import HangLimits, hang_limits
from factory.util.log import LogSink
from factory.util.process import Tail
from factory.util.scratch import discard

# Of the build: linkers and compilers of large files print nothing for long, but they work.
BUILD_LIMITS = HangLimits(silent=4 * 3600, idle=30 * 60)
# uv prints nothing while it downloads, and waits for the network.
INSTALL_LIMITS = HangLimits(silent=3600)
STAGES = ("source", "patch", "environment", "build", "repair", "audit", "check")


@dataclass(frozen=True, slots=True, kw_only=True)
class MadeWheel:
    """Results of the stages up to the repaired wheel."""

    source: SourceTree
    patches: tuple[AppliedPatch, ...]
    built: BuiltWheel
    repaired: RepairedWheel


@dataclass(frozen=True, slots=True, kw_only=True)
class StageRunner:
    """Stages of one prepared job; finished ones are read from their checkpoints."""

    prepared: PreparedJob
    checkpoints: Checkpoints
    run: Run

    def make_wheel(self) -> MadeWheel:
        """Run the stages from the source to the repaired wheel.

        They start over if the build turns out to need the riscv64 Python.
        """
        if must_start_over(self.prepared.folder):  # a run was killed meanwhile
            self._start_over()
        try:
            return self._make_wheel()
        except NeedsRiscv64Python as error:
            self.run.reporter.line(error.message)
            self._start_over()
            return self._make_wheel()

    def _make_wheel(self) -> MadeWheel:
        once = self.checkpoints.once
        source, applied = self.prepare_source()
        built = self._build(source)
        inputs = Inputs(recipe=self.prepared.job.recipe, source=source, patches=applied, built=built)
        repaired = once("repair", RepairedWheel, lambda log: self._repair(inputs, log))
        return MadeWheel(source=source, patches=applied, built=built, repaired=repaired)

    def _start_over(self) -> None:
        """Remove what was made by the native Python, and all that came after the fetched source."""
        folder = self.prepared.folder
        self.checkpoints.undo("patch", "environment")
        for stage in ("environment", "build"):
            self._begun(stage).unlink(missing_ok=True)
        discard(self.prepared.work)
        forget_native_python(folder)

    def prepare_source(self) -> tuple[SourceTree, tuple[AppliedPatch, ...]]:
        """Run the stages that put the patched source into the job's folder."""
        once = self.checkpoints.once
        source = once("source", SourceTree, self._fetch)
        return source, once("patch", tuple[AppliedPatch, ...], lambda log: self._patch(source, log))

    def audit(self, made: MadeWheel) -> AuditSummary | None:
        """Audit the wheel; None if a factory that kept no summary finished the stage.

        Raises:
            AuditFailed: the wheel is not what its tag or recipe promises.
        """
        kind: type[AuditSummary | str] = AuditSummary | str  # type: ignore[assignment]
        summary = self.checkpoints.once("audit", kind, lambda log: self._audit(made, log), files=False)
        return summary if isinstance(summary, AuditSummary) else None

    def check(self, wheel: Path, others: Sequence[Path]) -> tuple[CheckResult, ...]:
        """Install the wheel, with `others` at hand, and run its check on every profile.

        Raises:
            CheckFailed: it doesn't install, or a profile fails.
        """
        prepared = self.prepared
        check = PackageCheck(recipe=prepared.job.recipe, run=self.run.with_config(prepared.config))
        return self.checkpoints.once(
            "check",
            tuple[CheckResult, ...],
            lambda log: check.check_wheel(wheel, others, prepared.folder / "check", check.profiles, log),
            files=False,
        )

    def _fetch(self, log: LogSink) -> SourceTree:
        pristine = self.prepared.folder / "source"
        discard(pristine)
        return fetch(self.prepared.job.recipe.source, self.run.layout.downloads, pristine, log)

    def _patch(self, source: SourceTree, log: LogSink) -> tuple[AppliedPatch, ...]:
        """Patch a copy of the source and add the overlay.

        A run killed between two patches starts again from the unpatched source. An interrupted build keeps what it
        can resume from.
        """

        def make(copy: Path) -> tuple[AppliedPatch, ...]:
            shutil.copytree(source.path, copy, symlinks=True)
            tree = SourceTree(path=copy, sha256=source.sha256)
            return prepare(self.prepared.job.recipe.source, self.prepared.patches, tree, log)

        return renew(self.prepared.work / "src", self.prepared.folder, make)

    def _build(self, source: SourceTree) -> BuiltWheel:
        prepared, run, once = self.prepared, self.run, self.checkpoints.once
        environment = prepared.environment
        with self._shell_hint(), self._opened() as sandbox:
            requirements = once("environment", tuple[PackagePin, ...], lambda log: self._install(source, sandbox, log))
            run.compiler_cache.prepare(run.layout.compiler_caches / prepared.caches)
            with run.compiler_cache.shared(sandbox, environment.root.variables) as connected:
                return once("build", BuiltWheel, lambda log: self._compile(source, connected, requirements, log))

    def _opened(self) -> AbstractContextManager[Sandbox]:
        prepared = self.prepared
        return prepared.environment.open(prepared.work, caches=prepared.caches, keep=self.run.keep)

    def _install(self, source: SourceTree, sandbox: Sandbox, log: LogSink) -> tuple[PackagePin, ...]:
        self._renew_after_interruption("environment", source, log)
        builder = builder_of(self.prepared.job.recipe.build.builder)
        with hang_limits("the installation", INSTALL_LIMITS, log) as watched:
            return builder.install_requirements(self._build_value(sandbox, watched), self.prepared.dependencies)

    def _compile(
        self, source: SourceTree, sandbox: Sandbox, requirements: tuple[PackagePin, ...], log: LogSink
    ) -> BuiltWheel:
        options = self.prepared.job.recipe.build
        self._clear_partial_build(source, log)
        with self.run.slots.taken(options.memory_per_job) as grant:
            log.write(f"# compile jobs: {grant.jobs} {grant.reason}\n")
            with hang_limits("the build", BUILD_LIMITS, log) as watched:
                build = self._build_value(sandbox, watched, grant.jobs)
                return builder_of(options.builder).build_wheel(build, requirements)

    def _build_value(self, sandbox: Sandbox, log: LogSink, jobs: int = 1) -> Build:
        job = self.prepared.job
        return Build(
            sandbox=sandbox,
            folder=self.prepared.folder,
            recipe=job.recipe,
            metadata=job.metadata,
            python=job.python,
            log=log,
            jobs=jobs,
            have_recipes={recipe.project for recipe in self.run.recipes.by_name.values()},
        )

    def _clear_partial_build(self, source: SourceTree, log: LogSink) -> None:
        """Bring the tree of an interrupted build into a state that it can resume from."""
        if self._renew_after_interruption("build", source, log):
            discard_unless_noted(self.prepared.work / "objects")

    def _renew_after_interruption(self, stage: str, source: SourceTree, log: LogSink) -> bool:
        """Renew the source tree if an earlier run of the stage did not end.

        That may have written there. Returns whether the tree was renewed.
        """
        started = self._begun(stage)
        renewed = started.exists()
        if renewed:
            self._patch(source, log)
        started.touch()
        return renewed

    def _begun(self, stage: str) -> Path:
        """Return the file that says that a stage, which may write the source tree, has started."""
        return self.prepared.folder / f"{stage}.begun"

    @contextmanager
    def _shell_hint(self) -> Iterator[None]:
        """Add the command that opens the build's root to the hint of a failed build."""
        try:
            yield
        except BuildFailed as error:
            recipe, config = self.prepared.job.recipe, self.prepared.config
            if full_disk.MESSAGES.search(error.message):
                error.hint = f"{full_disk.file_system(self.prepared.work)}: {error.hint}"
            shell = f"look closer with: factory shell {recipe.name} {config.options(recipe)}"
            error.hint = f"{error.hint}; {shell}" if error.hint else shell
            raise

    def _repair(self, inputs: Inputs, log: LogSink) -> RepairedWheel:
        prepared, built = self.prepared, inputs.built
        recipe, root = prepared.job.recipe, prepared.environment.root
        tools = RepairTools(
            roots={layer.tree: layer.packages for layer in root.layers},
            strip=self.run.roots.strip_command(root),
            open_root=partial(prepared.environment.open, caches=prepared.caches),
            layers=self.run.layout.layers,
        )
        out = prepared.folder / "repaired"
        with open_wheel(built.path):  # refuses members that must not be unpacked
            pass
        target, provided = prepared.config.target, recipe.audit.provided
        wheel = repair(built, recipe.repair, target, tools, out, SOURCE_DATE_EPOCH, log, provided)
        if number := recipe.build_number:
            wheel = give_build_tag(wheel, number, SOURCE_DATE_EPOCH, log)
        declared = encode_declaration(recipe.audit) if recipe.audit.in_wheel else b""
        return complete(wheel, inputs, tools.roots, {DECLARATION: declared} if declared else {}, log)

    def _audit(self, made: MadeWheel, log: LogSink) -> AuditSummary:
        options, target = self.prepared.job.recipe.audit, self.prepared.config.target
        report = audit_into_log(made.repaired.path, options, target, log, compiled_source(made.source))
        try:
            require_clean(report)
        except AuditFailed as error:
            if not report.libraries and any(finding.kind == "purity" for finding in report.violations):
                self._add_reasons(error)
            raise
        return summarize(report)

    def _add_reasons(self, error: AuditFailed) -> None:
        """Add the path of the build's log and, if known, why the build left an extension out."""
        for run in self.checkpoints.runs(("build",)):
            tail = Tail()
            with run.log.open(encoding="utf-8", errors="replace") as file:
                for line in file:
                    tail.append(line.rstrip())
            known = find_hint(str(tail)) or Hint("")
            last = f"its last errors: {known.text}" if known.text else None
            error.hint = "\n        ".join(filter(None, (error.hint, f"the build's log is {run.log}", last)))
            error.changes = (*error.changes, *known.changes)


def audit_into_log(
    wheel: Path, options: AuditOptions, target: Target, log: LogSink, compiled_source: str = ""
) -> AuditReport:
    """Audit a wheel, as `audit_wheel` does, and write the report into the log."""
    report = audit_wheel(wheel, options, target, compiled_source=compiled_source)
    log.write(render_text(report))
    return report
