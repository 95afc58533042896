"""Runs of a recipe's check script in a clean root, on each ISA profile."""

from __future__ import annotations

import csv
import shutil
import signal
import time
import zipfile
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from factory.errors import CheckFailed, CommandFailed
from factory.model.protocols import BUILD, INPUTS, Command, Sandbox
from factory.model.recipe import MODULES_FOLDER, CheckOptions, Recipe
from factory.model.record import CheckResult
from factory.model.target import ALL_PROFILES, BASELINE_CPU, NATIVE_PROFILE
from factory.stages.checks.faults import Describe, locate
from factory.stages.checks.signals import explain, was_killed
from factory.util.atomic_files import copy_atomically
from factory.util.durations import parse_duration
from factory.util.failure_hints import hint_for, is_machines_fault
from factory.util.hang_limits import HangLimits, hang_limits
from factory.util.log import LogSink, Recording
from factory.util.process import signal_of
from factory.util.untrusted import UnsafeOutput, UntrustedFolder

SCRIPT = "smoke.py"
# A module that scripts may import.
HELPER = Path(__file__).parent / "inside/compiled_calls.py"
CHECK = ("python", f"{INPUTS}/{SCRIPT}")
INSTALLED = "installed-record.txt"
COPY_RECORD = """
import sys
from importlib.metadata import distribution
with open(sys.argv[2], "w", encoding="utf-8") as file:
    file.write(distribution(sys.argv[1]).read_text("RECORD") or "")
"""
# A check that waits for itself uses no processor time; one that works need not print.
IDLE_SECONDS = 300.0


def require_installed(sandbox: Sandbox, recipe: Recipe, wheel: Path, log: LogSink) -> None:
    """Compare the installed RECORD with the wheel's, if packages were installed later.

    Raises:
        CheckFailed: another build of the package is installed.
    """
    if not recipe.check.requires:
        return
    outputs = UntrustedFolder(sandbox.work)
    outputs.remove(INSTALLED)
    sandbox.run(Command(["python", "-I", "-c", COPY_RECORD, recipe.project, f"{BUILD}/{INSTALLED}"]), log=log)
    missing = sorted(_own_files(wheel) - _hashed_files(outputs.read_text(INSTALLED)))
    if missing:
        raise CheckFailed(
            f"{recipe.label}: the installed package is not the wheel {wheel.name}: {missing[0][0]} differs",
            hint="a package in check.requires replaces its files: remove that from the recipe",
        )


def _own_files(wheel: Path) -> set[tuple[str, str]]:
    """Return the files, with hashes, that a wheel installs under the names of its RECORD."""
    with zipfile.ZipFile(wheel) as archive:
        (name,) = (name for name in archive.namelist() if name.count("/") == 1 and name.endswith(".dist-info/RECORD"))
        text = archive.read(name).decode("utf-8")
    data = f"{name.partition('.dist-info/')[0]}.data/"
    return {(path, digest) for path, digest in _hashed_files(text) if not path.startswith(data)}


def _hashed_files(record: str) -> set[tuple[str, str]]:
    return {(row[0], row[1]) for row in csv.reader(record.splitlines()) if len(row) > 1 and row[1]}


# Runs the check of one profile in a root, with a log.
RunProfile = Callable[[Sandbox, str, LogSink], CheckResult]
# Runs the check of each profile, in that order or at once.
RunAll = Callable[[Sequence[str], LogSink, RunProfile], Iterable[CheckResult]]


def run_profiles(
    sandbox: Sandbox,
    recipe: Recipe,
    python: str,
    model: Path | None,
    profiles: Sequence[str],
    log: LogSink,
    *,
    describe: Describe = lambda fault: fault.place,
    run_all: RunAll | None = None,
) -> tuple[CheckResult, ...]:
    """Run the check on every profile, also after a failure, and return a result for each.

    `python` is the root's version of Python; `describe` describes the fault of an illegal instruction. Without
    `run_all`, all run in `sandbox`, in turn.

    Raises:
        CheckFailed: the machine ended a run for lack of memory, which says nothing about the package.
    """
    provide(sandbox, recipe.check, model)

    def run_profile(own: Sandbox, profile: str, own_log: LogSink) -> CheckResult:
        return _run_profile(own, recipe, model, profile, own_log, describe)

    if run_all is None:
        results: Iterable[CheckResult] = (run_profile(sandbox, profile, log) for profile in profiles)
    else:
        results = run_all(profiles, log, run_profile)
    return tuple(replace(result, python=python) for result in results)


def provide(sandbox: Sandbox, options: CheckOptions, model: Path | None) -> None:
    """Give the script, its modules, the helper and the model to the root's commands."""
    shutil.copy(HELPER, sandbox.inputs)
    if options.script is not None:
        shutil.copy(options.script, sandbox.inputs / SCRIPT)
    for module in options.modules:
        folder = sandbox.inputs / MODULES_FOLDER
        folder.mkdir(exist_ok=True)
        shutil.copy(module, folder)
    if model is not None:
        copy_atomically(model, sandbox.inputs / model.name)


def on_profile(argv: Sequence[str], profile: str, recipe: Recipe, model: Path | None) -> Command:
    """Return a command with the CPU and the variables of the check on a profile."""
    used = model if recipe.check.runs_model(profile) else None
    env = {
        "FACTORY_PROFILE": profile,
        "FACTORY_RESULT": f"{BUILD}/{_answer(profile)}",
        "PYTHONDONTWRITEBYTECODE": "",
        "PYTHONFAULTHANDLER": "1",
        "FACTORY_MODEL": f"{INPUTS}/{used.name}" if used is not None else "",
    }
    cpu = BASELINE_CPU if profile == NATIVE_PROFILE else ALL_PROFILES[profile].qemu_cpu
    return Command(argv, env=env, cpu=cpu)


def _answer(profile: str) -> str:
    return f"result-{profile}.json"


def _run_profile(
    sandbox: Sandbox, recipe: Recipe, model: Path | None, profile: str, log: LogSink, describe: Describe
) -> CheckResult:
    answer, outputs = _answer(profile), UntrustedFolder(sandbox.work)
    outputs.remove(answer)
    started, printed = time.monotonic(), Recording(log)
    limits = HangLimits(total=parse_duration(recipe.check.time_limit), idle=IDLE_SECONDS)
    command = on_profile(CHECK, profile, recipe, model)
    try:
        with hang_limits("the check", limits, printed) as watched:
            sandbox.run(command, log=watched)
        facts: Any = outputs.read_json(answer)
        shown, passed = str(facts.pop("shown")), True
    except CommandFailed as error:
        if was_killed(error) or is_machines_fault(error.output):
            raise _lacks_memory(recipe, profile, error) from error
        fault = locate(sandbox, command, limits, log) if signal_of(error.status) == signal.SIGILL else None
        shown = explain(error, printed.text) + (f"; {describe(fault)}" if fault else "")
        facts, passed = {}, False
    except UnsafeOutput as error:
        facts, shown, passed = {}, error.message, False
    except (FileNotFoundError, KeyError, AttributeError, TypeError) as error:
        facts, shown, passed = {}, f"smoke.py wrote no usable result: {error!r}", False
    log.write(f"# {profile}: {'passed' if passed else 'failed'}: {shown}\n")
    return CheckResult(profile=profile, passed=passed, seconds=time.monotonic() - started, shown=shown, facts=facts)


def _lacks_memory(recipe: Recipe, profile: str, error: CommandFailed) -> CheckFailed:
    return CheckFailed(
        f"{recipe.label}: the check on {profile} was not finished: {error.message}:\n{error.output}",
        hint=hint_for(error.output),
        machines_fault=True,
    )
