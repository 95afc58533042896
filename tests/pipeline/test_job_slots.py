"""Tests of the number of compilers for each build, by processors, memory and other builds."""

from __future__ import annotations

import os
import threading
from contextlib import ExitStack
from pathlib import Path

import pytest

from factory.errors import TimeLimitReached
from factory.pipeline.job_slots import CompileSlots, Grant, available_memory, processors
from factory.util import cancellation

GB = 10**9


def test_a_recipe_that_is_alone_gets_all_slots() -> None:
    slots = CompileSlots(8, memory=GB)
    with slots.sharing(), slots.taken(0) as grant:
        assert grant == Grant(8, "of 8")


def test_recipes_that_are_worked_on_at_once_get_equal_parts() -> None:
    slots = CompileSlots(5, memory=GB)
    with slots.sharing(), slots.sharing(), slots.taken(0) as first, slots.taken(0) as second:
        assert (first.jobs, second.jobs) == (3, 2)


def test_short_memory_makes_the_share_smaller_and_says_so() -> None:
    slots = CompileSlots(8, memory=4 * GB)
    with slots.taken(int(1.5 * GB)) as grant:
        assert grant == Grant(2, "of 8: 1.5 GB each, 4.0 GB free")


def test_memory_that_another_build_may_take_is_not_free() -> None:
    slots = CompileSlots(8, memory=4 * GB)
    with slots.sharing(), slots.sharing(), slots.taken(GB) as first, slots.taken(2 * GB) as second:
        assert (first.jobs, second.jobs) == (4, 1)


def test_slots_with_too_little_memory_allow_one_compiler() -> None:
    with CompileSlots(8, memory=GB).taken(16 * GB) as grant:
        assert grant.jobs == 1


@pytest.mark.parametrize(("sharers", "wanted", "at_once"), [(1, 5, 4), (1, 2, 2), (2, 5, 2), (8, 5, 1)])
def test_spare_slots_are_a_share_and_leave_one(sharers: int, wanted: int, at_once: int) -> None:
    slots = CompileSlots(4, memory=GB)
    with ExitStack() as stack:
        for _ in range(sharers):
            stack.enter_context(slots.sharing())
        with slots.spare(wanted) as granted, slots.taken(0) as grant:
            assert granted == at_once
            assert 1 <= grant.jobs <= 4 - (granted - 1)
    with slots.taken(0) as grant:
        assert grant.jobs == 4


def test_no_spare_slot_means_one_after_another() -> None:
    slots = CompileSlots(2, memory=GB)
    with slots.taken(0), slots.spare(5) as granted:
        assert granted == 1


def test_a_build_waits_while_no_slot_is_free() -> None:
    slots, order = CompileSlots(1, memory=GB), []

    def second() -> None:
        with slots.taken(0):
            order.append("second")

    with slots.taken(0):
        waiting = threading.Thread(target=second)
        waiting.start()
        order.append("first")
    waiting.join(10)
    assert order == ["first", "second"]


def test_a_build_that_waits_ends_at_the_time_limit() -> None:
    slots = CompileSlots(1, memory=GB)
    with slots.taken(0), cancellation.working_under() as stop:
        stop.request(TimeLimitReached)
        with pytest.raises(TimeLimitReached), slots.taken(0):
            pass


def test_memory_of_control_group_ignores_page_cache(tmp_path: Path) -> None:
    (tmp_path / "memory.max").write_text("300\n")
    (tmp_path / "memory.current").write_text("280\n")
    (tmp_path / "memory.stat").write_text("anon 200\ninactive_file 80\n")
    assert available_memory(tmp_path) == 100


def test_without_a_limit_the_machines_own_memory_counts(tmp_path: Path) -> None:
    (tmp_path / "memory.max").write_text("max\n")
    assert available_memory(tmp_path) > 2**20
    assert 1 <= processors() <= (os.cpu_count() or 1)
