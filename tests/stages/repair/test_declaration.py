"""Tests of the audit declaration: written by the repair, read by the audit."""

from __future__ import annotations

import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from factory.cli.main import main
from factory.errors import RepairFailed
from factory.model.artifacts import RepairedWheel
from factory.model.audit_declaration import DECLARATION, decode_declaration, encode_declaration
from factory.model.recipe import AuditOptions
from factory.model.target import Target
from factory.stages.audit.auditor import AuditReport, audit_wheel
from factory.stages.repair.dist_info import add_files
from factory.util.atomic_files import sha256_of
from tests.support.elf_images import RET, RV64GCV, VSETVLI, Image, code, wheel

VECTOR = Image(text=code(VSETVLI, RET), arch=RV64GCV, needed=("libother.so.1",)).build()
OPTIONS = AuditOptions(dispatched=("fast/*_v.so",), provided=("libother.so.1",))


def declared(folder: Path, options: AuditOptions = OPTIONS) -> Path:
    made = wheel(folder, {"fast/kernels_v.so": VECTOR, "fast/__init__.py": b"", "fast/data.txt": b"1\n" * 5000})
    before = RepairedWheel(path=made, sha256=sha256_of(made), platform_tags=("manylinux_2_39_riscv64",))
    after = add_files(before, {DECLARATION: encode_declaration(options)})
    assert after.path == made
    assert after.sha256 == sha256_of(made)
    return made


def audit(path: Path, options: AuditOptions, *, trust: bool) -> AuditReport:
    return audit_wheel(path, options, Target(), trust_declaration=trust)


def test_wheel_without_declaration_keeps_its_bytes(tmp_path: Path) -> None:
    plain = wheel(tmp_path, {"fast/kernels_v.so": VECTOR})
    before = plain.read_bytes()
    add_files(RepairedWheel(path=plain, sha256="", platform_tags=()), {})
    assert plain.read_bytes() == before


def test_declared_wheel_passes_its_audit_anywhere(tmp_path: Path) -> None:
    path = declared(tmp_path)
    assert not audit(path, AuditOptions(), trust=False).ok
    report = audit(path, AuditOptions(), trust=True)
    assert report.ok, report.violations
    assert report.declared == ("fast/*_v.so",)
    assert [note.kind for note in report.notes] == ["declaration"]
    assert audit(path, OPTIONS, trust=False).ok


def test_audit_command_reads_the_declaration(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = declared(tmp_path)
    assert main(["audit", str(path)]) == 0
    assert "fast/kernels_v.so  (run-time dispatched)" in capsys.readouterr().out


def test_declaration_that_is_not_the_recipes_fails(tmp_path: Path) -> None:
    """A source could otherwise declare what it likes."""
    path = declared(tmp_path, AuditOptions(dispatched=("fast/*.so",), provided=("libother.so.1",)))
    assert "declaration" in [finding.kind for finding in audit(path, OPTIONS, trust=False).violations]


@pytest.mark.parametrize(
    "content", [b"", b"[]", b"{}", b'{"version": 2}', b'{"version": 1, "x": []}', b'{"version": 1, "dispatched": "*"}']
)
def test_unreadable_declaration_is_a_violation(tmp_path: Path, content: bytes) -> None:
    path = wheel(tmp_path, {"fast/kernels_v.so": VECTOR, f"vectors_c-1.0.dist-info/{DECLARATION}": content})
    assert "declaration" in [finding.kind for finding in audit(path, AuditOptions(), trust=True).violations]


def test_declaring_twice_gives_the_same_bytes(tmp_path: Path) -> None:
    plain = wheel(tmp_path, {"fast/kernels_v.so": VECTOR})
    copy = Path(shutil.copy(plain, tmp_path / "copy.whl"))
    globs = ("fast/*_v.so", "other/*")
    for path, options in ((plain, globs), (copy, globs[::-1])):
        content = encode_declaration(AuditOptions(dispatched=options))
        add_files(RepairedWheel(path=path, sha256="", platform_tags=()), {DECLARATION: content})
    assert sha256_of(plain) == sha256_of(copy)


def test_source_with_a_declaration_of_its_own_fails(tmp_path: Path) -> None:
    path = wheel(tmp_path, {f"vectors_c-1.0.dist-info/{DECLARATION}": encode_declaration(OPTIONS)})
    with pytest.raises(RepairFailed, match=r"factory-audit\.json"):
        add_files(RepairedWheel(path=path, sha256="", platform_tags=()), {DECLARATION: b"{}"})


def test_declared_wheel_keeps_its_other_members(tmp_path: Path) -> None:
    plain = wheel(tmp_path, {"fast/kernels_v.so": VECTOR, "fast/data.txt": b"1\n" * 5000})
    with zipfile.ZipFile(plain) as archive:
        before = {info.filename: (archive.read(info), info.date_time) for info in archive.infolist()}
    add_files(RepairedWheel(path=plain, sha256="", platform_tags=()), {DECLARATION: encode_declaration(OPTIONS)})
    with zipfile.ZipFile(plain) as archive:
        after = {info.filename: (archive.read(info), info.date_time) for info in archive.infolist()}
    added = {name for name in after if after[name] != before.get(name)}
    assert added == {f"vectors_c-1.0.dist-info/{name}" for name in (DECLARATION, "RECORD")}
    assert list(after)[-1] == "vectors_c-1.0.dist-info/RECORD"


def test_pip_installs_the_declaration(tmp_path: Path) -> None:
    path = declared(tmp_path)
    pip = [sys.executable, "-m", "pip", "install", "--no-deps", "--no-index", "--target", str(tmp_path / "site")]
    platform = ["--platform=manylinux_2_39_riscv64", "--python-version=3.13", "--only-binary=:all:"]
    subprocess.run([*pip, *platform, str(path)], check=True, capture_output=True)
    installed = tmp_path / f"site/vectors_c-1.0.dist-info/{DECLARATION}"
    assert decode_declaration(installed.read_bytes()) == OPTIONS
