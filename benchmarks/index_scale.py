"""Time of writing a large index, and of dumb-pypi on the same files.

Usage: python benchmarks/index_scale.py [--files N] [--projects N] [--runs N]

The index has 100,000 files in 2,000 projects, one of which has 5,000. Everything is written from a made-up ledger:
installers' pages in both forms, and the site with a page for each version, feeds and JSON. Then a wheel is added, to a
project of usual size and to the large one. Processes are measured from outside: wall seconds, CPU seconds, and the peak
memory of all processes together.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from hashlib import sha256
from pathlib import Path

import psutil
from measured import Measured, wall_and_peak
from pypi_simple import ProjectPage

from factory.cli.console import print_table
from factory.publish.ledger import Ledger
from factory.publish.ledger_entry import encode_entry
from factory.publish.release import Built, Release
from factory.publish.reports import (
    Build,
    Check,
    Contents,
    Dispatched,
    Log,
    Patch,
    Stage,
    WheelReport,
    report_path,
    write_report,
)
from factory.publish.wheel_filename import parse_filename
from factory.site.writer import write_site
from factory.util.process import run
from factory.util.repetition import repeated

PROFILES = ("rv64gc", "rvv128", "k1", "rva23", "vlen1024")
PYTHONS = ("cp313", "cp314")
STAGES = ("source", "patch", "build", "repair", "check")
LARGE = 5_000  # files of the one large project
DUMB_PYPI = "dumb-pypi==1.15.0"
SAMPLING_SECONDS = 1.0  # counting its pages stops a process: ten samples a second cost a tenth of the time
GENERATE = """
from pathlib import Path
from factory.publish.ledger import Ledger
from factory.site.writer import write_site
write_site(Ledger(Path({ledger!r})), Path({out!r}))
"""


def main() -> int:
    """Make the ledger, write it, add to it, print a table, and return the exit status."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--files", type=int, default=100_000, help="release files (default: %(default)s)")
    parser.add_argument("--projects", type=int, default=2_000, help="projects (default: %(default)s)")
    parser.add_argument("--runs", type=int, default=3, help="runs of each (default: %(default)s)")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="index-scale-") as folder:
        measure(Path(folder), arguments.files, arguments.projects, arguments.runs)
    return 0


def measure(folder: Path, files: int, projects: int, runs: int) -> None:
    """Measure each thing `runs` times and print the table."""
    ledger, out = folder / "index/ledger", folder / "out"
    names = make_ledger(ledger, files, projects)
    load = os.getloadavg()[0]
    whole = [generate(ledger, folder / f"out-{number}") for number in range(runs)]
    (folder / "out-0").rename(out)
    generate(ledger, out)
    usual = [add(ledger, out, "project-7", f"7.{number}") for number in range(runs)]
    large = [add(ledger, out, "project-0", f"9.{number}") for number in range(runs)]
    reading = read_large(out / "simple/project-0/index.html")
    dumb = compare(folder, names, runs)
    print(f"{len(names):,} files in {projects:,} projects, {runs} runs, load {load:.1f} before them; seconds")
    best = min(each.seconds for each in dumb)
    rows = [
        ("everything", whole),
        ("one wheel more", usual),
        (f"one wheel more of a project with {LARGE:,}", large),
        (f"{DUMB_PYPI}: everything", dumb),
    ]
    titles = ("what", "wall, min/median", "processors", "in dumb-pypi's best", "peak, all processes")
    print_table(titles, [row(*each, best) for each in rows])
    print(f"the large project's page is parsed by pypi-simple in {reading:.2f} s")


def row(what: str, measured: Sequence[Measured], best: float) -> Sequence[str]:
    wall, peak = wall_and_peak(measured)
    processors = f"{min(each.processors for each in measured):.2f}"
    return (what, wall, processors, f"{min(each.seconds for each in measured) / best:.2f}", peak)


def make_ledger(ledger: Path, files: int, projects: int) -> list[str]:
    """Make a ledger with a report of every file, and return the file names."""
    each = max(1, (files - LARGE) // max(1, projects - 1))
    counts = [LARGE if number == 0 else each for number in range(projects)]
    names = [name for number, count in enumerate(counts) for name in file_names(f"project_{number}", count)]
    for name in names:
        release = release_of(name)
        entry = ledger / release.project / f"{name}.json"
        if not entry.parent.is_dir():
            report_path(ledger, release.project, name).parent.mkdir(parents=True)
        entry.write_bytes(encode_entry(release))
    for name in names:
        write_report(ledger, parse_filename(name)[0], report_of(name))
    return names


def file_names(name: str, count: int) -> Iterator[str]:
    for number in range(count):
        python = PYTHONS[number % len(PYTHONS)]
        yield f"{name}-1.{number // len(PYTHONS)}-{python}-{python}-manylinux_2_39_riscv64.whl"


def release_of(name: str) -> Release:
    project, version = parse_filename(name)
    digest = sha256(name.encode()).hexdigest()
    python = "3.13" if "cp313" in name else "3.14"
    minute = int(version.rpartition(".")[2])
    return Release(
        filename=name,
        project=project,
        version=version,
        sha256=digest,
        size=1_000_000,
        requires_python=">=3.9",
        metadata_sha256=digest,
        origin=Built(record=digest, profiles=PROFILES, pythons=(python,)),
        uploaded=f"2026-01-{2 + minute // 1440:02}T{minute // 60 % 24:02}:{minute % 60:02}:05Z",
    )


def report_of(name: str) -> WheelReport:
    """Make the report of a typical build; some contents change with the version."""
    project, version = parse_filename(name)
    digest, number = sha256(name.encode()).digest(), int(version.rpartition(".")[2])
    python = "3.13" if "cp313" in name else "3.14"
    checks = [
        Check(profile=profile, python=python, passed=True, seconds=byte / 8, shown=f"sum {project} {number}")
        for profile, byte in zip(PROFILES, digest, strict=False)
    ]
    build = Build(
        record="k" * 64,
        finished="2026-01-02T02:00:00+00:00",
        mode="hybrid",
        baseline="rv64gc",
        toolchain={f"tool-{tool}": "14.2.0-19cross1" for tool in range(10)},
        source_sha256=sha256(version.encode()).hexdigest(),
        requirements=("cython==3.3.1", "meson-python==0.22.1"),
        patches=(Patch(name="0001-load-modules.patch", upstream_status="Pending"),),
        stages=tuple(Stage(name=stage, seconds=byte * 1.5) for stage, byte in zip(STAGES, digest, strict=False)),
        checks=tuple(checks),
        contents=Contents(
            libraries=2,
            glibc=f"2.{27 + number % 13}",
            dispatched=(Dispatched(path=f"{project}/fast.so", extensions=("v", "zvfh")),),
            system_libraries=("libc.so.6", "libm.so.6"),
        ),
        logs=(Log(stage="build", python="", sha256="6" * 64), Log(stage="check", python=python, sha256="7" * 64)),
    )
    summary = f"{project} adds numbers, and takes them away"
    return WheelReport(filename=name, summary=summary, license="BSD-3-Clause", build=build)


def generate(ledger: Path, out: Path) -> Measured:
    """Write everything that is missing below `out`, in a new process."""
    return measured([sys.executable, "-c", GENERATE.format(ledger=str(ledger), out=str(out))])


def add(ledger: Path, out: Path, project: str, version: str) -> Measured:
    """Publish one file and write the changed pages, in this process."""
    (name,) = file_names(project.replace("-", "_"), 1)
    name = name.replace("-1.0-", f"-{version}-")
    started, processor = time.monotonic(), time.process_time()
    Ledger(ledger).add(release_of(name))
    write_report(ledger, project, report_of(name))
    changed = write_site(Ledger(ledger), out)
    seconds, processors = time.monotonic() - started, time.process_time() - processor
    assert any(name in (out / page).read_text() for page in changed)
    time.sleep(0.2)  # until the times of the written folders are trusted
    return Measured(seconds, processors, psutil.Process().memory_info().rss / 1e6)


def read_large(page: Path) -> float:
    """Return the seconds that a client library takes for the large project's page."""
    started = time.monotonic()
    found = ProjectPage.from_html("project-0", page.read_text(), base_url="http://host/simple/project-0/")
    assert len(found.packages) > LARGE
    return time.monotonic() - started


def compare(folder: Path, names: Sequence[str], runs: int) -> list[Measured]:
    """Run dumb-pypi on the same files, with all metadata that it takes."""
    tool = folder / "dumb"
    run([sys.executable, "-m", "uv", "venv", "--quiet", str(tool)])
    run([sys.executable, "-m", "uv", "pip", "install", "--quiet", "--python", str(tool), DUMB_PYPI])
    listed = folder / "packages.json"
    listed.write_text("".join(f"{json.dumps(line_of(name))}\n" for name in names))
    command = [f"{tool}/bin/dumb-pypi", "--package-list-json", str(listed), "--packages-url", "../../files"]
    command += ["--no-generate-timestamp", "--no-per-release-json"]
    return [measured([*command, "--output-dir", f"{folder}/dumb-{number}"]) for number in range(runs)]


def line_of(name: str) -> dict[str, object]:
    release = release_of(name)
    return {
        "filename": name,
        "hash": f"sha256={release.sha256}",
        "requires_python": release.requires_python,
        "core_metadata": f"sha256={release.metadata_sha256}",
        "upload_timestamp": 1767322800,
    }


def measured(command: Sequence[str]) -> Measured:
    """Run a command and measure it with all its children."""
    with watched() as peak:
        started, before = time.monotonic(), processor_seconds()
        run(command)
        seconds, processors = time.monotonic() - started, processor_seconds() - before
    return Measured(seconds, processors, peak())


def processor_seconds() -> float:
    """Return the CPU seconds of all children that have ended."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


@contextmanager
def watched() -> Iterator[Callable[[], float]]:
    """Watch the memory of this process's children, and yield a function for the peak.

    The peak is in megabytes; memory that several children share counts once.
    """
    peak = [0.0]

    def watch() -> None:
        children = psutil.Process().children(recursive=True)
        peak[0] = max(peak[0], sum(map(own_megabytes, children)))

    with repeated(SAMPLING_SECONDS, watch):
        yield lambda: peak[0]


def own_megabytes(process: psutil.Process) -> float:
    try:
        return float(process.memory_full_info().pss) / 1e6
    except psutil.Error:
        return 0.0


if __name__ == "__main__":
    sys.exit(main())
