"""The board finder: what real boards say of themselves, and what QEMU's CPUs answer."""

from __future__ import annotations

import ast
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from factory import board
from factory.board import Cpu, Machine, judge, of_cpuinfo, profile_of, read_cpuinfo
from factory.environments.rootfs import RootfsEnvironment
from factory.model import PROFILES, PYTHONS, Target
from tests.conftest import MemoryLog

SCRIPT = Path(board.__file__)

# What the first core of these boards has in /proc/cpuinfo.
X60 = "rv64imafdcv_zicbom_zicboz_zicntr_zicond_zicsr_zifencei_zihintpause_zihpm_zfh_zfhmin_zca_zcd_zba_zbb_zbc_zbs_zkt"
X100 = (
    "rv64imafdcvh_zicbom_zicond_zfa_zfbfmin_zfh_zfhmin_zca_zcb_zcd_zba_zbb_zbc_zbs_zvbb_zvfbfmin_zvfbfwma_zvfh_zvfhmin"
)
SAMPLES = {
    "VisionFive 2, Linux 5.15": ("isa: rv64imafdc\nuarch: sifive,u74-mc", "rv64gc", "", 0),
    "VisionFive 2, Linux 6.6": (
        "isa: rv64imafdc_zicntr_zicsr_zifencei_zihpm_zba_zbb\nuarch: sifive,u74-mc\nmvendorid: 0x489",
        "rv64gc",
        "",
        0,
    ),
    "HiFive Premier P550": (
        "isa: rv64imafdch_zicsr_zifencei_zba_zbb_sscofpmf\nmvendorid: 0x489\nmarchid: 0x8000000000000008",
        "rv64gc",
        "",
        0,
    ),
    "Milk-V Pioneer (SG2042), its vendor's kernel": (
        "isa: rv64imafdcv\nmmu: sv39\nmvendorid: 0x5b7\nmarchid: 0x0\nmimpid: 0x0",
        "rv64gc",
        "draft",
        0,
    ),
    "Lichee Pi 4A (TH1520), its vendor's kernel": (
        "isa: rv64imafdcvsu\nmmu: sv39\ncpu-freq: 1.848Ghz\ncpu-vector: 0.7.1",
        "rv64gc",
        "draft",
        0,
    ),
    "Lichee Pi 4A (TH1520), Linux 6.6": (
        "isa: rv64imafdc_zicntr_zicsr_zifencei_zihpm\nuarch: thead,c910\nmvendorid: 0x5b7\nmarchid: 0x0",
        "rv64gc",
        "",
        0,
    ),
    "CanMV K230 (C908)": (
        "isa: rv64imafdcv_zicbom_zicboz_zicntr_zicsr_zifencei_zihpm_zba_zbb_zbs_svpbmt\n"
        "uarch: thead,c908\nmvendorid: 0x5b7\nmarchid: 0x8000000009140d00",
        "rvv128",
        "1.0",
        128,
    ),
    "BPI-F3 (K1)": (
        f"model name: Spacemit(R) X60\nisa: {X60}_zvfh_zvfhmin_zvkt_sscofpmf\nuarch: spacemit,x60\nmvendorid: 0x710",
        "k1",
        "1.0",
        256,
    ),
    "K3": (f"model name: Spacemit(R) X100\nisa: {X100}\nuarch: spacemit,x100", "rva23", "1.0", 256),
}
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


def test_of_cores_that_differ_the_weakest_counts() -> None:
    cpu = read_cpuinfo("isa: rv64imafdcv_zba_zbb_zbs\n\nisa: rv64imafdc_zba_zbb_zbs\n")
    assert (cpu.vectors, profile_of(cpu)) == ("", "rva22")


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"architecture": "x86_64", "tags": False}, "this is x86_64: the wheels are for riscv64"),
        ({"bits": 32}, "Python is a 32-bit program"),
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


@pytest.fixture
def as_riscv64(monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    """This machine taken for one of riscv64, so that its kernel is asked; its registers are left alone."""
    monkeypatch.setattr("platform.machine", lambda: "riscv64")
    monkeypatch.setattr(board, "read_vlen", lambda: 128)
    return monkeypatch


def test_without_hwprobe_the_auxiliary_vector_of_this_very_process_is_asked(as_riscv64: pytest.MonkeyPatch) -> None:
    as_riscv64.setattr(board, "probe", lambda: None)
    assert board.read_cpu().asked == "hwcap"


@pytest.mark.parametrize(
    "values",
    [
        {board.VENDOR: board.THEAD, board.ARCHITECTURE: 0, board.EXTENSIONS: 0b111},
        {board.VENDOR: board.THEAD, board.ARCHITECTURE: 0, board.EXTENSIONS: 0b11, board.THEAD_EXTENSIONS: 1},
    ],
    ids=["as V", "as XTheadVector"],
)
def test_the_draft_is_told_by_hwprobe_too(as_riscv64: pytest.MonkeyPatch, values: dict[int, int]) -> None:
    as_riscv64.setattr(board, "probe", lambda: values)
    cpu = board.read_cpu()
    assert (cpu.asked, cpu.vectors, cpu.vlen, profile_of(cpu)) == ("hwprobe", "draft", 0, "rv64gc")


def test_a_pip_of_before_there_were_tags_for_riscv64_is_too_old(tmp_path: Path) -> None:
    install = ["install", "--quiet", "--no-deps", f"--target={tmp_path}", "pip==19.2.3"]
    subprocess.run([sys.executable, "-m", "pip", *install], check=True)
    asked = [sys.executable, str(SCRIPT), "--json"]
    finished = subprocess.run(asked, capture_output=True, text=True, env={**os.environ, "PYTHONPATH": str(tmp_path)})
    found = json.loads(finished.stdout)
    assert (found["pip"], found["tags"]) == ("19.2.3", False)


def test_it_knows_the_factorys_profiles_pythons_and_c_library() -> None:
    assert {name for name, _, _ in board.VECTOR_PROFILES} | {"rv64gc", "rva22"} == set(PROFILES)
    assert (PYTHONS, Target().glibc_floor) == (board.PYTHONS, board.GLIBC)


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
            sandbox.run(["sh", "-c", command], log=log, cpu=profile.qemu_cpu)
            found = json.loads((sandbox.work / "answer.json").read_text())
            cpu = found["cpu"]
            assert (found["profile"], cpu["vlen"], cpu["asked"]) == (name, vlens.get(name, 0), "hwprobe")
            assert (found["problems"], found["notes"], found["tags"]) == ([], [], True)


def test_a_cpu_without_anything_has_no_profile() -> None:
    assert profile_of(Cpu(name="", extensions=frozenset(), vectors="", vlen=0, asked="cpuinfo")) == ""
