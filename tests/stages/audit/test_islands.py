"""Vector code among data, and data that reads like it."""

from __future__ import annotations

import struct

import pytest

from factory.stages.audit.islands import vector_islands

# vsetvli t0, a0, e32, m1, ta, ma; vle32.v v8, (a1); vse32.v v8, (a1); ret
COPY = struct.pack("<IIIH", 0x0D0572D7, 0x0205E407, 0x0205E427, 0x8082)
# Part of a parser's table in libtorch_cpu: 16-bit numbers, small or just below 0. Bytes d7 ff are the end of a vset.
TABLE = bytes.fromhex(
    "d7ff2a00d7ff43001a00270088ff39001a00260088ff3a001a00adff5500acff0000b2ff1f00410002008e00b1ff0100"
    "d7ff2a00d7ff43001a00270088ff39001a00260088ff3a001a00adff5500acff00004100d7ff45001a00260088ff3a00"
)


def test_vector_code_in_data_is_found() -> None:
    assert vector_islands(b"\0" * 6 + COPY + b"\0" * 6).offsets.tolist() == [6, 10, 14]


def test_a_parsers_table_holds_no_code() -> None:
    assert not len(vector_islands(TABLE * 3).offsets)


@pytest.mark.parametrize(
    ("offset", "encoding", "reason"),
    [
        (0, 0x0D4572D7, "LMUL 4 is reserved"),
        (0, 0x0E0572D7, "SEW 4 is reserved"),
        (4, 0x1205E407, "mew is reserved"),
        (4, 0x0D4572D7, "a second vset with a reserved type"),
        (4, 0x4D0572D7, "a vset with reserved bits"),
        (4, 0x00020002, "shifts of register 0"),
    ],
)
def test_reserved_encodings_end_a_block(offset: int, encoding: int, reason: str) -> None:
    code = COPY[:offset] + struct.pack("<I", encoding) + COPY[offset + 4 :]
    assert not len(vector_islands(code).offsets), reason
