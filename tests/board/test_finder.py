"""Tests of the board finder, with /proc/cpuinfo of real boards and on QEMU's CPUs."""

from __future__ import annotations

import argparse
import ast
import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from factory.board import finder
from factory.board.finder import Cpu, Machine, judge, of_cpuinfo, profile_of, read_cpuinfo
from factory.cli import finder_constants
from factory.cli.finder_constants import update
from factory.model.protocols import Command
from factory.model.target import PROFILES, PYTHONS, Profile, Target
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
def test_cpuinfo_of_real_board_has_profile_and_vectors(name: str) -> None:
    sample, profile, vectors, vlen = SAMPLES[name]
    cpu = read_cpuinfo(f"processor: 0\nhart: 0\n{sample}\n\nprocessor: 1\nhart: 1\n{sample}\n")
    assert (profile_of(cpu), cpu.vectors, cpu.vlen) == (profile, vectors, vlen)


def test_draft_vectors_are_a_note_and_not_vectors() -> None:
    verdict = judge(of_cpuinfo(SAMPLES["Milk-V Pioneer (SG2042), its vendor's kernel"][0]))
    (note,) = verdict.notes
    assert "draft vectors 0.7.1" in note
    assert verdict.problems == []


def test_vectors_of_unknown_version_count_as_none() -> None:
    verdict = judge(of_cpuinfo(D1))
    (note,) = verdict.notes
    assert "vectors of unknown version" in note
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
def test_vectors_version_is_by_numbers_then_by_name(lines: str, vectors: str) -> None:
    assert read_cpuinfo(f"isa: rv64imafdcv\n{lines}").vectors == vectors
    assert read_cpuinfo(f"isa: rv64imafdc\n{lines}").vectors == ""


@pytest.mark.parametrize(
    "lines",
    [
        "uarch: spacemit,x60",
        "model name: Spacemit(R) X60",
        "mvendorid: 0x710\nmarchid: 0x8000000058000001",
        "uarch: renamed,x1\nmodel name: Renamed\nmvendorid: 0x710\nmarchid: 0x8000000058000001",
    ],
)
def test_core_is_known_by_name_model_or_numbers(lines: str) -> None:
    cpu = read_cpuinfo(f"isa: rv64imafdcv\n{lines}")
    assert (profile_of(cpu), cpu.vlen) == ("k1", 256)
    assert "zvfh" not in read_cpuinfo(f"isa: rv64imafdc\n{lines}").extensions


def test_cpuinfo_with_different_cores_uses_the_weakest() -> None:
    cpu = read_cpuinfo("isa: rv64imafdcv_zba_zbb_zbs\n\nisa: rv64imafdc_zba_zbb_zbs\n")
    assert (cpu.vectors, profile_of(cpu)) == ("", "rva22")
    cpu = read_cpuinfo(f"{SAMPLES['SG2044 (C920v2)'][0]}\n\nisa: {C920V2}\nmvendorid: 0x5b7\nmarchid: 0x0\n")
    assert (cpu.vectors, profile_of(cpu)) == ("draft", "rva22")


@pytest.mark.parametrize(
    ("isa", "words"),
    [
        ("rv32imafdc", "32-bit CPU"),
        ("  isa: RV32GC", "32-bit CPU"),
        ("rv128gc", "128-bit CPU"),
        ("rv128gcv_zba_zbb_zbs", "128-bit CPU"),
        ("rv64gc\n\nisa: rv128gc", "128-bit CPU"),
        ("rv64gc\n\nisa: gc", "unknown machine"),
        ("imafdc", "unknown machine"),
        ("", "unknown machine"),
        ("rv64e", "CPU without"),
    ],
)
def test_base_other_than_rv64_is_a_problem(isa: str, words: str) -> None:
    verdict = judge(of_cpuinfo(isa if "isa" in isa.partition("\n")[0] else f"isa: {isa}"))
    (problem,) = verdict.problems
    assert words in problem
    assert verdict.profile == ""


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"architecture": "x86_64", "tags": False}, "x86_64: all wheels are for riscv64"),
        ({"bits": 32}, "32-bit Python"),
        ({"architecture": "riscv32", "bits": 32}, "32-bit CPU"),
        ({"cpu": read_cpuinfo("isa: rv64imac")}, "CPU without d, f: all wheels need rv64gc"),
        ({"glibc": None, "libc": "musl"}, "C library musl: the wheels need glibc"),
        ({"free_threaded": True}, "free-threaded"),
        ({"tags": False, "pip": "22.0"}, "pip 22.0 is too old for riscv64 wheels: run python3 -m pip install"),
    ],
)
def test_judge_problem_names_its_fix(change: dict[str, object], words: str) -> None:
    assert judge(GOOD).problems == []
    (problem,) = judge(GOOD._replace(**change)).problems  # type: ignore[arg-type]
    assert words in problem


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"python": "3.11.2"}, f"most wheels are for Python {' and '.join(PYTHONS)}; Python 3.11 gets only"),
        ({"glibc": (2, 36)}, "a tag above manylinux_2_36"),
        ({"pip": "", "tags": None}, "Python without pip"),
    ],
)
def test_judge_limit_is_a_note(change: dict[str, object], words: str) -> None:
    assert judge(GOOD).notes == []
    (note,) = judge(GOOD._replace(**change)).notes  # type: ignore[arg-type]
    assert words in note


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({}, "Wheels of the index"),
        ({"pip": "", "tags": None}, "Wheels of the index"),
        ({"python": "3.11.2"}, "Some wheels of the index"),
        ({"glibc": (2, 36)}, "Some wheels of the index"),
    ],
)
def test_describe_limited_machine_gets_some_wheels(change: dict[str, object], words: str) -> None:
    machine = GOOD._replace(**change)  # type: ignore[arg-type]
    assert f"\n{words} run here." in finder.describe(machine, judge(machine), "URL/simple/")


@pytest.fixture
def as_riscv64(monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    """Make this machine look like riscv64; its registers are not read."""
    monkeypatch.setattr("platform.machine", lambda: "riscv64")
    monkeypatch.setattr(finder, "read_vlen", lambda: 128)
    return monkeypatch


@pytest.fixture
def as_riscv64_with(as_riscv64: pytest.MonkeyPatch) -> Callable[[str, dict[int, int] | None, int], None]:
    """Also set /proc/cpuinfo, the answer of hwprobe, and AT_HWCAP."""

    def pretend(cpuinfo: str, probed: dict[int, int] | None, capabilities: int) -> None:
        as_riscv64.setattr(finder, "_read", lambda path: cpuinfo)
        as_riscv64.setattr(finder, "probe", lambda: probed)
        as_riscv64.setattr(finder, "_hardware_capabilities", lambda: capabilities)

    return pretend


def test_read_cpu_without_hwprobe_uses_auxiliary_vector(as_riscv64: pytest.MonkeyPatch) -> None:
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
def test_hwcap_v_is_rvv_1_0_only_by_numbers(
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
def test_hwprobe_reports_draft_vectors(as_riscv64: pytest.MonkeyPatch, values: dict[int, int]) -> None:
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
def test_hwprobe_numbers_override_cpuinfo(
    as_riscv64_with: Callable[..., None], cpuinfo: str, vendor: int, architecture: int, vectors: str
) -> None:
    values = {finder.VENDOR: vendor, finder.ARCHITECTURE: architecture, finder.EXTENSIONS: 0b111}
    as_riscv64_with(cpuinfo, values, IMAFDC | V)
    cpu = finder.read_cpu()
    assert (cpu.asked, cpu.vectors, "v" in cpu.extensions) == ("hwprobe", vectors, vectors == "1.0")
    as_riscv64_with(cpuinfo, {**values, finder.EXTENSIONS: 0b011}, IMAFDC | V)
    assert finder.read_cpu().vectors in ("", "draft")


def test_pip_without_riscv64_tags_is_too_old(tmp_path: Path) -> None:
    install = ["install", "--quiet", "--no-deps", f"--target={tmp_path}", "pip==19.2.3"]
    subprocess.run([sys.executable, "-m", "pip", *install], check=True)
    asked = [sys.executable, str(SCRIPT), "--json"]
    finished = subprocess.run(asked, capture_output=True, text=True, env={**os.environ, "PYTHONPATH": str(tmp_path)})
    found = json.loads(finished.stdout)
    assert (found["pip"], found["tags"]) == ("19.2.3", False)


def test_missing_cpuinfo_is_a_usage_error(tmp_path: Path) -> None:
    asked = [sys.executable, str(SCRIPT), "--cpuinfo", str(tmp_path / "none")]
    finished = subprocess.run(asked, capture_output=True, text=True)
    assert finished.returncode == 2
    assert f"argument --cpuinfo: {tmp_path}/none: cannot be read" in finished.stderr


def test_finder_constants_are_up_to_date() -> None:
    text = SCRIPT.read_text(encoding="utf-8")
    assert update(text) == text, "run: .ci/nox reference"
    assert (PYTHONS, Target().glibc_floor) == (finder.PYTHONS, finder.GLIBC)


def test_update_replaces_the_finders_constants(monkeypatch: pytest.MonkeyPatch) -> None:
    wide = Profile(name="wide", qemu_cpu="max", stands_for="a test", vlen=2048, needs=("zvfh", "zfa"))
    monkeypatch.setattr(finder_constants, "PROFILES", {"plain": PROFILES["rvv128"], "wide": wide})
    monkeypatch.setattr(finder_constants, "PYTHONS", ("3.15",))
    constants: dict[str, Any] = {}
    exec(update(SCRIPT.read_text(encoding="utf-8")), constants | {"__name__": "finder"}, constants)
    assert constants["PYTHONS"] == ("3.15",)
    wide_needs, no_needs = frozenset({"zvfh", "zfa"}), frozenset[str]()
    assert constants["VECTOR_PROFILES"] == (("wide", 2048, wide_needs), ("rvv128", 128, no_needs))


def test_finder_recognizes_needs_of_every_profile() -> None:
    for profile in PROFILES.values():
        assert set(profile.needs) <= finder.EXTENSION_BITS.keys(), f"add a bit to {SCRIPT.name} for {profile.name}"


def test_finder_is_one_file_for_python_3_8() -> None:
    tree = ast.parse(SCRIPT.read_text(), feature_version=(3, 8))
    imported = [node for node in ast.walk(tree) if isinstance(node, ast.Import | ast.ImportFrom)]
    names = {alias.name for node in imported for alias in node.names if isinstance(node, ast.Import)}
    names |= {node.module or "" for node in imported if isinstance(node, ast.ImportFrom)}
    assert {name.partition(".")[0] for name in names} <= sys.stdlib_module_names | {"pip"}


def test_finder_alone_returns_1_for_problems(tmp_path: Path) -> None:
    sample = tmp_path / "cpuinfo"
    sample.write_text(f"processor: 0\n{SAMPLES['BPI-F3 (K1)'][0]}\n")
    command = [sys.executable, "-I", str(SCRIPT), "--index-url", "https://wheels.example/simple/"]
    shown = subprocess.run([*command, "--cpuinfo", str(sample)], capture_output=True, text=True, check=True).stdout
    assert "profile    k1\nvectors    RVV 1.0, VLEN 256, Zvfh\n" in shown
    assert "    pip install --index-url https://wheels.example/simple/ NAME" in shown
    empty = subprocess.run([*command, "--cpuinfo", os.devnull], capture_output=True, text=True)
    assert (empty.returncode, "problem: " in empty.stdout) == (1, True)


@pytest.mark.environment
def test_finder_on_each_profile_finds_it(clean_root: RootfsEnvironment, tmp_path: Path, log: MemoryLog) -> None:
    with clean_root.open(tmp_path / "work", caches="test") as sandbox:
        (sandbox.work / SCRIPT.name).write_bytes(SCRIPT.read_bytes())
        for name, profile in PROFILES.items():
            command = f"python -I /build/{SCRIPT.name} --json > /build/answer.json"
            sandbox.run(Command(["sh", "-c", command], cpu=profile.qemu_cpu), log=log)
            found = json.loads((sandbox.work / "answer.json").read_text())
            cpu = found["cpu"]
            assert (found["profile"], cpu["vlen"], cpu["asked"]) == (name, profile.vlen, "hwprobe")
            assert (found["problems"], found["notes"], found["tags"]) == ([], [], True)


def test_cpu_without_extensions_has_no_profile() -> None:
    assert profile_of(Cpu(name="", extensions=frozenset(), vectors="", vlen=0, asked="cpuinfo")) == ""


def test_name_of_a_cpu_does_not_control_the_terminal() -> None:
    machine = finder.of_cpuinfo("model name : \x1b[2Jcore\nisa : rv64gc\n")
    assert "?[2Jcore" in finder.describe(machine, finder.judge(machine), "URL/simple/").splitlines()[0]


def test_odd_index_address_is_quoted_or_refused(capsys: pytest.CaptureFixture[str]) -> None:
    parser = argparse.ArgumentParser()
    finder.configure(parser)
    with pytest.raises(SystemExit):
        parser.parse_args(["--index-url", "http://["])
    assert "not an address" in capsys.readouterr().err
    machine = finder.of_cpuinfo("isa : rv64gc\n")
    assert "'$(x)/'" in finder.describe(machine, finder.judge(machine), "$(x)/")
