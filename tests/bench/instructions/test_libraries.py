"""Tests of library addresses and of instructions relative to them."""

from __future__ import annotations

from fractions import Fraction

from factory.bench.instructions.libraries import mapped_libraries, relative
from factory.bench.instructions.trace import Instruction

MAPS = """\
10000-59c000 r-xp 00000000 00:39 10051621                                /usr/bin/python3.13
1555d57000-1555d77000 r-xp 00000000 00:39 10057194                       /usr/lib/libc.so.6
1555d79000-1555d7a000 rw-p 00022000 00:39 10057194                       /usr/lib/libc.so.6
1555d7a000-1555d7b000 rw-p 00000000 00:00 0
1555d7b000-1555d7c000 r-xp 00000000 00:00 0                              [vdso]
1556000000-1556001000 r-xp 00000000 00:39 1499688                        /site-packages/some thing/a.cpython-313.so
"""
OWN = "/site-packages/some thing/a.cpython-313.so"


def test_mapped_libraries_cover_all_mappings_of_a_file() -> None:
    assert mapped_libraries(MAPS, lambda path: True) == {
        "/usr/lib/libc.so.6": range(0x1555D57000, 0x1555D7A000),
        OWN: range(0x1556000000, 0x1556001000),
    }
    assert list(mapped_libraries(MAPS, lambda path: "site-packages" in path)) == [OWN]


def test_relative_is_independent_of_load_address() -> None:
    def ret_at(address: int) -> Instruction:
        return Instruction(address, 0x8082, 2, 8, Fraction(1))

    here = relative(
        {ret_at(0x1010): 3, ret_at(0x2010): 5, ret_at(0x9000): 9},
        {"a": range(0x1000, 0x2000), "b": range(0x2000, 0x3000)},
    )
    there = relative({ret_at(0x5010): 3, ret_at(0x8010): 5}, {"a": range(0x5000, 0x6000), "b": range(0x8000, 0x9000)})
    assert here == there
    assert sorted(here.values()) == [3, 5]
