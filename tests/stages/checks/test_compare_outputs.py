"""Tests of the comparison of profiles' results."""

import math
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest

from factory.errors import CheckFailed
from factory.model.recipe import CheckOptions, Recipe
from factory.model.record import CheckResult
from factory.model.target import TOOLCHAINS
from factory.stages.checks.compare_outputs import require_passed
from factory.stages.sources.local import LocalSource


def recipe(**options: object) -> Recipe:
    return Recipe(
        name="demo",
        version="1.0",
        directory=Path("recipes/demo"),
        source=LocalSource(project="demo", version="1.0", path=Path("demo")),
        check=CheckOptions(**options),  # type: ignore[arg-type]
    )


def result(profile: str, *, passed: bool = True, shown: str = "fine", **facts: object) -> CheckResult:
    return CheckResult(profile=profile, passed=passed, seconds=1.0, shown=shown, facts=facts)


def require(recipe: Recipe, results: Sequence[CheckResult], toolchain: str = TOOLCHAINS[0]) -> None:
    require_passed(recipe, results, recipe.label_for("3.13", toolchain), recipe.options_for("3.13", toolchain))


def steps(*pairs: tuple[int, float]) -> list[list[list[float]]]:
    """Return logits with one token a step."""
    return [[[token, logit]] for token, logit in pairs]


def test_results_that_agree_pass() -> None:
    require(recipe(), [result("rv64gc"), result("k1")])


def test_failed_profile_is_named_with_its_output() -> None:
    with pytest.raises(CheckFailed, match=r"k1: illegal instruction") as caught:
        require(recipe(), [result("rv64gc"), result("k1", passed=False, shown="illegal instruction (SIGILL)")])
    assert "factory check demo --python 3.13 --profile k1, " in (caught.value.hint or "")
    assert "factory shell demo --python 3.13 --profile k1 --check" in (caught.value.hint or "")


def test_failed_check_of_comparison_wheel_hints_its_toolchain() -> None:
    with pytest.raises(CheckFailed, match=r"demo 1\.0 with clang: the check failed:") as caught:
        require(recipe(), [result("k1", passed=False)], "clang")
    assert "factory check demo --python 3.13 --toolchain clang --profile k1, " in (caught.value.hint or "")


def test_unexpected_fact_names_seen_and_expected_value() -> None:
    options = {"expect": {"cpu-backend": {"rv64gc": "riscv64_0", "k1": "riscv64_v_zvfh"}}}
    seen = [result("rv64gc", facts={"cpu-backend": "riscv64_0"}), result("k1", facts={"cpu-backend": "riscv64_0"})]
    with pytest.raises(CheckFailed, match=r"k1: cpu-backend is 'riscv64_0', the recipe expects 'riscv64_v_zvfh'"):
        require(recipe(**options), seen)


def test_missing_fact_fails() -> None:
    with pytest.raises(CheckFailed, match="rv64gc: rvv is None, the recipe expects False"):
        require(recipe(expect={"rvv": {"rv64gc": False}}), [result("rv64gc")])


def test_tokens_that_differ_too_early_fail() -> None:
    seen = [result("rv64gc", tokens=[1, 2, 3, 4]), result("k1", tokens=[1, 9, 3, 4])]
    with pytest.raises(CheckFailed, match=r"k1: 1 token as on .* wants 3\n"):
        require(recipe(same_tokens=3, logits_tolerance=1.0), seen)


def test_no_tokens_at_all_are_not_equal_tokens() -> None:
    with pytest.raises(CheckFailed, match="k1: 0 tokens as on "):
        require(recipe(same_tokens=3), [result("rv64gc"), result("k1")])


def test_profile_with_fewer_tokens_fails() -> None:
    with pytest.raises(CheckFailed, match=r"k1: 1 token as on .* wants 3\n"):
        require(recipe(same_tokens=3), [result("rv64gc", tokens=[1, 2, 3]), result("k1", tokens=[1])])


def test_profiles_without_model_need_no_tokens() -> None:
    options = {"profiles": ("rvv128", "rv64gc", "k1"), "model_profiles": ("rv64gc", "k1"), "same_tokens": 3}
    alike = [result("rvv128"), result("rv64gc", tokens=[1, 2, 3]), result("k1", tokens=[1, 2, 3])]
    require(recipe(**options), alike)
    with pytest.raises(CheckFailed, match="k1: 1 token as on rv64gc, at the start"):
        require(recipe(**options), [*alike[:2], result("k1", tokens=[1, 7])])


def test_late_token_with_close_logits_passes() -> None:
    one = result("rv64gc", tokens=[1, 2], logits=steps((1, 5.0), (2, 7.0)))
    other = result("k1", tokens=[1, 3], logits=steps((1, 5.0), (2, 6.9)))
    require(recipe(same_tokens=1, logits_tolerance=0.2), [one, other])


def test_late_token_with_distant_logits_fails() -> None:
    one = result("rv64gc", tokens=[1, 2], logits=steps((1, 5.0), (2, 7.0)))
    other = result("k1", tokens=[1, 3], logits=steps((1, 5.0), (2, 6.0)))
    with pytest.raises(CheckFailed, match=r"k1: logits differ from rv64gc's by 1\.000, the recipe allows 0\.2"):
        require(recipe(same_tokens=1, logits_tolerance=0.2), [one, other])


def test_logits_after_first_difference_are_not_compared() -> None:
    one = result("rv64gc", tokens=[1, 2, 5], logits=steps((1, 5.0), (2, 7.0), (4, 0.0)))
    other = result("k1", tokens=[1, 3, 5], logits=steps((1, 5.0), (2, 7.0), (4, 90.0)))
    require(recipe(same_tokens=1, logits_tolerance=0.2), [one, other])


@pytest.mark.parametrize(
    ("logits", "message"),
    [
        (steps((1, 5.0), (2, math.nan)), "k1: at step 2 its logits and those of rv64gc can't be compared"),
        (steps((1, 5.0), (2, math.inf)), "k1: at step 2 its logits and those of rv64gc can't be compared"),
        ([[[1, 5.0]], [[2, 7.0], [9, math.nan]]], "k1: at step 2 its logits and those of rv64gc can't be compared"),
        (steps((1, 5.0), (3, 7.0)), "k1: at step 2 its logits and those of rv64gc can't be compared"),
        (steps((1, 5.0)), "k1: only 1 of the 2 steps to compare have logits both here and on rv64gc"),
        ([], "k1: only 0 of the 2 steps to compare have logits both here and on rv64gc"),
    ],
)
def test_incomparable_logits_fail(logits: object, message: str) -> None:
    one = result("rv64gc", tokens=[1, 2], logits=steps((1, 5.0), (2, 7.0)))
    other = result("k1", tokens=[1, 3], logits=logits)
    for first, second in ((one, other), (replace(other, profile="rv64gc"), replace(one, profile="k1"))):
        with pytest.raises(CheckFailed, match=message):
            require(recipe(same_tokens=1, logits_tolerance=0.2), [first, second])


def test_non_finite_logits_on_all_profiles_fail() -> None:
    seen = [result(profile, tokens=[1], logits=steps((1, math.nan))) for profile in ("rv64gc", "k1")]
    with pytest.raises(CheckFailed, match="k1: at step 1 its logits"):
        require(recipe(same_tokens=1, logits_tolerance=0.2), seen)


def test_logits_without_tolerance_are_optional() -> None:
    require(recipe(same_tokens=1), [result("rv64gc", tokens=[1]), result("k1", tokens=[1])])


def test_logits_after_shorter_text_are_not_needed() -> None:
    one = result("rv64gc", tokens=[1, 2], logits=steps((1, 5.0), (2, 7.0)))
    other = result("k1", tokens=[1], logits=steps((1, 5.0)))
    require(recipe(same_tokens=1, logits_tolerance=0.2), [one, other])
