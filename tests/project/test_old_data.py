"""Caches and ledgers written by earlier factories stay readable, and content keys stay the same."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import zipfile
from dataclasses import replace
from pathlib import Path

import pytest

from factory.model.artifacts import AppliedPatch, PackagePin, SourceTree
from factory.model.job import Job, ProjectMetadata
from factory.model.target import Target
from factory.pipeline.checkpoints import Checkpoints
from factory.pipeline.content_key import content_key
from factory.publish.failures import read_failures, write_failures
from factory.publish.ledger import Ledger
from factory.publish.ledger_entry import encode_entry
from factory.publish.publisher import publish
from factory.publish.release import Built, Mirrored
from factory.publish.reports import read_reports, write_report
from factory.publish.simple_api import write_pages
from factory.recipes.loader import load_recipes
from factory.stages.environments.layers import LayerStore
from factory.stages.sources.identity import identity
from factory.stages.sources.kinds import SOURCE_KINDS
from factory.store.store import Store
from factory.util.atomic_files import sha256_of
from factory.util.jsonio import load, save
from factory.util.log import LogFile, LogSink
from factory.util.paths import Layout
from tests.support.logs import unreported
from tests.support.wheelmaker import tree_of

DATA = Path(__file__).parent.parent / "data" / "format-1"
RECORD = "59432b7a186e728774d445d85bcafdff3b5a6540310d805dfb89c3ed9bc22c3d"
ENGINE = "engine-1.0-cp313-cp313-manylinux_2_38_riscv64.whl"
METADATA = ProjectMetadata(
    name="demo",
    version="1.0",
    requires_python=">=3.12",
    build_requires=("meson-python>=0.18.0", "Cython>=3.1.0"),
    build_backend="mesonpy",
    backend_path=(),
    dependencies=(),
    license="BSD-3-Clause AND 0BSD AND MIT AND Zlib AND CC0-1.0",
)


def pack_wheel(name: str, folder: Path) -> Path:
    """Pack a wheel of the old data, its members uncompressed and in the order of RECORD: always the same bytes."""
    members = DATA / "wheels" / name
    (record,) = members.glob("*.dist-info/RECORD")
    with zipfile.ZipFile(folder / name, "w") as archive:
        for line in record.read_text().splitlines():
            path = line.partition(",")[0]
            archive.writestr(zipfile.ZipInfo(path), (members / path).read_bytes())
    return folder / name


@pytest.fixture
def cache(tmp_path: Path) -> Path:
    """Copy the old cache, with the wheel of its record."""
    copy = shutil.copytree(DATA / "cache", tmp_path / "cache")
    wheel = pack_wheel("openblas_ilp64-0.3.34-py3-none-manylinux_2_38_riscv64.whl", tmp_path)
    folder = copy / "store/wheels" / sha256_of(wheel)
    folder.mkdir(parents=True)
    wheel.rename(folder / wheel.name)
    return copy


@pytest.fixture
def ledger(tmp_path: Path) -> Ledger:
    """Copy the old ledger."""
    return Ledger(shutil.copytree(DATA / "ledger", tmp_path / "ledger"))


def test_build_record_keeps_its_values(cache: Path) -> None:
    store = Store(cache / "store")
    record = store.record(RECORD)
    assert record is not None
    assert (record.name, record.version, record.mode, record.built_with) == (
        "openblas-ilp64",
        "0.3.34",
        "hybrid",
        "gcc",
    )
    assert [run.stage for run in record.stages] == [
        "source",
        "patch",
        "environment",
        "build",
        "repair",
        "audit",
        "check",
    ]
    assert record.stages[0].log == cache / "logs/openblas-ilp64-0.3.34/59432b7a186e7287/source.log"
    assert all(check.passed for check in record.checks)
    save(cache / "again.json", record, cache)
    before = json.loads((cache / f"store/records/{RECORD}.json").read_text())
    assert before.items() <= json.loads((cache / "again.json").read_text()).items()


def test_stored_wheel_is_a_candidate_to_publish(cache: Path) -> None:
    (candidate,) = Store(cache / "store").published_candidates()
    assert candidate.path.name == "openblas_ilp64-0.3.34-py3-none-manylinux_2_38_riscv64.whl"
    assert sha256_of(candidate.path) == candidate.sha256
    assert candidate.record_key == RECORD
    assert "rv64gc" in candidate.profiles


def test_failures_of_store_and_ledger_are_read(cache: Path, ledger: Ledger) -> None:
    (failure,) = Store(cache / "store").failures()
    assert (failure.name, failure.python, failure.stage) == ("broken", "3.13", "build")
    assert read_failures(ledger.folder, "broken") == (failure,)


def test_finished_steps_do_not_run_again(cache: Path) -> None:
    job = cache / "jobs/demo-0123456789abcdef"
    steps = Checkpoints(folder=job / "steps", root=cache, open_stage=unreported)

    def refuse(log: LogSink) -> object:
        raise AssertionError("the step runs again")

    assert steps.once("source", SourceTree, refuse) == SourceTree(path=job / "source/demo-1.0", sha256="5" * 64)  # type: ignore[arg-type]
    (patch,) = steps.once("patch", tuple[AppliedPatch, ...], refuse)  # type: ignore[arg-type]
    assert patch == AppliedPatch(name="0001-fix.patch", sha256="6" * 64, upstream_status="Pending")
    (pin,) = steps.once("environment", tuple[PackagePin, ...], refuse)  # type: ignore[arg-type]
    assert pin == PackagePin(name="cython", version="3.3.1", architecture="")
    _, patched, _ = steps.runs(("source", "patch", "environment"))
    assert patched.commands == ("$ patch --strip=1",)
    assert patched.log == cache / "logs/demo-1.0/0123456789abcdef/patch.log"


def test_layer_is_used_without_being_made_again(cache: Path) -> None:
    def refuse(tree: Path, log: LogSink) -> tuple[PackagePin, ...]:
        raise AssertionError("the layer is made again")

    definition = {"packages": ["uv"], "suite": "trixie"}
    layer = LayerStore(layout=Layout(cache), open_stage=unreported).ensure("uv-native", definition, refuse)
    assert (layer.tree / "bin/uv").is_file()
    assert layer.packages == (PackagePin(name="uv", version="0.13.9", architecture="amd64"),)
    assert layer.digest == "3511375dbeea56ebdab6e562c4be82c127c06425dcc8f2f6e594f23754f1faa0"


def test_metadata_file_is_found_by_its_source(cache: Path) -> None:
    source = load_recipes(DATA / "recipes", SOURCE_KINDS)["demo"].source
    assert load(cache / "metadata" / f"{identity(source)}.json", ProjectMetadata) == METADATA


def test_content_keys_stay_the_same() -> None:
    found = {}
    for name, recipe in load_recipes(DATA / "recipes", SOURCE_KINDS).items():
        for python, toolchain in (("3.13", "gcc"), ("3.14", "clang")):
            job = Job(
                recipe=recipe,
                metadata=METADATA,
                python=python,
                toolchain=toolchain,
                build_needs=frozenset(),
                run_needs=frozenset(),
            )
            patches = sorted((DATA / "patches").rglob("*.patch"))
            inputs, target = ["5" * 64, "qemu 11.1"], replace(Target(), python=python)
            found[f"{name} {python} {toolchain}"] = content_key(job, inputs, target, "e" * 64, patches, ["f" * 64])
    assert found == json.loads((DATA / "keys.json").read_text())


OTHER_DEFAULT = """
from dataclasses import replace
from factory.model import distribution
distribution.DEFAULT_DISTRIBUTION = replace(distribution.TRIXIE, python="3.15")
from factory.model.artifacts import StoredWheel
from factory.model.record import CheckResult
from factory.model.target import PYTHONS
from factory.publish.ledger_entry import load_entry
entry = load_entry({folder!r}, {name!r})
check = CheckResult(profile="k1", passed=True, seconds=1.0, shown="", facts={{}})
wheel = StoredWheel(path="", sha256="", record_key="", profiles=())
print(PYTHONS[0], *entry.origin.pythons, check.python, *wheel.pythons)
"""


def test_old_data_with_other_default_python_is_unchanged(ledger: Ledger) -> None:
    """Entries and records that name no Python keep their meaning when the default moves."""
    path = ledger.folder / "engine" / f"{ENGINE}.json"
    entry = json.loads(path.read_text())
    entry["origin"].pop("pythons", None)
    path.write_text(json.dumps(entry))
    program = OTHER_DEFAULT.format(folder=str(path.parent), name=path.name)
    finished = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert finished.stdout.split() == ["3.15", "3.13", "3.13", "3.13"]


def test_ledger_entries_keep_their_values_and_bytes(ledger: Ledger) -> None:
    engine, yanked, pure = ledger.read()
    assert engine.origin == Built(record="k" * 64, profiles=("rv64gc", "k1"), pythons=("3.13",))
    assert (yanked.origin, yanked.yanked) == (Mirrored(), "wrong answer")
    assert yanked.url == "https://files.example/pure_lib-1.0-py3-none-any.whl"
    assert (pure.url, pure.uploaded, pure.requires_python) == (None, "2026-01-02T03:04:05Z", ">=3.9")
    for release in (engine, yanked, pure):
        assert encode_entry(release) == (ledger.folder / release.project / f"{release.filename}.json").read_bytes()


def test_reports_and_failures_keep_their_bytes(ledger: Ledger, tmp_path: Path) -> None:
    again = tmp_path / "again"
    report = read_reports(ledger.folder, "engine")[ENGINE]
    assert report.build is not None
    assert report.build.record == RECORD
    write_report(again, "engine", report)
    write_failures(again, read_failures(ledger.folder, "broken"))
    kept = tree_of(ledger.folder)
    assert tree_of(again) == {name: kept[name] for name in kept if "/reports/" in name or "/failures/" in name}


def test_pages_of_the_old_ledger_keep_their_bytes(ledger: Ledger, tmp_path: Path) -> None:
    write_pages(ledger.read(), tmp_path / "out")
    assert tree_of(tmp_path / "out") == json.loads((DATA / "pages.json").read_text())


@pytest.mark.usefixtures("upstream")
def test_publishing_an_old_ledger_changes_no_entry(ledger: Ledger, tmp_path: Path) -> None:
    before = tree_of(ledger.folder)
    output = tmp_path / "out"
    (output / "files").mkdir(parents=True)
    for name in (ENGINE, "pure_lib-2.0-py3-none-any.whl"):
        pack_wheel(name, output / "files")
    engine = sha256_of(output / "files" / ENGINE)
    publication = publish(
        (),
        ledger=ledger,
        output=output,
        store=tmp_path / "store",
        mirror=tmp_path / "mirror",
        target=Target(),
        log=LogFile(tmp_path / "publish.log"),
    )
    write_pages(publication.releases, output)
    assert publication.added == ()
    assert before.items() <= tree_of(ledger.folder).items()
    published = tree_of(output)
    assert json.loads((DATA / "pages.json").read_text()).items() <= published.items()
    assert published[f"files/{ENGINE}"] == engine
