"""Waves: groups of jobs that machines build at the same time."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from factory.errors import RecipeError
from factory.pipeline.waves import LEAST_SECONDS, Limits, Node, Wave, make_waves

LIMITS = Limits(job_seconds=18000.0)
HOUR = 3600.0


def nodes(seconds: Mapping[str, float], needs: Mapping[str, str] = {}) -> list[Node[str]]:
    return [
        Node(name=name, seconds=each, needs=frozenset(needs.get(name, "").split())) for name, each in seconds.items()
    ]


def names(waves: Sequence[Wave[str]]) -> list[list[list[str]]]:
    return [[sorted(part.name for part in group.parts) for group in wave] for wave in waves]


def test_small_jobs_share_one_group() -> None:
    """A start-up costs more than a second machine saves, also where one needs the other."""
    found = make_waves(nodes({"a": 60.0, "b": 90.0, "c": 30.0}, {"c": "a b"}), LIMITS)
    assert names(found) == [[["a", "b", "c"]]]


def test_large_jobs_have_groups_of_their_own() -> None:
    found = make_waves(nodes({"a": HOUR, "b": HOUR, "c": 60.0}), LIMITS)
    assert names(found) == [[["a"], ["b"], ["c"]]]


def test_groups_are_balanced_by_recorded_times() -> None:
    found = make_waves(nodes({f"p{number}": 600.0 for number in range(12)}), LIMITS)
    assert {group.seconds for group in found[0]} == {LEAST_SECONDS}


def test_job_is_in_a_later_wave_than_a_shared_need() -> None:
    seconds, needs = dict.fromkeys(("blas", "other", "numpy", "more"), HOUR), {"numpy": "blas", "more": "blas"}
    assert names(make_waves(nodes(seconds, needs), LIMITS)) == [[["blas"], ["other"]], [["numpy"], ["more"]]]


def test_job_longer_than_a_machine_is_resumed_in_next_wave() -> None:
    found = make_waves(nodes({"torch": 12 * HOUR, "vllm": 2 * HOUR}, {"vllm": "torch"}), LIMITS)
    assert names(found) == [[["torch"]], [["torch"]], [["torch"]], [["vllm"]]]
    parts = [part for wave in found for group in wave for part in group.parts]
    assert [part.is_last for part in parts] == [False, False, True, True]


def test_built_need_passes_on_what_it_needs() -> None:
    seconds = {"a": HOUR, "built": 0.0, "b": HOUR, "c": HOUR}
    found = make_waves(nodes(seconds, {"built": "a", "b": "built", "c": "built"}), LIMITS)
    assert names(found) == [[["a"]], [["b"], ["c"]]]


def test_long_job_that_nothing_needs_holds_up_no_other() -> None:
    seconds = {"torch": 4 * HOUR, "blas": HOUR, "numpy": 2 * HOUR, "more": 2 * HOUR}
    found = make_waves(nodes(seconds, {"numpy": "blas", "more": "blas"}), Limits(job_seconds=4 * HOUR))
    assert names(found) == [[["blas"]], [["torch"], ["more", "numpy"]]]


def test_nothing_to_build_has_no_waves() -> None:
    assert make_waves(nodes({"a": 0.0}), LIMITS) == []


def test_deep_graph_is_joined_to_the_allowed_waves() -> None:
    chain = {f"p{number}": HOUR for number in range(9)}
    needs = {f"p{number}": f"p{number - 1}" for number in range(1, 9)}
    found = make_waves(nodes(chain, needs), Limits(job_seconds=5 * HOUR, waves=3))
    assert len(found) <= 3
    assert max(group.seconds for wave in found for group in wave) <= 5 * HOUR


def test_many_jobs_fit_the_limit_of_groups() -> None:
    found = make_waves(nodes({f"p{number}": 1250.0 for number in range(1000)}), LIMITS)
    assert 200 < sum(map(len, found)) <= 256


def test_limit_too_small_for_the_jobs_is_an_error() -> None:
    with pytest.raises(RecipeError, match="at most 0 are allowed"):
        make_waves(nodes({"a": HOUR}), Limits(job_seconds=HOUR, groups=0))


@st.composite
def graphs(draw: st.DrawFn) -> list[Node[int]]:
    size = draw(st.integers(0, 25))
    return [
        Node(
            name=number,
            seconds=draw(st.sampled_from((0.0, 5.0, 700.0, 3000.0, 9000.0, 40000.0))),
            needs=frozenset(draw(st.sets(st.integers(0, number - 1), max_size=3)) if number else ()),
        )
        for number in range(size)
    ]


@given(graphs(), st.integers(1, 6))
def test_every_need_is_in_the_same_group_or_an_earlier_wave(graph: list[Node[int]], allowed: int) -> None:
    found = make_waves(graph, Limits(job_seconds=18000.0, waves=allowed))
    assert len(found) <= allowed
    last: dict[int, tuple[int, int]] = {}
    first: dict[int, tuple[int, int]] = {}
    for number, wave in enumerate(found):
        for index, group in enumerate(wave):
            for part in group.parts:
                first.setdefault(part.name, (number, index))
                last[part.name] = (number, index)
                assert part.name not in first or first[part.name][0] <= number
    assert last.keys() == {node.name for node in graph if node.seconds}
    for node in graph:
        for need in node.needs & last.keys():
            if node.name in first:
                assert last[need][0] < first[node.name][0] or last[need] == first[node.name]


@given(graphs())
def test_work_of_all_groups_is_that_of_the_jobs(graph: list[Node[int]]) -> None:
    found = make_waves(graph, LIMITS)
    total = sum(group.seconds for wave in found for group in wave)
    assert total == pytest.approx(sum(node.seconds for node in graph))
