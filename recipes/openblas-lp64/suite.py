"""Compile upstream's test programs against the installed wheel and run them; what fails must be listed with its reason.

The programs are compiled once, for the first profile. FACTORY_RESULT names the JSON file to write; FACTORY_PROFILE is
the name of the profile that this runs on.
"""

from __future__ import annotations

import importlib
import json
import os
import re
import subprocess
import sys
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from importlib.metadata import packages_distributions
from pathlib import Path

SOURCE = Path("/build/src")
OUT = Path("/build/suite")
# One calls LAPACKE, which the wheel comes without; the other is the main program of where all lies in one file.
LEFT_OUT = {"test_kernel_regress.c", "utest_main2.c"}
# Upstream's own list: with OpenMP, a process that forks is not for these.
FORKS = {"test_fork.c", "test_post_fork_async.c"}
BROKEN = re.compile(r"FATAL|\bFAIL(ED)?\b")
SECONDS = 3600
# Profile -> program -> why it fails there. Today none does.
KNOWN_FAILURES: dict[str, dict[str, str]] = {}

PACKAGE = next(name for name in packages_distributions() if name.startswith("openblas_"))
package = importlib.import_module(PACKAGE)
WIDE = PACKAGE.startswith("openblas_ilp64")
OPENMP = PACKAGE.endswith("openmp")


@dataclass(frozen=True)
class Program:
    """A test program: its sources, what it reads from its standard input, and a file in which it reports."""

    name: str
    sources: tuple[Path, ...]
    data: Path | None = None
    summary: str = ""


def programs() -> list[Program]:
    """utest: the C interface and what upstream adds to BLAS. ctest and test: netlib's tests of level 1 to 3 of both."""
    units, extensions = SOURCE / "utest", SOURCE / "utest/test_extensions"
    left_out = LEFT_OUT | (FORKS if OPENMP else set())
    found = [
        Program("utest", (units / "utest_main.c", *tests_in(units, "test_*.c", left_out))),
        Program("utest-extensions", (units / "utest_main.c", *tests_in(extensions, "*.c", left_out))),
    ]
    for letter in "sdcz":
        for level in (1, 2, 3):
            found += [c_interface(letter, level), fortran_interface(letter, level)]
    return found


def tests_in(folder: Path, pattern: str, left_out: set[str]) -> list[Path]:
    return [path for path in sorted(folder.glob(pattern)) if path.name not in left_out]


def c_interface(letter: str, level: int) -> Program:
    folder = SOURCE / "ctest"
    names = [f"c_{letter}blat{level}.f", f"c_{letter}blas{level}.c"]
    if level > 1:
        names += [f"c_{letter}{level}chke.c", "auxiliary.c", "c_xerbla.c", "constant.c"]
    data = folder / f"{letter}in{level}" if level > 1 else None
    return Program(f"cblas-{letter}{level}", tuple(folder / name for name in names), data)


def fortran_interface(letter: str, level: int) -> Program:
    folder, name = SOURCE / "test", f"{letter}blat{level}"
    if level == 1:
        return Program(name, (folder / f"{name}.f",))
    sources = (folder / f"{name}.f", folder / "xerbla_test.c")
    return Program(name, sources, folder / f"{name}.dat", f"{name.upper()}.SUMM")


def main() -> int:
    profile = os.environ["FACTORY_PROFILE"]
    outcomes = {program.name: run(program) for program in build(programs())}
    failed = {name: text for name, text in outcomes.items() if text}
    known = KNOWN_FAILURES.get(profile, {})
    unknown, stale = sorted(failed.keys() - known.keys()), sorted(known.keys() - failed.keys())
    counts = f"{len(outcomes) - len(failed)} of {len(outcomes)} test programs passed on {package.get_corename()}"
    shown = counts + "".join(f"; {name} failed as known" for name in sorted(failed.keys() & known.keys()))
    facts = {"core": package.get_corename(), "failed": sorted(failed)}
    result = {"shown": shown, "facts": facts, "tokens": [], "logits": []}
    Path(os.environ["FACTORY_RESULT"]).write_text(json.dumps(result), encoding="utf-8")
    for name in unknown:
        print(f"{name}:\n{failed[name]}")
    print("; ".join([shown, *(f"{name} failed" for name in unknown), *(f"{name} no longer fails" for name in stale)]))
    return 1 if unknown or stale else 0


def build(wanted: list[Program]) -> list[Program]:
    """Compile and link what isn't there yet."""
    OUT.mkdir(exist_ok=True)
    made = [program for program in wanted if not (OUT / program.name).exists()]
    if made:
        write_config()
        sources = sorted({source for program in made for source in program.sources})
        with ThreadPoolExecutor(os.cpu_count()) as pool:
            list(pool.map(compile_one, sources))
            list(pool.map(link, made))
    return wanted


def write_config() -> None:
    """The config.h that upstream's headers want: what the build found out, which the wheel's header says in long."""
    config = (Path(package.get_include_dir()) / "openblas_config.h").read_text(encoding="utf-8")
    own = re.findall(r"^#define OPENBLAS_(?!CONFIG_H|VERSION)(\S+.*)", config.partition("OPENBLAS_VERSION")[0], re.M)
    (OUT / "config.h").write_text("".join(f"#define {line}\n" for line in own), encoding="utf-8")
    if WIDE:
        command = ["sh", str(SOURCE / "exports/gensymbol"), "objcopy", "riscv64", "_", *"000100", "", "64_", *"0001111"]
        names = subprocess.run(command, cwd=SOURCE / "exports", check=True, stdout=subprocess.PIPE).stdout
        (OUT / "names.txt").write_bytes(names)


def object_of(source: Path) -> Path:
    return OUT / (str(source.relative_to(SOURCE)).replace("/", "-") + ".o")


def compile_one(source: Path) -> None:
    if source.suffix == ".f":
        command = ["gfortran", "-O1", "-w", *(["-fdefault-integer-8"] if WIDE else [])]
    else:
        command = ["gcc", "-O1", "-w", f"-I{OUT}", f"-I{SOURCE}", f"-I{SOURCE / 'utest'}", "-DADD_", "-DCBLAS"]
        command += ["-DHAVE_C11", "-DF_INTERFACE_GFORT", "-DDYNAMIC_ARCH", "-DSMP_SERVER", "-DMAX_CPU_NUMBER=128"]
        command += ["-DMAX_PARALLEL_NUMBER=1", "-DMAX_STACK_ALLOC=2048", '-DVERSION="test"', "-DNO_LAPACKE"]
        command += [f"-DBUILD_{kind}" for kind in ("SINGLE", "DOUBLE", "COMPLEX", "COMPLEX16")]
        command += ["-DUSE_OPENMP", "-fopenmp"] if OPENMP else []
    run_tool([*command, "-c", str(source), "-o", str(object_of(source))])
    if WIDE:
        run_tool(["objcopy", f"--redefine-syms={OUT / 'names.txt'}", str(object_of(source))])


def link(program: Program) -> None:
    libraries = [f"-L{package.get_lib_dir()}", f"-l{package.get_library()}", f"-Wl,-rpath,{package.get_lib_dir()}"]
    objects = [str(object_of(source)) for source in program.sources]
    # Fortran's library only for the programs themselves: OpenBLAS brings its own copy.
    options = ["-static-libgfortran", *(["-fopenmp"] if OPENMP else [])]
    run_tool(["gfortran", *options, *objects, *libraries, "-lm", "-o", str(OUT / program.name)])


def run_tool(command: Sequence[str]) -> None:
    done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    if done.returncode:
        raise SystemExit(f"{' '.join(command)}\n{done.stdout}")


def run(program: Program) -> str:
    """Run a program with two threads; returns what it complained about, nothing when all was right."""
    summary = OUT / program.summary
    if program.summary:
        summary.unlink(missing_ok=True)
    with (program.data or Path(os.devnull)).open("rb") as data:
        done = subprocess.run(
            [str(OUT / program.name)],
            stdin=data,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            cwd=OUT,
            timeout=SECONDS,
            env={**os.environ, "OPENBLAS_NUM_THREADS": "2", "OMP_NUM_THREADS": "2"},
        )
    text = done.stdout.decode(errors="replace")
    if program.summary:
        text += summary.read_text(errors="replace") if summary.is_file() else "FATAL: it wrote no summary\n"
    broken = done.returncode != 0 or BROKEN.search(text) is not None
    return f"status {done.returncode}\n{text[-3000:]}" if broken else ""


if __name__ == "__main__":
    sys.exit(main())
