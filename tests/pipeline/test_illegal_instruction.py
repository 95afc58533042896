"""Illegal instructions of checks: located, disassembled, and told apart by cause."""

from __future__ import annotations

from pathlib import Path

import pytest

from factory.model.recipe import CheckOptions, Recipe
from factory.model.target import PROFILES
from factory.pipeline.illegal_instruction import describe, extensions, vector_setting
from factory.stages.checks.faults import Fault, parse_fault
from factory.stages.checks.runner import SCRIPT, run_profiles
from factory.stages.environments.rootfs import RootfsEnvironment
from factory.stages.sources.local import LocalSource
from tests.support.logs import MemoryLog

RVV128 = "rv64imafdcv_zicsr_zifencei_zba_zbb_zbs"
RV64GC = "rv64imafdc_zicsr_zifencei"
# vsetvli a5,zero,e8,mf4,ta,ma and others; vfredusum.vs v8,v8,v9; vadd.vv v8,v8,v9
E8_MF4, E16_M1, E32_M1 = 0x0C6077D7, 0x0C8077D7, 0x0D0077D7
VFREDUSUM, VADD, SH1ADD, UNIMP, CUSTOM = 0x06849457, 0x02848457, 0x20A52533, 0xC0001073, 0x0000000B


def words(*encodings: int) -> bytes:
    return b"".join(each.to_bytes(4, "little") for each in encodings)


def fault(code: bytes, before: bytes = b"", isa: str = RVV128) -> Fault:
    return Fault(
        address=0x7F00, file="/opt/venv/x.so", offset=0x700, symbol="sum+0x10", before=before, code=code, isa=isa
    )


@pytest.mark.parametrize(
    ("found", "cause"),
    [
        (fault(words(VFREDUSUM), words(E8_MF4)), "reserved encoding after `vsetvli e8,mf4`"),
        (fault(words(VFREDUSUM), words(E8_MF4)), "GCC 14.2 makes this"),
        (fault(words(VFREDUSUM), words(E16_M1)), "code for another CPU: it needs Zvfh"),
        (fault(words(VFREDUSUM), words(E16_M1), f"{RVV128}_zvfh"), "reserved encoding after `vsetvli e16,m1`"),
        (fault(words(VFREDUSUM), words(E32_M1), RV64GC), "code for another CPU: it needs V,"),
        (fault(words(E32_M1), isa=RV64GC), "code for another CPU: it needs V,"),
        (fault(words(SH1ADD), isa=RV64GC), "code for another CPU: it needs Zba,"),
        (fault(words(UNIMP)), "a trap that the compiler put there"),
        (fault(b"\0\0\0\0"), "a trap that the compiler put there"),
        (fault(words(0x10500073)), "an instruction of operating systems"),  # wfi
        (fault(words(CUSTOM)), "another CPU"),
    ],
)
def test_cause_tells_other_cpu_from_reserved_encoding(found: Fault, cause: str) -> None:
    text = describe(found, ())
    assert cause in text
    assert "at 0x7f00 in /opt/venv/x.so (offset 0x700), sum+0x10" in text


def test_nearest_vector_setting_is_found() -> None:
    assert vector_setting(words(E8_MF4, 0x00000013, E32_M1) + b"\x01\x00") == "vsetvli e32,m1"
    assert vector_setting(words(0xCD027057)) == "vsetivli e32,m1"
    assert vector_setting(words(0x00000013)) is None
    assert vector_setting(b"") is None


def test_extensions_of_kernels_line() -> None:
    assert extensions("rv64imafdcvh_zba_svpbmt") >= {"i", "v", "zba", "svpbmt"}
    assert extensions("") == extensions("unknown") == frozenset()


@pytest.mark.parametrize(
    "printed",
    [
        "", "factory-fault {}", "factory-fault {", 'factory-fault {"address": "x"}', "factory-fault " + "[" * 10_000,
        'factory-fault {"address": 1, "file": 2, "offset": null, "symbol": "", "before": "", "code": "", "isa": ""}',
        'factory-fault {"address": 1, "file": "", "offset": 1, "symbol": "", "before": "zz", "code": "", "isa": ""}',
    ],
)  # fmt: skip
def test_other_output_is_no_fault(printed: str) -> None:
    assert parse_fault(f"before\n{printed}\nafter\n") is None


def test_fault_of_hostile_output_is_printable() -> None:
    found = parse_fault(
        'factory-fault {"address": 1, "file": "a\\u001b[2Jb\\n", "offset": 1, "symbol": "s\\u202e", "before": "00", '
        '"code": "13000000", "isa": "x"}\n'
    )
    assert found is not None
    assert (found.file, found.symbol) == ("a[2Jb", "s")


# Code in executable memory, as a library would have it.
RUNS_CODE = """
import ctypes, mmap
def run(code):
    memory = mmap.mmap(-1, 4096, prot=mmap.PROT_READ | mmap.PROT_WRITE | mmap.PROT_EXEC)
    memory.write(code + (0x00008067).to_bytes(4, "little"))
    ctypes.CFUNCTYPE(None)(ctypes.addressof(ctypes.c_char.from_buffer(memory)))()
run(bytes.fromhex("{code}"))
"""


def recipe(folder: Path) -> Recipe:
    source = LocalSource(project="demo", version="1.0", path=folder)
    check = CheckOptions(script=folder / SCRIPT)
    return Recipe(name="demo", version="1.0", directory=folder, source=source, check=check)


@pytest.mark.environment
@pytest.mark.parametrize(
    ("profile", "code", "expected"),
    [
        ("rvv128", words(E8_MF4, VFREDUSUM), ("`vfredusum.vs v8,v8,v9`", "reserved encoding after `vsetvli e8,mf4`")),
        ("rv64gc", words(E32_M1), ("`vsetvli a5,zero,e32,m1,ta,ma`", "code for another CPU: it needs V")),
        ("rv64gc", words(SH1ADD), ("`sh1add a0,a0,a0`", "code for another CPU: it needs Zba")),
        ("vlen1024", words(UNIMP), ("`unimp`", "a trap that the compiler put there")),
    ],
)
def test_illegal_instruction_of_check_is_described(
    clean_root: RootfsEnvironment,
    native_objdump: list[str],
    tmp_path: Path,
    log: MemoryLog,
    profile: str,
    code: bytes,
    expected: tuple[str, str],
) -> None:
    assert profile in PROFILES
    (tmp_path / SCRIPT).write_text(RUNS_CODE.replace("{code}", code.hex()))
    with clean_root.open(tmp_path / "work", caches="test") as sandbox:
        result = run_profiles(
            sandbox,
            recipe(tmp_path),
            "3.13",
            None,
            [profile],
            log,
            describe=lambda found: describe(found, native_objdump),
        )[0]
    assert "ended by SIGILL" in result.shown
    assert f"in run, /inputs/{SCRIPT}:6" in result.shown
    for words_expected in expected:
        assert words_expected in result.shown
