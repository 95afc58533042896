"""Comparison of check results: with the recipe's expectations, and between profiles."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

from factory.errors import CheckFailed
from factory.model.recipe import CheckOptions, Recipe
from factory.model.record import CheckResult
from factory.util.quantities import quantity


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
        chosen = f"{options} --profile {mistakes[0][0]}"
        raise CheckFailed(
            f"{label}: the check failed:\n  {listed}",
            hint=f"run it again with: factory check {recipe.name} {chosen}, or open a shell in its root with: "
            f"factory shell {recipe.name} {chosen} --check",
        )


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
        found.append(
            f"{quantity(same, 'token')} as on {first.profile}, at the start; the recipe wants {options.same_tokens}"
        )
    return [*found, *_logits_apart(options, first, other, steps=min(same + 1, shorter))]


def _logits_apart(options: CheckOptions, first: CheckResult, other: CheckResult, *, steps: int) -> list[str]:
    """List differences in the logits of the first steps.

    With a tolerance, all logits must be present.
    """
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
    """Return the largest difference of one step's logits.

    It is infinite if a value is not finite or none is common.
    """
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
