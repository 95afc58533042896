"""Waves: groups of jobs that machines build at the same time.

One wave is built after the other.

A group is one job of a CI system. Groups of a wave need nothing of each other. Each costs a start-up, so small jobs
share a group, and small waves are joined.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Callable, Collection, Hashable, Sequence
from dataclasses import dataclass, field
from functools import cache
from itertools import count
from typing import Generic, TypeVar

from factory.errors import RecipeError
from factory.util.quantities import quantity

K = TypeVar("K", bound=Hashable)

# From the start of a machine to the first command of a build: checkout, installation, the cache with its roots.
START_SECONDS = 300.0
# A group has at least this work, where the wave has it: start-up is then a fifth of its time at most.
LEAST_SECONDS = 4 * START_SECONDS
# Duration of a job that nothing is known of.
UNKNOWN_SECONDS = 600.0
# GitHub refuses a matrix with more jobs.
MAX_GROUPS = 256


@dataclass(frozen=True, slots=True, kw_only=True)
class Node(Generic[K]):
    """A job with its duration in seconds and the jobs that it needs; 0 s for a built one."""

    name: K
    seconds: float
    needs: frozenset[K]


@dataclass(frozen=True, slots=True)
class Part(Generic[K]):
    """A job, or a part of one that takes longer than a machine runs; parts count from 0."""

    name: K
    number: int
    is_last: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Group(Generic[K]):
    """Parts that one machine builds, and the seconds that it takes without its start-up."""

    parts: tuple[Part[K], ...]
    seconds: float


Wave = tuple[Group[K], ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """Limits of a CI system: the seconds that a machine builds, groups in all, waves."""

    job_seconds: float
    groups: int = MAX_GROUPS
    waves: int = 6


def make_waves(nodes: Sequence[Node[K]], limits: Limits) -> list[Wave[K]]:
    """Return the waves whose total time is the least, within the limits.

    `nodes` are in the order in which they can be built. Those without seconds are built already.

    Raises:
        RecipeError: they are more than the groups can hold.
    """
    levels = _levels(nodes, limits.job_seconds)
    if not levels:
        return []
    for attempt in count():
        least = LEAST_SECONDS * 1.5**attempt
        waves = _join(levels, least, limits)
        if sum(map(len, waves)) <= limits.groups:
            return waves
        if least > sum(node.seconds for node in nodes):
            raise RecipeError(
                f"plan: {quantity(sum(map(len, waves)), 'group')}, but at most {limits.groups} are allowed",
                hint="name fewer recipes, or raise the limits",
            )
    raise AssertionError


@dataclass(frozen=True, slots=True, kw_only=True)
class _Piece(Generic[K]):
    """A part with its seconds, and the parts of to-be-built jobs that it needs."""

    part: Part[K]
    seconds: float
    needs: frozenset[Part[K]]


def _levels(nodes: Sequence[Node[K]], job_seconds: float) -> list[list[_Piece[K]]]:
    """Return the parts of all jobs to build, each below the last parts of what it needs."""
    last: dict[K, Part[K]] = {}
    needed: dict[K, frozenset[Part[K]]] = {}  # through built jobs
    level_of: dict[Part[K], int] = {}
    levels: defaultdict[int, list[_Piece[K]]] = defaultdict(list)
    for node in nodes:
        needs: frozenset[Part[K]] = frozenset().union(
            *({last[need]} if need in last else needed.get(need, frozenset()) for need in node.needs)
        )
        if not node.seconds:
            needed[node.name] = needs
            continue
        parts = math.ceil(node.seconds / job_seconds)
        level = max((level_of[need] + 1 for need in needs), default=0)
        for number in range(parts):
            part = Part(node.name, number, number == parts - 1)
            levels[level + number].append(_Piece(part=part, seconds=node.seconds / parts, needs=needs))
            level_of[part] = level + number
            needs = frozenset({part})
        last[node.name] = part
    return _postpone([levels[level] for level in sorted(levels)])


def _postpone(levels: list[list[_Piece[K]]]) -> list[list[_Piece[K]]]:
    """Move jobs that nothing needs to the level that they lengthen least.

    A long job then holds up no other that waits for a short one of its level.
    """
    needed = {need for level in levels for piece in level for need in piece.needs}
    kept = [[piece for piece in level if piece.part in needed or piece.part.number] for level in levels]
    free = [(number, piece) for number, level in enumerate(levels) for piece in level if piece not in kept[number]]
    longest = [max([LEAST_SECONDS, *(piece.seconds for piece in level)]) for level in kept]
    # First those that have no choice, then the longest.
    for earliest, piece in sorted(free, key=lambda pair: (len(levels) - pair[0] > 1, -pair[1].seconds)):
        chosen = min(
            range(earliest, len(levels)), key=lambda level: (max(0.0, piece.seconds - longest[level]), -longest[level])
        )
        longest[chosen] = max(longest[chosen], piece.seconds)
        kept[chosen].append(piece)
    return [level for level in kept if level]


def _join(levels: Sequence[list[_Piece[K]]], least: float, limits: Limits) -> list[Wave[K]]:
    """Join neighbouring levels where that makes the whole shorter.

    Levels are also joined where there are too many.
    """

    @cache
    def wave(first: int, end: int) -> Wave[K]:
        return _pack(_units([piece for level in levels[first:end] for piece in level]), least)

    def cost(first: int, end: int) -> float:
        longest = max(group.seconds for group in wave(first, end))
        # More than a machine's time is only for graphs that are too deep otherwise.
        too_long = max(0.0, longest - limits.job_seconds) if end - first > 1 else 0.0
        return START_SECONDS + longest + 100 * too_long

    cuts = _cheapest(len(levels), limits.waves, cost)
    return [wave(first, end) for first, end in cuts]


def _cheapest(length: int, pieces: int, cost: Callable[[int, int], float]) -> list[tuple[int, int]]:
    """Split `range(length)` into at most `pieces` ranges with the least sum of costs."""

    @cache
    def best(end: int, left: int) -> tuple[float, int, tuple[tuple[int, int], ...]]:
        if end == 0:
            return 0.0, 0, ()
        if left == 0:
            return math.inf, 0, ()
        found = []
        for first in range(end):
            before, number, cuts = best(first, left - 1)
            found.append((before + cost(first, end), number + 1, (*cuts, (first, end))))
        return min(found)

    return list(best(length, pieces)[2])


def _units(pieces: Sequence[_Piece[K]]) -> list[Group[K]]:
    """Return the pieces that depend on each other as one unit; others are units of their own."""
    root: dict[Part[K], Part[K]] = {piece.part: piece.part for piece in pieces}

    def find(part: Part[K]) -> Part[K]:
        while root[part] != part:
            part = root[part]
        return part

    for piece in pieces:
        for need in piece.needs & root.keys():
            root[find(piece.part)] = find(need)
    units: defaultdict[Part[K], list[_Piece[K]]] = defaultdict(list)
    for piece in pieces:
        units[find(piece.part)].append(piece)
    return [_group(members) for members in units.values()]


def _group(pieces: Collection[_Piece[K]]) -> Group[K]:
    parts = {piece.part.name: piece.part for piece in pieces}  # the last one of a job
    return Group(parts=tuple(parts.values()), seconds=sum(piece.seconds for piece in pieces))


def _pack(units: Sequence[Group[K]], least: float) -> Wave[K]:
    """Pack units into as few groups as need no more time than the longest unit, evenly.

    A group may take `least` seconds also where no unit does.
    """
    size = max(least, *(unit.seconds for unit in units))
    longest_first = sorted(units, key=lambda unit: -unit.seconds)
    dense: list[_Bin[K]] = []
    for unit in longest_first:
        found = next((each for each in dense if each.seconds + unit.seconds <= size), None)
        if found is None:
            dense.append(found := _Bin())
        found.add(unit)
    even: list[_Bin[K]] = [_Bin() for _ in dense]
    for unit in longest_first:
        min(even, key=lambda each: each.seconds).add(unit)
    shorter = min(even, dense, key=lambda bins: max(each.seconds for each in bins))
    return tuple(Group(parts=tuple(each.parts), seconds=each.seconds) for each in shorter)


@dataclass(slots=True)
class _Bin(Generic[K]):
    """A group that is being filled."""

    seconds: float = 0.0
    parts: list[Part[K]] = field(default_factory=list)

    def add(self, unit: Group[K]) -> None:
        self.seconds += unit.seconds
        self.parts.extend(unit.parts)
