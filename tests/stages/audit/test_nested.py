"""Limits of the search in archives, and the words for what may be data or Rust's."""

from __future__ import annotations

import bz2
import gzip
import lzma
import random
from pathlib import Path

import pytest
import zstandard

from factory.model.recipe import AuditOptions
from factory.model.target import Target
from factory.stages.audit import nested, wheel_reader
from factory.stages.audit.auditor import AuditReport, Finding, audit_wheel
from tests.support.elf_images import RET, Image, code, wheel
from tests.support.plants import NESTED, R_RISCV_64, sha256_constants, tarred, zipped


def audit(folder: Path, files: dict[str, bytes]) -> AuditReport:
    return audit_wheel(wheel(folder, {"demo/_core.so": Image().build(), **files}), AuditOptions(), Target())


def finding(report: AuditReport, kind: str) -> Finding:
    (found,) = (each for each in report.findings if each.kind == kind)
    return found


def test_archive_beyond_the_budget_is_a_violation(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(nested, "BUDGET", 1000)
    assert not audit(tmp_path, {"demo/big.gz": gzip.compress(bytes(5000))}).ok


def test_archives_share_one_budget(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(nested, "BUDGET", 1000)
    several = {f"demo/{number}.gz": gzip.compress(bytes(400)) for number in range(3)}
    assert [each.library for each in audit(tmp_path, several).violations] == ["demo/2.gz"]


def test_archive_deeper_than_the_limit_is_not_opened(tmp_path: Path) -> None:
    """A zip archive that holds itself would be opened for ever."""
    content = NESTED
    for _ in range(nested.DEPTH + 1):
        content = zipped({"x.zip": content})
    report = audit(tmp_path, {"demo/deep.zip": content})
    assert [each.kind for each in report.violations] == ["nested"]


def test_unreadable_member_hides_no_other(tmp_path: Path) -> None:
    content = bytearray(zipped({"a.txt": b"text" * 99, "fast.so": NESTED}))
    content[40] ^= 0xFF  # in the compressed text
    report = audit(tmp_path, {"demo/plugins.zip": bytes(content)})
    assert [each.kind for each in report.violations] == ["isa"]


def test_large_file_has_a_note(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(wheel_reader, "CONTENT_BYTES", 10_000)
    report = audit(tmp_path, {"demo/model.bin": bytes(20_000)})
    assert report.ok
    assert finding(report, "nested").library == "demo/model.bin"


def test_file_with_many_elf_headers_has_some_findings(tmp_path: Path) -> None:
    report = audit(tmp_path, {"demo/data.bin": b"x" + NESTED[:64] * 100})
    assert 0 < len([each for each in report.findings if each.kind == "nested"]) <= nested.FILES_BEHIND


def test_table_in_code_is_told_as_what_it_may_be(tmp_path: Path) -> None:
    """Without a symbol nobody knows where a function ends."""
    image = Image(text=code(RET) + sha256_constants())
    assert "data table" in finding(audit(tmp_path, {"demo/sha.so": image.build()}), "isa").message


@pytest.mark.parametrize(("strings", "word"), [(b"rustc version 1.90.0", "RUSTFLAGS"), (b"GCC: 14.2", "-fPIC")])
def test_hint_on_text_relocations_fits_the_compiler(tmp_path: Path, strings: bytes, word: str) -> None:
    image = Image(text_relocations=True, relocated={0: R_RISCV_64}, strings=strings, symbols={"demo_sum": (0, 2)})
    found = finding(audit(tmp_path, {"demo/text.so": image.build()}), "text-relocations")
    assert "demo_sum" in found.message
    assert word in found.detail


@pytest.mark.parametrize("kind", ["zip", "tar", "tar.gz", "xz", "bz2", "zst"])
def test_search_of_damaged_archive_raises_nothing(kind: str) -> None:
    files = {"a.txt": b"text" * 99, "fast.so": NESTED, "deep/x.zip": zipped({"b": b"b" * 99})}
    packed = {
        "zip": zipped(files),
        "tar": tarred(files),
        "tar.gz": gzip.compress(tarred(files)),
        "xz": lzma.compress(tarred(files)),
        "bz2": bz2.compress(tarred(files)),
        "zst": zstandard.ZstdCompressor().compress(tarred(files)),
    }[kind]
    chance = random.Random(19)
    problems = 0
    for _ in range(200):
        damaged = bytearray(packed[: chance.choice((len(packed), chance.randrange(1, len(packed))))])
        for _ in range(chance.choice((1, 4))):
            damaged[chance.randrange(len(damaged))] = chance.choice((0, 1, 0x7F, 0xFF, chance.randrange(256)))
        problems += any(found.problem for found in nested.Search().find("demo/x", bytes(damaged)))
    assert problems
