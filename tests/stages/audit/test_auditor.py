"""The audit: what a wheel may hold, what is refused, and the words in which that is said."""

from __future__ import annotations

import json
import struct
import zipfile
from argparse import ArgumentParser
from contextlib import suppress
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from factory.cli.commands.audit import configure, run
from factory.elf.bounds import MalformedElf
from factory.elf.reader import read_elf
from factory.elf.symbols import SymbolMap
from factory.errors import AuditFailed
from factory.model.recipe import AuditOptions
from factory.model.target import Target
from factory.stages.audit import wheel_reader
from factory.stages.audit.auditor import AuditReport, audit_wheel, render_text, require_clean
from factory.stages.audit.report import Finding
from tests.support.elf_images import DT_VERNEED, READ_WRITE_EXEC, RET, RV64GCV, VSETVLI, Image, code, wheel

LIBRARY = "vectors_c.cpython-313-riscv64-linux-gnu.so"
PLAIN = Image(symbols={"vectors_c_sum": (0, 2)}).build()
VECTOR_TEXT = code(RET, VSETVLI, VSETVLI, RET)
VECTOR = Image(text=VECTOR_TEXT, arch=RV64GCV, symbols={"vectors_c_sum": (2, 10)}).build()
# What a library looks like whose vector code was written with `.word`: its attributes claim the baseline.
LYING = Image(text=VECTOR_TEXT, symbols={"vectors_c_sum": (2, 10)}).build()
CLAIMING = Image(arch=RV64GCV).build()


def audit(path: Path, *dispatched: str) -> AuditReport:
    return audit_wheel(path, AuditOptions(dispatched=dispatched), Target())


def audit_image(folder: Path, image: Image, tag: str = "cp313-cp313-manylinux_2_39_riscv64") -> AuditReport:
    return audit(wheel(folder, {f"vectors/{LIBRARY}": image.build()}, tag=tag))


def messages(report: AuditReport) -> list[str]:
    return [finding.message for finding in report.violations]


def test_audit_of_baseline_library_passes(tmp_path: Path) -> None:
    report = audit(wheel(tmp_path, {LIBRARY: PLAIN}))
    assert report.ok
    assert report.notes == ()
    require_clean(report)
    assert render_text(report).splitlines()[-1] == "ok: 1 ELF file"


def test_audit_of_undeclared_vector_code_fails_with_recipe_line(tmp_path: Path) -> None:
    with pytest.raises(AuditFailed) as failure:
        require_clean(audit(wheel(tmp_path, {LIBRARY: VECTOR})))
    assert failure.value.message.splitlines() == [
        "vectors_c-1.0-cp313-cp313-manylinux_2_39_riscv64.whl: the audit failed:",
        f"  {LIBRARY}: contains instructions beyond rv64gc: "
        "2 x V (first: 0x0d0077d7 at .text 0x1002 (vectors_c_sum+0x0))",
    ]
    hint = failure.value.hint or ""
    assert "-march=rv64gc" in hint
    assert f'[audit]\n          dispatched = ["{LIBRARY}"]' in hint


def test_audit_of_declared_vector_code_passes(tmp_path: Path) -> None:
    report = audit(wheel(tmp_path, {LIBRARY: VECTOR}), "vectors_c.*.so")
    require_clean(report)
    (library,) = report.libraries
    assert library.dispatched
    assert library.declares == ("v", "zve32f", "zvl128b")
    assert [(use.extension, use.count) for use in library.uses] == [("V", 2)]


def test_audit_ignores_attributes_of_vector_code(tmp_path: Path) -> None:
    report = audit(wheel(tmp_path, {LIBRARY: LYING}))
    assert report.libraries[0].declares == ()
    assert messages(report)[0].startswith("contains instructions beyond rv64gc: 2 x V")


def test_audit_finds_vector_code_without_section_headers(tmp_path: Path) -> None:
    bare = Image(text=VECTOR_TEXT, arch=None, section_headers=False)
    report = audit_image(tmp_path, bare)
    assert messages(report) == [
        "contains instructions beyond rv64gc: 2 x V (first: 0x0d0077d7 at segment 1 0x1002)",
    ]
    (note,) = report.notes
    assert note.message.startswith("has no architecture attribute")


def test_audit_reads_needs_without_section_headers(tmp_path: Path) -> None:
    report = audit_image(tmp_path, Image(versions=("GLIBC_2.17", "GLIBC_2.99"), arch=RV64GCV, section_headers=False))
    assert messages(report) == [
        "built for more than rv64gc: its attributes declare v zve32f zvl128b",
        "needs glibc 2.99, the tag promises 2.39",
    ]


def test_audit_of_versions_outside_segments_fails(tmp_path: Path) -> None:
    image = Image(versions=("GLIBC_2.99",)).build()
    versions = struct.pack("<Q", DT_VERNEED)
    beyond = image.index(versions) + len(versions)
    report = audit(wheel(tmp_path, {LIBRARY: image[:beyond] + bytes([255] * 8) + image[beyond + 8 :]}))
    (message,) = messages(report)
    assert message.startswith("not a readable ELF file ")
    assert "0xffffffffffffffff" in message


def test_audit_of_attributes_beyond_baseline_fails(tmp_path: Path) -> None:
    report = audit(wheel(tmp_path, {LIBRARY: CLAIMING}))
    assert messages(report) == ["built for more than rv64gc: its attributes declare v zve32f zvl128b"]


def test_audit_of_declaration_without_match_fails(tmp_path: Path) -> None:
    report = audit(wheel(tmp_path, {LIBRARY: VECTOR}), LIBRARY, "lib/*_v.so")
    (finding,) = report.violations
    assert str(finding).startswith("lib/*_v.so: declared as run-time dispatched, ")
    with pytest.raises(AuditFailed, match=r'remove "lib/\*_v.so" from \[audit\] dispatched'):
        require_clean(report)


def test_hint_keeps_valid_declarations_and_drops_stale_ones(tmp_path: Path) -> None:
    path = wheel(tmp_path, {"a_v.so": VECTOR, "b.so": LYING})
    with pytest.raises(AuditFailed) as failure:
        require_clean(audit(path, "a_*.so", "gone.so"))
    assert 'dispatched = ["a_*.so", "b.so"]' in (failure.value.hint or "")


def test_declaration_star_does_not_cross_folders(tmp_path: Path) -> None:
    report = audit(wheel(tmp_path, {f"deep/lib/{LIBRARY}": VECTOR}), "deep/*")
    assert [finding.kind for finding in report.violations] == ["isa", "dispatched"]


def test_audit_of_declared_baseline_library_has_note(tmp_path: Path) -> None:
    report = audit(wheel(tmp_path, {LIBRARY: PLAIN}), LIBRARY)
    assert report.ok
    assert [note.message for note in report.notes] == ["declared as run-time dispatched, but within the baseline"]


@pytest.mark.parametrize(
    ("image", "message"),
    [
        (Image(machine=62), "built for 64-bit X86_64, not for 64-bit RISC-V"),
        (Image(flags=0x1), "soft-float ABI, not lp64d (-mabi=lp64d)"),
        (Image(flags=0x3), "single-float ABI, not lp64d (-mabi=lp64d)"),
        (Image(flags=0x15), "relies on the memory order of Ztso"),
        (Image(runpath="$ORIGIN/../x.libs:/usr/local/lib"), "the run path '/usr/local/lib' is not relative to $ORIGIN"),
        (Image(rpath="/build/lib"), "the run path '/build/lib' is not relative to $ORIGIN"),
        (Image(runpath="$ORIGIN:"), "the run path '' is not relative to $ORIGIN"),
        (Image(runpath="$ORIGINAL"), "the run path '$ORIGINAL' is not relative to $ORIGIN"),
        (Image(needed=("/build/libm.so",)), "'/build/libm.so' in SONAME or NEEDED is a path"),
        (Image(soname="out/x.so"), "'out/x.so' in SONAME or NEEDED is a path"),
        (Image(text_relocations=True, relocated={0: 2}), "has text relocations (first: 0x1000)"),
        (Image(stack=None), "asks for an executable stack (no PT_GNU_STACK header)"),
        (Image(stack=READ_WRITE_EXEC), "asks for an executable stack (an executable PT_GNU_STACK header)"),
        (Image(versions=("GLIBC_2.34", "GLIBC_2.40")), "needs glibc 2.40, the tag promises 2.39"),
        (Image(versions=("GLIBC_PRIVATE",)), "needs private symbols of glibc (GLIBC_PRIVATE)"),
    ],
)
def test_audit_of_unloadable_library_fails(tmp_path: Path, image: Image, message: str) -> None:
    assert messages(audit_image(tmp_path, image)) == [message]


@pytest.mark.parametrize("run_path", ["$ORIGIN", "$ORIGIN/../x.libs", "${ORIGIN}/lib:$ORIGIN", ""])
def test_audit_of_relative_run_path_passes(tmp_path: Path, run_path: str) -> None:
    assert audit_image(tmp_path, Image(runpath=run_path)).ok


def test_audit_uses_lowest_glibc_of_platform_tags(tmp_path: Path) -> None:
    tag = "cp313-cp313-manylinux_2_35_riscv64.manylinux_2_39_riscv64"
    inside = ["cp313-cp313-manylinux_2_35_riscv64", "cp313-cp313-manylinux_2_39_riscv64"]
    path = wheel(tmp_path, {LIBRARY: Image(versions=("GLIBC_ABI_DT_RELR",)).build()}, tag=tag, tags_inside=inside)
    assert messages(audit(path)) == ["needs glibc 2.36, the tag promises 2.35"]


def test_audit_compares_versions_as_numbers(tmp_path: Path) -> None:
    versions = ("GLIBC_2.4", "GLIBC_2.27", "GLIBCXX_3.4.9", "GLIBCXX_3.4.32", "CXXABI_1.3")
    (library,) = audit_image(tmp_path, Image(versions=versions)).libraries
    assert (library.glibc, library.glibcxx) == ("2.27", "3.4.32")


def test_audit_of_tag_above_target_fails(tmp_path: Path) -> None:
    report = audit_image(tmp_path, Image(), tag="cp313-cp313-manylinux_2_41_riscv64")
    (message,) = messages(report)
    assert [word for word in message.split() if "manylinux" in word] == [
        "manylinux_2_41_riscv64",
        "manylinux_2_39_riscv64",
    ]


def test_audit_of_unrepaired_wheel_uses_target(tmp_path: Path) -> None:
    report = audit_image(tmp_path, Image(versions=("GLIBC_2.41",)), tag="cp313-cp313-linux_riscv64")
    assert [(each.kind, each.message) for each in report.violations] == [
        ("tag", "the platform tag linux_riscv64 names no glibc: such a wheel is for the machine that built it"),
        ("glibc", "needs glibc 2.41, the tag promises 2.39"),
    ]


def test_audit_of_wheel_for_other_platform_fails(tmp_path: Path) -> None:
    report = audit_image(tmp_path, Image(), tag="cp313-cp313-musllinux_1_2_riscv64")
    assert messages(report) == ["the platform tag musllinux_1_2_riscv64 is not one of riscv64 with glibc"]


def test_audit_of_tags_that_differ_from_wheel_file_fails(tmp_path: Path) -> None:
    path = wheel(tmp_path, {LIBRARY: PLAIN}, tags_inside=["cp312-cp312-manylinux_2_39_riscv64"])
    (message,) = messages(audit(path))
    assert " cp313-cp313-manylinux_2_39_riscv64, " in message
    assert message.endswith(" cp312-cp312-manylinux_2_39_riscv64")


def test_audit_of_pure_wheel_with_library_fails(tmp_path: Path) -> None:
    report = audit(wheel(tmp_path, {LIBRARY: PLAIN}, tag="py3-none-any"))
    assert messages(report) == [f"tagged for any platform, but holds 1 ELF file, such as {LIBRARY}"]


def test_audit_of_platform_wheel_without_library_has_note(tmp_path: Path) -> None:
    report = audit(wheel(tmp_path, {"vectors_c.py": b"pass\n"}))
    assert report.ok
    assert [note.message for note in report.notes] == ["tagged for riscv64, but holds no ELF file"]


def test_audit_of_duplicate_libraries_fails(tmp_path: Path) -> None:
    report = audit(wheel(tmp_path, {"lib/libx.so": PLAIN, "lib/libx.so.1": PLAIN}))
    assert [str(finding) for finding in report.violations] == ["lib/libx.so: the same bytes as lib/libx.so.1"]


def test_audit_of_build_path_in_string_has_note(tmp_path: Path) -> None:
    report = audit_image(tmp_path, Image(strings=b"/build/src/sum.c\0/usr/share/x\0"))
    assert report.ok
    (note,) = report.notes
    assert note.message.startswith("1 possible path of a build machine, such as ")
    assert note.message.endswith(" /build/src/sum.c")


def test_audit_of_malformed_library_continues_with_others(tmp_path: Path) -> None:
    report = audit(wheel(tmp_path, {"a.so": PLAIN[:200], LIBRARY: VECTOR}))
    assert [(finding.library, finding.kind) for finding in report.violations] == [("a.so", "elf"), (LIBRARY, "isa")]
    assert report.violations[0].message.startswith("not a readable ELF file (")


@given(st.lists(st.tuples(st.integers(0, len(VECTOR) - 1), st.integers(0, 255)), min_size=1, max_size=20))
def test_reader_of_mutated_elf_raises_only_malformed_elf(changes: list[tuple[int, int]]) -> None:
    data = bytearray(VECTOR)
    for position, value in changes:
        data[position] = value
    with suppress(MalformedElf):
        read_elf(bytes(data))


def test_symbol_map_describes_addresses() -> None:
    symbols = SymbolMap(Image(text=bytes(32), symbols={"f": (0, 4), "g": (8, 4)}).build())
    assert symbols.describe(0x1002) == "f+0x2"
    assert symbols.describe(0x1006) == "after f"
    assert symbols.describe(0x0FFF) is None
    assert SymbolMap(b"\x7fELF").describe(0) is None


def test_json_report_has_version_and_all_fields(tmp_path: Path) -> None:
    report = json.loads(json.dumps(audit(wheel(tmp_path, {LIBRARY: VECTOR})).to_json()))
    assert (report["version"], report["ok"]) == (1, False)
    assert report["violations"][0]["kind"] == "isa"
    (use,) = report["libraries"][0]["uses"]
    assert (use["extension"], use["count"]) == ("V", 2)
    assert use["examples"][0] == {
        "section": ".text",
        "address": 0x1002,
        "encoding": "0x0d0077d7",
        "symbol": "vectors_c_sum+0x0",
    }


def run_command(*argv: str) -> int:
    parser = ArgumentParser()
    configure(parser)
    return run(parser.parse_args(argv))


def test_audit_command_prints_text_and_fails(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = str(wheel(tmp_path, {LIBRARY: VECTOR}))
    assert run_command(path) == AuditFailed.exit_code
    assert f"  violation: {LIBRARY}: contains instructions beyond rv64gc" in capsys.readouterr().out
    assert run_command(path, "--dispatched", LIBRARY) == 0
    assert f"  {LIBRARY}  (run-time dispatched)" in capsys.readouterr().out


def test_audit_command_prints_json(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run_command(str(wheel(tmp_path, {LIBRARY: PLAIN})), "--json") == 0
    assert json.loads(capsys.readouterr().out)["ok"] is True


def test_audit_of_other_file_fails(tmp_path: Path) -> None:
    other = tmp_path / "notes.txt"
    with pytest.raises(AuditFailed, match=r"notes\.txt: not a wheel's file name"):
        audit(other)
    broken = tmp_path / "vectors_c-1.0-cp313-cp313-manylinux_2_39_riscv64.whl"
    with pytest.raises(AuditFailed, match=r"cannot be read: No such file"):
        audit(broken)
    broken.write_bytes(b"no archive")
    with pytest.raises(AuditFailed, match=r"not a readable zip archive"):
        audit(broken)
    with zipfile.ZipFile(broken, "w") as archive:
        archive.writestr(LIBRARY, PLAIN)
    with pytest.raises(AuditFailed, match=r"no \.dist-info/WHEEL file"):
        audit(broken)


def test_audit_of_damaged_member_fails(tmp_path: Path) -> None:
    path = wheel(tmp_path, {LIBRARY: PLAIN})
    data = bytearray(path.read_bytes())
    data[len(LIBRARY) + 30 + 20] ^= 0xFF
    path.write_bytes(data)
    with pytest.raises(AuditFailed, match=r"not a readable zip archive"):
        audit(path)


def test_audit_of_zip_bomb_fails_before_unpacking(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(wheel_reader, "SUSPICIOUS_BYTES", 1 << 20)
    path = wheel(tmp_path, {LIBRARY: PLAIN, "model.bin": bytes(2 << 20)})
    with pytest.raises(AuditFailed, match=r"refused: it unpacks to \d+ bytes, \d+ times its own size"):
        audit(path)


def test_audit_of_oversized_member_fails(tmp_path: Path) -> None:
    path = wheel(tmp_path, {LIBRARY: PLAIN})
    data = bytearray(path.read_bytes())
    entry = data.index(b"PK\x01\x02")
    struct.pack_into("<I", data, entry + 24, 0xFFFFFFF0)
    path.write_bytes(data)
    with pytest.raises(AuditFailed, match=r"refused: it unpacks to 42949"):
        audit(path)


@pytest.mark.parametrize("name", ["../evil.so", "/etc/evil.so", "a/../../evil.so", "..\\evil.so"])
def test_audit_of_member_outside_wheel_fails(tmp_path: Path, name: str) -> None:
    with pytest.raises(AuditFailed, match=r"would be installed outside its folder"):
        audit(wheel(tmp_path, {name: PLAIN}))


def test_hint_for_an_absolute_run_path_names_the_setting(tmp_path: Path) -> None:
    report = audit_image(tmp_path, Image(runpath="/usr/lib/riscv64-linux-gnu/hdf5/serial"))
    with pytest.raises(AuditFailed) as failure:
        require_clean(report)
    assert "runtime_library_dirs" in (failure.value.hint or "")


def test_hint_begins_with_the_extension_that_is_missing() -> None:
    tag = Finding(kind="tag", library="", message="names no glibc", detail="make it any")
    missing = Finding(kind="purity", library="", message="holds no ELF file", detail="the build left it out")
    report = AuditReport(wheel="a.whl", declared=(), libraries=(), findings=(tag, missing))
    with pytest.raises(AuditFailed) as failure:
        require_clean(report)
    assert (failure.value.hint or "").split() == ["the", "build", "left", "it", "out", "make", "it", "any"]
