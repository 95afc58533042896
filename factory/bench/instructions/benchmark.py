"""Instruction counts of a package's libraries in one call of each case."""

from __future__ import annotations

import json
import shutil
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from packaging.utils import parse_wheel_filename

from factory.bench.inside import run_case
from factory.bench.instructions.classes import Counts, classify
from factory.bench.instructions.counter import count_instructions
from factory.bench.instructions.libraries import Libraries, mapped_libraries, relative
from factory.bench.instructions.trace import Instruction
from factory.errors import FactoryError, RecipeError
from factory.model.protocols import INPUTS, Command, Sandbox
from factory.model.recipe import Recipe
from factory.model.target import ALL_PROFILES
from factory.pipeline.check import PackageCheck, stored_needs
from factory.pipeline.run import Run
from factory.stages.audit.wheel_reader import open_wheel
from factory.util.log import LogSink
from factory.util.scratch import own_folder
from factory.util.untrusted import UntrustedFolder

SCRIPT = "bench.py"
ANSWER = "answer"
INSTALLED = "/site-packages/"
# One thread and the same order in each run: two runs differ only in what is counted.
ENVIRONMENT = {
    "OMP_NUM_THREADS": "1",
    "OPENBLAS_NUM_THREADS": "1",
    "PYTHONHASHSEED": "0",
    "PYTHONDONTWRITEBYTECODE": "",  # compiled once: imports cost the same in each run
}
ATTEMPTS = 6
NOWHERE = range(0x1000, 0x2000)  # contains no library: for runs that only find the addresses


@dataclass(frozen=True, slots=True, kw_only=True)
class Measurement:
    """Counts of one call of a case, with one wheel on one profile."""

    case: str
    wheel: str
    profile: str
    counts: Counts


def measure(
    recipe: Recipe,
    wheels: Mapping[str, Path],
    profiles: Sequence[str],
    wanted_cases: Sequence[str],
    run: Run,
) -> tuple[Measurement, ...]:
    """Count each case with each of the wheels (by label) on each profile.

    An empty `wanted_cases` means all cases.

    Raises:
        RecipeError: the recipe has no benchmark, or no such case.
        FactoryError: a case cannot be counted.
    """
    script = recipe.directory / SCRIPT
    if not script.is_file():
        raise RecipeError(
            f"{recipe.label}: no benchmark: {script} does not exist",
            hint=f"write {script} with CASES, see docs/benchmarks.md",
        )
    found: list[Measurement] = []
    for label, wheel in wheels.items():
        with run.stages(recipe.label_for(run.config.target.python))(f"count {label}") as log:
            found += _measure_wheel(recipe, script, label, wheel, profiles, wanted_cases, run, log)
    order = {case: number for number, case in enumerate(dict.fromkeys(each.case for each in found))}
    return tuple(sorted(found, key=lambda each: order[each.case]))


def _measure_wheel(
    recipe: Recipe,
    script: Path,
    label: str,
    wheel: Path,
    profiles: Sequence[str],
    wanted_cases: Sequence[str],
    run: Run,
    log: LogSink,
) -> list[Measurement]:
    exactly = replace(recipe, version=str(parse_wheel_filename(wheel.name)[1]))
    with own_folder(run.layout.scratch, "bench", recipe.name, keep=run.keep) as folder:
        check = PackageCheck(recipe=exactly, run=run)
        index = check.write_index(wheel, stored_needs(recipe, run), folder, log)
        with check.installed(index, folder / "work", profiles, log) as sandbox:
            shutil.copy(script, sandbox.inputs / SCRIPT)
            shutil.copy(run_case.__file__, sandbox.inputs)
            runner = Runner(sandbox=sandbox, packages=packages_with_libraries(wheel), log=log)
            cases = select_cases(runner.cases(), wanted_cases, script)
            return [
                Measurement(case=case, wheel=label, profile=profile, counts=runner.count(case, profile))
                for case in cases
                for profile in profiles
            ]


def packages_with_libraries(wheel: Path) -> tuple[str, ...]:
    """List the top-level entries of a wheel that contain compiled code.

    Entries are packages, modules, and folders of bundled libraries.

    Raises:
        FactoryError: the wheel has no compiled code.
        AuditFailed: the wheel cannot be read.
    """
    with open_wheel(wheel) as opened:
        found = {path.partition("/")[0] for path, _ in opened.elf_files()}
    if not found:
        raise FactoryError(f"{wheel.name}: nothing to count: the wheel has no compiled code", hint="name another wheel")
    return tuple(sorted(found))


def select_cases(cases: Sequence[str], wanted: Sequence[str], script: Path) -> Sequence[str]:
    """Return the wanted cases, or all cases if none are named.

    Raises:
        RecipeError: there is no such case.
    """
    missing = [case for case in wanted if case not in cases]
    if missing:
        raise RecipeError(f"{script}: no case {missing[0]!r}", hint=f"--case with one of: {', '.join(cases)}")
    return wanted or cases


@dataclass(slots=True, kw_only=True)
class Runner:
    """A runner of cases in a root where the package is installed.

    `libraries` are the addresses of the libraries of `packages` (entries of site-packages) in the last run. They are
    `stable` after two runs with the same addresses: the next run probably has them too, and counts there.
    """

    sandbox: Sandbox
    packages: tuple[str, ...]
    log: LogSink
    libraries: Libraries = field(default_factory=dict)
    stable: bool = False

    def cases(self) -> list[str]:
        """List the names of the cases in order."""
        self.sandbox.run(Command(_command(), env=ENVIRONMENT), log=self.log)
        names: list[str] = json.loads(self._answer())
        return names

    def count(self, case: str, profile: str) -> Counts:
        """Count one call: the difference between a run with one call and a run without.

        Raises:
            CommandFailed: the case fails.
            FactoryError: the two runs differ in more than the call.
        """
        cpu = ALL_PROFILES[profile].qemu_cpu
        none, one = (self._count_run(case, calls, cpu) for calls in (0, 1))
        one.subtract(none)
        if any(count < 0 for count in one.values()):
            raise FactoryError(
                f"{case!r}: cannot count one call: some instructions run less often with the call than without",
                hint="remove randomness and threads from the preparation of the case",
            )
        return classify(+one)

    def _count_run(self, case: str, calls: int, cpu: str) -> Counter[Instruction]:
        """Count a run; repeat it if the libraries were not at the expected addresses.

        Until the addresses are known, nothing is counted, which takes a fraction of the time. The first run compiles
        the modules that it imports, so its addresses may differ from those of later runs.
        """
        for _ in range(ATTEMPTS):
            expected, counted = self.libraries, self.stable
            ranges = list(expected.values()) if counted else [NOWHERE]
            command = _command(case, str(calls))
            counts = count_instructions(self.sandbox, command, log=self.log, cpu=cpu, env=ENVIRONMENT, ranges=ranges)
            self.libraries = mapped_libraries(self._answer(), self._is_in_package)
            if not self.libraries:
                raise FactoryError(f"{case!r}: nothing to count: the case loads no library of the package")
            self.stable = self.libraries == expected
            if counted and self.stable:
                return relative(counts, expected)
        raise FactoryError(f"{case!r}: cannot count: the libraries have other addresses in each run")

    def _is_in_package(self, path: str) -> bool:
        return path.partition(INSTALLED)[2].partition("/")[0] in self.packages

    def _answer(self) -> str:
        return UntrustedFolder(self.sandbox.work).read_text(ANSWER)


def _command(*case: str) -> list[str]:
    return ["python", str(INPUTS / Path(run_case.__file__).name), str(INPUTS / SCRIPT), *case]
