"""Runs of a recipe's check script in a clean root, on each ISA profile."""

from __future__ import annotations

import json
import shutil
import time
from collections.abc import Collection, Sequence
from dataclasses import replace
from pathlib import Path

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from factory.errors import CheckFailed, CommandFailed
from factory.model.protocols import Command, Sandbox
from factory.model.recipe import CheckOptions, Recipe
from factory.model.record import CheckResult
from factory.model.target import BASELINE_CPU, NATIVE_PROFILE, PROFILES
from factory.util.failure_hints import hint_for, is_machines_fault
from factory.util.log import LogSink

# bubblewrap reports a signal as 128 + its number; SIGILL is 4.
ILLEGAL_INSTRUCTION = (128 + 4, -4)


def install(sandbox: Sandbox, recipe: Recipe, index_url: str, ours: Collection[str], log: LogSink) -> None:
    """Install the package from the index at `index_url`, then the check's requirements.

    Required projects in `ours` (normalized names) come from that index, all others from the host's index.

    Raises:
        CheckFailed: pip failed.
    """
    pip = ["pip", "--isolated", "install", "--no-compile", "--no-cache-dir", "--index-url", index_url]
    required = recipe.check.requires
    from_index = [text for text in required if canonicalize_name(Requirement(text).name) in ours]
    from_host = [text for text in required if text not in from_index]
    try:
        sandbox.run(Command([*pip, f"{recipe.project}=={recipe.version}", *from_index], network=True), log=log)
        if from_host:
            sandbox.run(Command(["pip", "install", "--no-compile", *from_host], network=True), log=log)
    except CommandFailed as error:
        raise CheckFailed(
            f"{recipe.label}: pip install from the index failed:\n{error.output}",
            hint=hint_for(error.output, network=True),
            machines_fault=is_machines_fault(error.output, network=True),
        ) from error


def run_profiles(
    sandbox: Sandbox, recipe: Recipe, python: str, model: Path | None, profiles: Sequence[str], log: LogSink
) -> tuple[CheckResult, ...]:
    """Run the check on every profile, also after a failure, and return a result for each.

    `python` is the root's version of Python.
    """
    _provide(sandbox, recipe.check, model)
    results = (
        _run_profile(sandbox, model if recipe.check.runs_model(profile) else None, profile, log) for profile in profiles
    )
    return tuple(replace(result, python=python) for result in results)


def _provide(sandbox: Sandbox, options: CheckOptions, model: Path | None) -> None:
    """Copy the script and the model into the root's work folder."""
    if options.script is not None:
        shutil.copy(options.script, sandbox.work / "smoke.py")
    if model is not None:
        shutil.copy(model, sandbox.work / model.name)


def _run_profile(sandbox: Sandbox, model: Path | None, profile: str, log: LogSink) -> CheckResult:
    answer = sandbox.work / f"result-{profile}.json"
    answer.unlink(missing_ok=True)
    env = {
        "FACTORY_PROFILE": profile,
        "FACTORY_RESULT": f"/build/{answer.name}",
        "PYTHONDONTWRITEBYTECODE": "",
        "FACTORY_MODEL": f"/build/{model.name}" if model is not None else "",
    }
    started = time.monotonic()
    try:
        cpu = BASELINE_CPU if profile == NATIVE_PROFILE else PROFILES[profile].qemu_cpu
        sandbox.run(Command(["python", "/build/smoke.py"], env=env, cpu=cpu), log=log)
        facts = json.loads(answer.read_text())
        shown, passed = str(facts.pop("shown")), True
    except CommandFailed as error:
        facts, shown, passed = {}, _explain(error), False
    except (OSError, ValueError, KeyError, AttributeError) as error:
        facts, shown, passed = {}, f"smoke.py wrote no usable result: {error!r}", False
    log.write(f"# {profile}: {'passed' if passed else 'failed'}: {shown}\n")
    return CheckResult(profile=profile, passed=passed, seconds=time.monotonic() - started, shown=shown, facts=facts)


def _explain(error: CommandFailed) -> str:
    last = error.output.strip().splitlines()[-1:] or ["it printed nothing"]
    if error.status in ILLEGAL_INSTRUCTION:
        return f"illegal instruction (SIGILL): code beyond this CPU ran; last line: {last[0]}"
    return f"{error.message}; last line: {last[0]}"
