"""Comparing two wheels member by member."""

from __future__ import annotations

import zipfile
from collections.abc import Sequence
from pathlib import Path

from factory.pipeline.wheel_diff import Difference, compare_wheels


def wheel(path: Path, members: Sequence[tuple[str, bytes]], *, year: int = 1980) -> Path:
    with zipfile.ZipFile(path, "w") as archive:
        for name, content in members:
            archive.writestr(zipfile.ZipInfo(name, (year, 1, 1, 0, 0, 0)), content)
    return path


def test_equal_wheels_have_no_difference(tmp_path: Path) -> None:
    members = [("a.py", b"1"), ("b.py", b"2")]
    assert compare_wheels(wheel(tmp_path / "one", members), wheel(tmp_path / "two", members)) == []


def test_diff_names_changed_missing_and_added_members(tmp_path: Path) -> None:
    before = wheel(tmp_path / "before", [("a.py", b"1"), ("b.py", b"22"), ("same.py", b"")])
    after = wheel(tmp_path / "after", [("a.py", b"333"), ("c.py", b""), ("same.py", b"")])
    assert compare_wheels(before, after) == [
        Difference("a.py", "contents", 1, 3),
        Difference("b.py", "only in the recorded wheel", 2, None),
        Difference("c.py", "only in the rebuilt wheel", None, 0),
    ]


def test_diff_names_members_with_other_times(tmp_path: Path) -> None:
    before = wheel(tmp_path / "before", [("a.py", b"1")])
    after = wheel(tmp_path / "after", [("a.py", b"1")], year=2026)
    assert compare_wheels(before, after) == [Difference("a.py", "time, mode or compression", 1, 1)]


def test_another_order_of_the_same_members_is_a_difference(tmp_path: Path) -> None:
    members = [("a.py", b"1"), ("b.py", b"2")]
    before, after = wheel(tmp_path / "before", members), wheel(tmp_path / "after", members[::-1])
    size = before.stat().st_size
    assert compare_wheels(before, after) == [Difference("(the archive)", "order of members", size, size)]
