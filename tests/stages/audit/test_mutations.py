"""Tests of damaged ELF files: mutations of a real and of a small library."""

from __future__ import annotations

import random
import struct
from collections.abc import Iterator, Mapping
from pathlib import Path

import numpy as np
import numpy.linalg.lapack_lite
import pytest

from factory.elf.bounds import MalformedElf
from factory.elf.reader import read_links
from factory.elf.symbols import defined_symbols, needed_symbols
from factory.errors import AuditFailed
from factory.model.recipe import AuditOptions
from factory.model.target import Target
from factory.stages.audit.auditor import audit_wheel, render_text
from tests.support.elf_images import RET, VSETVLI, Image, code, wheel

LIBRARY = "demo/_core.so"
# All of them take a minute.
SOME, ALL = 100, 400
HEADER = 64
RISCV = struct.pack("<H", 243)
# Values at which a count, a size or an offset breaks something.
EXTREMES = (0, 1, 0x7F, 0xFF, 0x7FFF, 0xFFFF, 0x7FFFFFFF, 0xFFFFFFFF, 1 << 62, (1 << 63) - 1, 1 << 63, (1 << 64) - 1)
RICH = Image(
    text=code(RET) * 40 + code(VSETVLI, RET),
    soname="libdemo.so.1",
    needed=("libc.so.6", "libm.so.6"),
    runpath="$ORIGIN",
    versions=("GLIBC_2.27", "GLIBC_2.34"),
    symbols={"demo_sum": (0, 2), "demo_product": (2, 4)},
    objects={"constants": (40, 8)},
    undefined=("__atomic_load_16",),
    unwound=((0, 2), (2, 4)),
    relocated={8: 2},
    constants=b"Some text",
    text_relocations=True,
).build()


def real_library() -> bytes:
    """Return a small library of NumPy, marked as one for RISC-V."""
    data = Path(numpy.linalg.lapack_lite.__file__).read_bytes()
    return data[:18] + RISCV + data[20:]


def mutations(data: bytes, seed: int, count: int) -> Iterator[bytes]:
    """Yield damaged copies: cut, with other bytes, with extreme numbers."""
    chance = random.Random(seed)
    tables = [HEADER, struct.unpack_from("<Q", data, 40)[0]]
    for number in range(count):
        copy = bytearray(data)
        if number % 8 == 0:
            yield bytes(copy[: chance.randrange(4, len(copy))])
            continue
        for _ in range(chance.choice((1, 1, 2, 8))):
            start = chance.choice((0, *tables, chance.randrange(len(copy))))
            at = min(start + chance.randrange(4 if start == 0 else 0, 1024), len(copy) - 8)
            value, width = chance.choice(EXTREMES), chance.choice((1, 2, 4, 8))
            copy[at : at + width] = (value & (1 << 8 * width) - 1).to_bytes(width, "little")
        copy[:4] = data[:4]
        yield bytes(copy)


def originals() -> Mapping[str, bytes]:
    """Return the libraries that are mutated."""
    return {"real": real_library(), "small": RICH}


@pytest.mark.parametrize("count", [SOME, pytest.param(ALL, marks=pytest.mark.long)])
@pytest.mark.parametrize("source", ["real", "small"])
def test_audit_of_mutated_library_has_findings_or_fails_cleanly(tmp_path: Path, source: str, count: int) -> None:
    """A numpy warning would be an overflow that nobody thought of."""
    outcomes = set()
    for number, data in enumerate(mutations(originals()[source], 19, count)):
        path = wheel(tmp_path, {LIBRARY: data})
        try:
            with np.errstate(all="raise"):
                report = audit_wheel(path, AuditOptions(), Target())
        except AuditFailed:
            outcomes.add("failed")
            continue
        except Exception as error:
            raise AssertionError(f"mutation {number}") from error
        assert render_text(report)
        outcomes |= {finding.kind for finding in report.findings}
    assert "elf" in outcomes
    assert len(outcomes) > 5


@pytest.mark.parametrize("count", [SOME, pytest.param(ALL, marks=pytest.mark.long)])
@pytest.mark.parametrize("source", ["real", "small"])
def test_tables_of_mutated_library_raise_only_malformed_elf(tmp_path: Path, source: str, count: int) -> None:
    path = tmp_path / "libdemo.so"
    refused = 0
    for number, data in enumerate(mutations(originals()[source], 20, count)):
        path.write_bytes(data)
        for read in (read_links, defined_symbols, needed_symbols):
            try:
                read(path)
            except MalformedElf:
                refused += 1
            except Exception as error:
                raise AssertionError(f"mutation {number}") from error
    assert refused
