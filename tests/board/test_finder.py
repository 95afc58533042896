"""The board finder: what real boards say of themselves, and what QEMU's CPUs answer."""

from __future__ import annotations

import ast
import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from factory.board import finder
from factory.board.finder import Cpu, Machine, judge, of_cpuinfo, profile_of, read_cpuinfo
from factory.model.protocols import Command
from factory.model.target import PROFILES, PYTHONS, Target
from factory.stages.environments.rootfs import RootfsEnvironment
from tests.support.boards import C920V2, D1, SAMPLES
from tests.support.logs import MemoryLog

SCRIPT = Path(finder.__file__)

C920V2_ARCHITECTURE = 0x80000000090C0D00 - (1 << 64)  # as hwprobe's signed answer
IMAFDC = sum(1 << (ord(letter) - ord("a")) for letter in "imafdc")
V = 1 << (ord("v") - ord("a"))
GOOD = Machine(
    architecture="riscv64",
    bits=64,
    cpu=read_cpuinfo("isa: rv64imafdc"),
    libc="glibc 2.41",
    glibc=(2, 41),
    python=f"{PYTHONS[0]}.5",
    free_threaded=False,
    pip="25.1",
    tags=True,
)


@pytest.mark.parametrize("name", SAMPLES)
def test_real_boards_are_told_by_their_cpuinfo(name: str) -> None:
    sample, profile, vectors, vlen = SAMPLES[name]
    cpu = read_cpuinfo(f"processor: 0\nhart: 0\n{sample}\n\nprocessor: 1\nhart: 1\n{sample}\n")
    assert (profile_of(cpu), cpu.vectors, cpu.vlen) == (profile, vectors, vlen)


def test_the_draft_is_told_and_never_taken_for_vectors() -> None:
    verdict = judge(of_cpuinfo(SAMPLES["Milk-V Pioneer (SG2042), its vendor's kernel"][0]))
    assert verdict.notes == [
        "its vectors are the draft 0.7.1 (XTheadVector), not RVV 1.0: " + ("most wheels run without vectors on it")
    ]
    assert verdict.problems == []


def test_vectors_of_which_nothing_tells_the_version_count_as_none() -> None:
    verdict = judge(of_cpuinfo(D1))
    assert verdict.notes == [
        "its vectors count as none: RVV 1.0 or the draft 0.7.1, nothing tells which; Linux 6.5 and newer do"
    ]
    assert (verdict.profile, verdict.problems) == ("rv64gc", [])


@pytest.mark.parametrize(
    ("lines", "vectors"),
    [
        ("mvendorid: 0x710\nmarchid: 0x8000000058000001", "1.0"),
        ("mvendorid: 0x5b7\nmarchid: 0x80000000090c0d00\nuarch: thead,c920", "1.0"),
        ("uarch: thead,c908", "1.0"),
        ("mvendorid: 0x5b7\nmarchid: 0x0\nuarch: thead,c908", "draft"),
        ("uarch: thead,c920", "draft"),
        ("mvendorid: 0x5b7", "draft"),
        ("uarch: qemu", "unknown"),
        ("mvendorid: 1463", "unknown"),
        ("mvendorid: 0x0\nmarchid: 0x0\nuarch: thead,c920", "draft"),
        ("mvendorid: 0x0\nmarchid: 0x0\nuarch: qemu", "1.0"),
    ],
)
def test_a_cores_numbers_tell_the_version_of_its_vectors_and_else_its_name(lines: str, vectors: str) -> None:
    assert read_cpuinfo(f"isa: rv64imafdcv\n{lines}").vectors == vectors
    assert read_cpuinfo(f"isa: rv64imafdc\n{lines}").vectors == ""


def test_of_cores_that_differ_the_weakest_counts() -> None:
    cpu = read_cpuinfo("isa: rv64imafdcv_zba_zbb_zbs\n\nisa: rv64imafdc_zba_zbb_zbs\n")
    assert (cpu.vectors, profile_of(cpu)) == ("", "rva22")
    cpu = read_cpuinfo(f"{SAMPLES['SG2044 (C920v2)'][0]}\n\nisa: {C920V2}\nmvendorid: 0x5b7\nmarchid: 0x0\n")
    assert (cpu.vectors, profile_of(cpu)) == ("draft", "rva22")


def test_of_a_32_bit_cpu_it_says_that_no_wheel_runs() -> None:
    verdict = judge(of_cpuinfo("isa: rv32imafdc\nmmu: sv32"))
    assert verdict.problems == ["this is a 32-bit CPU: no wheel runs on it, all are for riscv64"]
    assert verdict.profile == ""


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"architecture": "x86_64", "tags": False}, "this is x86_64: the wheels are for riscv64"),
        ({"bits": 32}, "Python is a 32-bit program"),
        ({"architecture": "riscv32", "bits": 32}, "this is a 32-bit CPU: no wheel runs on it"),
        ({"cpu": read_cpuinfo("isa: rv64imac")}, "the CPU lacks d, f of rv64gc"),
        ({"glibc": None, "libc": "musl"}, "the C library is musl: the wheels need glibc"),
        ({"free_threaded": True}, "free-threaded"),
        ({"tags": False, "pip": "22.0"}, "pip 22.0 is too old to know wheels for riscv64: python3 -m pip install"),
    ],
)
def test_what_is_in_the_way_is_one_problem_with_its_cure(change: dict[str, object], words: str) -> None:
    assert judge(GOOD).problems == []
    (problem,) = judge(GOOD._replace(**change)).problems  # type: ignore[arg-type]
    assert words in problem


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"python": "3.11.2"}, "most wheels are for Python 3.13 and 3.14; Python 3.11 gets those"),
        ({"glibc": (2, 36)}, "wheels tagged above manylinux_2_36 need a newer system"),
        ({"pip": "", "tags": None}, "there is no pip in this Python"),
    ],
)
def test_what_limits_the_choice_is_a_note(change: dict[str, object], words: str) -> None:
    assert judge(GOOD).notes == []
    (note,) = judge(GOOD._replace(**change)).notes  # type: ignore[arg-type]
    assert words in note


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({}, "wheels of the index run here:"),
        ({"pip": "", "tags": None}, "wheels of the index run here:"),
        ({"python": "3.11.2"}, "some wheels of the index run here:"),
        ({"glibc": (2, 36)}, "some wheels of the index run here:"),
    ],
)
def test_where_the_choice_is_limited_it_promises_some_wheels_only(change: dict[str, object], words: str) -> None:
    machine = GOOD._replace(**change)  # type: ignore[arg-type]
    assert words in finder.describe(machine, judge(machine), "URL/simple/").splitlines()


@pytest.fixture
def as_riscv64(monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    """This machine taken for one of riscv64, so that its kernel is asked; its registers are left alone."""
    monkeypatch.setattr("platform.machine", lambda: "riscv64")
    monkeypatch.setattr(finder, "read_vlen", lambda: 128)
    return monkeypatch


@pytest.fixture
def as_riscv64_with(as_riscv64: pytest.MonkeyPatch) -> Callable[[str, dict[int, int] | None, int], None]:
    """As above, with this /proc/cpuinfo, what hwprobe says, and AT_HWCAP."""

    def pretend(cpuinfo: str, probed: dict[int, int] | None, capabilities: int) -> None:
        as_riscv64.setattr(finder, "_read", lambda path: cpuinfo)
        as_riscv64.setattr(finder, "probe", lambda: probed)
        as_riscv64.setattr(finder, "_hardware_capabilities", lambda: capabilities)

    return pretend


def test_without_hwprobe_the_auxiliary_vector_of_this_very_process_is_asked(as_riscv64: pytest.MonkeyPatch) -> None:
    as_riscv64.setattr(finder, "probe", lambda: None)
    assert finder.read_cpu().asked == "hwcap"


@pytest.mark.parametrize(
    ("cpuinfo", "capabilities", "vectors", "profile"),
    [
        (SAMPLES["BPI-F3 (K1)"][0], IMAFDC | V, "1.0", "k1"),
        (SAMPLES["BPI-F3 (K1)"][0], IMAFDC, "", "rva22"),
        (SAMPLES["SG2044 (C920v2)"][0], IMAFDC | V, "1.0", "rva23"),
        (SAMPLES["Milk-V Pioneer (SG2042), its vendor's kernel"][0], IMAFDC | V, "draft", "rv64gc"),
        (D1, IMAFDC | V, "unknown", "rv64gc"),
        ("", IMAFDC | V, "unknown", "rv64gc"),
        ("", IMAFDC, "", "rv64gc"),
    ],
    ids=["numbers", "numbers, no V", "new numbers", "old numbers", "no numbers", "no cpuinfo", "no cpuinfo, no V"],
)
def test_the_auxiliary_vectors_v_is_rvv_1_0_only_where_the_cores_numbers_say_so(
    as_riscv64_with: Callable[..., None], cpuinfo: str, capabilities: int, vectors: str, profile: str
) -> None:
    as_riscv64_with(cpuinfo, None, capabilities)
    as_said = finder.read_cpu()
    vlen = 256 if profile == "k1" else as_said.vlen  # the register says 128 here
    assert (as_said.asked, as_said.vectors, profile_of(as_said._replace(vlen=vlen))) == ("hwcap", vectors, profile)


@pytest.mark.parametrize(
    "values",
    [
        {finder.VENDOR: finder.THEAD, finder.ARCHITECTURE: 0, finder.EXTENSIONS: 0b111},
        {finder.VENDOR: finder.THEAD, finder.ARCHITECTURE: 0, finder.EXTENSIONS: 0b11, finder.THEAD_EXTENSIONS: 1},
    ],
    ids=["as V", "as XTheadVector"],
)
def test_the_draft_is_told_by_hwprobe_too(as_riscv64: pytest.MonkeyPatch, values: dict[int, int]) -> None:
    as_riscv64.setattr(finder, "probe", lambda: values)
    cpu = finder.read_cpu()
    assert (cpu.asked, cpu.vectors, cpu.vlen, profile_of(cpu)) == ("hwprobe", "draft", 0, "rv64gc")


@pytest.mark.parametrize(
    ("cpuinfo", "vendor", "architecture", "vectors"),
    [
        ("isa: rv64imafdcv\nuarch: thead,c920", finder.THEAD, C920V2_ARCHITECTURE, "1.0"),
        (D1, finder.THEAD, C920V2_ARCHITECTURE, "1.0"),
        ("isa: rv64imafdcv\nuarch: qemu", 0, 0x80200, "1.0"),
        (SAMPLES["CanMV K230 (C908)"][0], finder.THEAD, 0, "draft"),
        (SAMPLES["SG2044 (C920v2)"][0], finder.THEAD, finder.MIXED, "1.0"),
        ("isa: rv64imafdcv\nuarch: thead,c920", finder.THEAD, finder.MIXED, "draft"),
        ("", finder.THEAD, finder.MIXED, "draft"),
        ("", finder.MIXED, finder.MIXED, "unknown"),
    ],
)
def test_hwprobes_own_numbers_win_over_cpuinfo_unless_its_cores_differ(
    as_riscv64_with: Callable[..., None], cpuinfo: str, vendor: int, architecture: int, vectors: str
) -> None:
    values = {finder.VENDOR: vendor, finder.ARCHITECTURE: architecture, finder.EXTENSIONS: 0b111}
    as_riscv64_with(cpuinfo, values, IMAFDC | V)
    cpu = finder.read_cpu()
    assert (cpu.asked, cpu.vectors, "v" in cpu.extensions) == ("hwprobe", vectors, vectors == "1.0")
    as_riscv64_with(cpuinfo, {**values, finder.EXTENSIONS: 0b011}, IMAFDC | V)
    assert finder.read_cpu().vectors in ("", "draft")


def test_a_pip_of_before_there_were_tags_for_riscv64_is_too_old(tmp_path: Path) -> None:
    install = ["install", "--quiet", "--no-deps", f"--target={tmp_path}", "pip==19.2.3"]
    subprocess.run([sys.executable, "-m", "pip", *install], check=True)
    asked = [sys.executable, str(SCRIPT), "--json"]
    finished = subprocess.run(asked, capture_output=True, text=True, env={**os.environ, "PYTHONPATH": str(tmp_path)})
    found = json.loads(finished.stdout)
    assert (found["pip"], found["tags"]) == ("19.2.3", False)


def test_it_knows_the_factorys_profiles_pythons_and_c_library() -> None:
    assert {name for name, _, _ in finder.VECTOR_PROFILES} | {"rv64gc", "rva22"} == set(PROFILES)
    assert (PYTHONS, Target().glibc_floor) == (finder.PYTHONS, finder.GLIBC)


def test_the_script_is_one_file_for_python_3_8() -> None:
    tree = ast.parse(SCRIPT.read_text(), feature_version=(3, 8))
    imported = [node for node in ast.walk(tree) if isinstance(node, ast.Import | ast.ImportFrom)]
    names = {alias.name for node in imported for alias in node.names if isinstance(node, ast.Import)}
    names |= {node.module or "" for node in imported if isinstance(node, ast.ImportFrom)}
    assert {name.partition(".")[0] for name in names} <= sys.stdlib_module_names | {"pip"}


def test_it_runs_by_itself_and_its_status_says_whether_something_is_in_the_way(tmp_path: Path) -> None:
    sample = tmp_path / "cpuinfo"
    sample.write_text(f"processor: 0\n{SAMPLES['BPI-F3 (K1)'][0]}\n")
    command = [sys.executable, "-I", str(SCRIPT), "--index-url", "https://wheels.example/simple/"]
    shown = subprocess.run([*command, "--cpuinfo", str(sample)], capture_output=True, text=True, check=True).stdout
    assert "profile    k1\nvectors    RVV 1.0, VLEN 256, Zvfh\n" in shown
    assert "    pip install --index-url https://wheels.example/simple/ NAME" in shown
    empty = subprocess.run([*command, "--cpuinfo", os.devnull], capture_output=True, text=True)
    assert (empty.returncode, "problem: " in empty.stdout) == (1, True)


@pytest.mark.environment
def test_on_every_profile_it_finds_that_profile(clean_root: RootfsEnvironment, tmp_path: Path, log: MemoryLog) -> None:
    vlens = {"rvv128": 128, "k1": 256, "rva23": 128, "vlen512": 512, "vlen1024": 1024}
    with clean_root.open(tmp_path / "work") as sandbox:
        (sandbox.work / SCRIPT.name).write_bytes(SCRIPT.read_bytes())
        for name, profile in PROFILES.items():
            command = f"python -I /build/{SCRIPT.name} --json > /build/answer.json"
            sandbox.run(Command(["sh", "-c", command], cpu=profile.qemu_cpu), log=log)
            found = json.loads((sandbox.work / "answer.json").read_text())
            cpu = found["cpu"]
            assert (found["profile"], cpu["vlen"], cpu["asked"]) == (name, vlens.get(name, 0), "hwprobe")
            assert (found["problems"], found["notes"], found["tags"]) == ([], [], True)


def test_a_cpu_without_anything_has_no_profile() -> None:
    assert profile_of(Cpu(name="", extensions=frozenset(), vectors="", vlen=0, asked="cpuinfo")) == ""
