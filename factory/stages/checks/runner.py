"""Runs of a recipe's check script in a clean root, on each ISA profile."""

from __future__ import annotations

import json
import math
import shutil
import time
from collections.abc import Collection, Mapping, Sequence
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
    """Install the package with pip from the index at `index_url`, then the check's requirements.

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


def require_passed(recipe: Recipe, results: Sequence[CheckResult], label: str, options: str) -> None:
    """Compare the results with the recipe's expectations and with each other.

    `label` names the wheel, and `options` select it in commands.

    Raises:
        CheckFailed: the message lists every difference.
    """
    passed = [result for result in results if result.passed]
    mistakes = [(result.profile, result.shown) for result in results if not result.passed]
    mistakes += [(result.profile, text) for result in passed for text in _unexpected(recipe.check, result)]
    if recipe.check.same_tokens:
        with_model = [result for result in passed if recipe.check.runs_model(result.profile)]
        mistakes += [
            (other.profile, text)
            for other in with_model[1:]
            for text in _disagreements(recipe.check, with_model[0], other)
        ]
    if mistakes:
        listed = "\n  ".join(f"{profile}: {text}" for profile, text in mistakes)
        raise CheckFailed(
            f"{label}: the check failed:\n  {listed}",
            hint=f"inspect it with: factory check {recipe.name} {options} --profile {mistakes[0][0]} --keep",
        )


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


def _unexpected(options: CheckOptions, result: CheckResult) -> list[str]:
    reported = result.facts.get("facts", {})
    found = []
    for fact, by_profile in options.expect.items():
        if result.profile not in by_profile:
            continue
        seen = reported.get(fact) if isinstance(reported, dict) else None
        if seen != by_profile[result.profile]:
            found.append(f"{fact} is {seen!r}, the recipe expects {by_profile[result.profile]!r}")
    return found


def _disagreements(options: CheckOptions, first: CheckResult, other: CheckResult) -> list[str]:
    """Compare the tokens of two profiles, and the logits of steps with equal preceding tokens."""
    left, right = _tokens(first), _tokens(other)
    shorter = min(len(left), len(right))
    same = next((step for step in range(shorter) if left[step] != right[step]), shorter)
    found = []
    if same < options.same_tokens:
        found.append(f"the first {same} tokens are those of {first.profile}; the recipe wants {options.same_tokens}")
    return [*found, *_logits_apart(options, first, other, steps=min(same + 1, shorter))]


def _logits_apart(options: CheckOptions, first: CheckResult, other: CheckResult, *, steps: int) -> list[str]:
    """List differences in the logits of the first steps; with a tolerance, all logits must be present."""
    pairs = list(zip(_logits(first)[:steps], _logits(other)[:steps], strict=False))
    distances = [_distance(left, right) for left, right in pairs]
    if options.logits_tolerance and len(pairs) < steps:
        return [f"only {len(pairs)} of the {steps} steps to compare have logits both here and on {first.profile}"]
    if math.inf in distances:
        step = distances.index(math.inf) + 1
        return [
            f"at step {step} its logits and those of {first.profile} can't be compared: "
            "one is not finite, or no token is among the largest of both"
        ]
    distance = max(distances, default=0.0)
    if distance > options.logits_tolerance:
        return [f"logits differ from {first.profile}'s by {distance:.3f}, the recipe allows {options.logits_tolerance}"]
    return []


def _distance(left: Mapping[int, float], right: Mapping[int, float]) -> float:
    """Return the largest difference of one step's logits; infinity if one is not finite or none is common."""
    common = left.keys() & right.keys()
    if not common or not all(map(math.isfinite, (*left.values(), *right.values()))):
        return math.inf
    return max(abs(left[token] - right[token]) for token in common)


def _tokens(result: CheckResult) -> list[int]:
    tokens = result.facts.get("tokens", [])
    return tokens if isinstance(tokens, list) else []


def _logits(result: CheckResult) -> list[dict[int, float]]:
    """Return the logits of each step's top tokens, as {token: logit}."""
    steps = result.facts.get("logits", [])
    return [{int(token): float(logit) for token, logit in step} for step in steps] if isinstance(steps, list) else []
