"""Reports of real wheels, written from a store's records."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from hashlib import sha256
from pathlib import Path

import pytest
from msgspec import UNSET

from factory.model.artifacts import AppliedPatch, LibraryOrigin, RepairedWheel
from factory.model.record import AuditSummary, BuildRecord, DispatchedLibrary
from factory.publish.failures import read_failure_logs, read_failures
from factory.publish.release import Release
from factory.publish.report_writer import BuildHistory, write_reports
from factory.publish.reports import (
    About,
    Build,
    Bundled,
    Contents,
    Dispatched,
    Package,
    Patch,
    WheelReport,
    read_reports,
    write_report,
)
from factory.publish.source_texts import read_texts
from factory.publish.wheel_metadata import describe_wheel
from factory.store.store import Store
from factory.util.atomic_files import sha256_of
from tests.support.records import FAILURE, record
from tests.support.wheelmaker import BUILT, make_wheel

FAST, OWN = "demo.libs/libfast-11111111.so", "demo.libs/libown-22222222.so"
AUDIT = AuditSummary(
    libraries=3,
    glibc="2.34",
    dispatched=(DispatchedLibrary(path=FAST, extensions=("v",)),),
    system_libraries=("libc.so.6",),
    bundled={FAST: "1" * 64, OWN: "2" * 64},
    sboms=("demo-1.0.dist-info/sboms/crates.json",),
)
ORIGIN = LibraryOrigin(kind="deb", name="libfast1", version="1.0-1", architecture="riscv64")
CONTENTS = Contents(
    libraries=3,
    glibc="2.34",
    dispatched=(Dispatched(path=FAST, extensions=("v",)),),
    system_libraries=("libc.so.6",),
    bundled=(
        Bundled(
            path=FAST,
            sha256="1" * 64,
            package=Package(kind="deb", name="libfast1", version="1.0-1", architecture="riscv64"),
        ),
        Bundled(path=OWN, sha256="2" * 64),
    ),
    sboms=("demo-1.0.dist-info/sboms/crates.json",),
)


def audited() -> BuildRecord:
    return replace(record(), audit=AUDIT, library_origins={FAST: ORIGIN})


def stored(store: Store, path: Path, kept: BuildRecord) -> Release:
    store.add(kept, RepairedWheel(path=path, sha256=sha256_of(path), platform_tags=("any",)))
    return describe_wheel(path, BUILT)


def write(releases: Sequence[Release], store: Store, folder: Path) -> None:
    history = BuildHistory(records=store.records(), failures=store.failures(), cache=store.root.parent)
    write_reports(
        releases, folder / "ledger", history, lambda release: _file(folder / release.filename), folder / "out"
    )


def _file(path: Path) -> Path | None:
    return path if path.exists() else None


def build_in(folder: Path) -> Build:
    (report,) = read_reports(folder / "ledger", "demo").values()
    assert report.build is not None
    return report.build


def test_report_has_the_build_audit_and_origins_of_the_record(tmp_path: Path) -> None:
    store = Store(tmp_path / "store")
    write([stored(store, make_wheel(tmp_path, "demo"), audited())], store, tmp_path)
    build = build_in(tmp_path)
    assert (build.record, build.checks[0].shown) == (record().key, "Paris")
    assert build.contents == CONTENTS


def test_report_of_record_without_audit_has_no_contents(tmp_path: Path) -> None:
    """A store of an older factory can be published; a later record with an audit completes the report."""
    store, path = Store(tmp_path / "store"), make_wheel(tmp_path, "demo")
    release = stored(store, path, record())
    write([release], store, tmp_path)
    assert build_in(tmp_path).contents is None
    stored(store, path, audited())
    write([release], store, tmp_path)
    assert build_in(tmp_path).contents == CONTENTS


def test_report_of_record_without_audit_keeps_known_contents(tmp_path: Path) -> None:
    store, path = Store(tmp_path / "store"), make_wheel(tmp_path, "demo")
    release = stored(store, path, audited())
    write([release], store, tmp_path)
    stored(store, path, record())
    write([release], store, tmp_path)
    assert build_in(tmp_path).contents == CONTENTS


def test_report_stays_without_the_store_and_the_wheel(tmp_path: Path) -> None:
    store, path = Store(tmp_path / "store"), make_wheel(tmp_path, "demo")
    release = stored(store, path, audited())
    write([release], store, tmp_path)
    before = read_reports(tmp_path / "ledger", "demo")
    path.unlink()
    write([release], Store(tmp_path / "empty"), tmp_path)
    assert read_reports(tmp_path / "ledger", "demo") == before


def test_report_gains_checks_on_a_further_python(tmp_path: Path) -> None:
    store = Store(tmp_path / "store")
    release = stored(store, make_wheel(tmp_path, "demo"), audited())
    write([release], store, tmp_path)
    kept = store.records()[0]
    checks = (replace(kept.checks[0], python="3.14"),)
    store.add_checked(replace(kept, key="f" * 64, wheel_of=kept.key, finished="2026-02-01", checks=checks))
    write([release], store, tmp_path)
    assert [check.python for check in build_in(tmp_path).checks] == ["3.13", "3.14"]


def test_failure_in_ledger_goes_with_the_next_successful_build(tmp_path: Path) -> None:
    store, path = Store(tmp_path / "store"), make_wheel(tmp_path, "demo")
    store.add_failure(FAILURE)
    write([], store, tmp_path)
    assert read_failures(tmp_path / "ledger", "demo") == (FAILURE,)
    write([stored(store, path, audited())], store, tmp_path)
    assert read_failures(tmp_path / "ledger", "demo") == ()


def test_failure_in_ledger_has_the_end_of_its_log(tmp_path: Path) -> None:
    store, log = Store(tmp_path / "store"), tmp_path / "logs/demo/build.log"
    log.parent.mkdir(parents=True)
    log.write_text(f"start\n{'x' * 99}\n" + f"{tmp_path}/work: \x1b[31mno\x1b[0m\n" * 10_000 + "the end\n")
    store.add_failure(replace(FAILURE, log="logs/demo/build.log"))
    write([], store, tmp_path)
    assert read_failures(tmp_path / "ledger", "demo") == (FAILURE,)
    (kept,) = read_failure_logs(tmp_path / "ledger", "demo").values()
    first, *_, last = kept.splitlines()
    assert ("characters left out here]" in first, last) == (True, "the end")
    assert "$FACTORY_CACHE/work: no\n" in kept
    assert len(kept) <= 200_100
    log.unlink()
    write([], store, tmp_path)
    assert read_failure_logs(tmp_path / "ledger", "demo") == {"demo-3.13": kept}
    store.add_failure(replace(FAILURE, finished="2026-02-01T00:00:00+00:00"))
    write([], store, tmp_path)
    assert read_failure_logs(tmp_path / "ledger", "demo") == {}


@pytest.mark.parametrize("log", ["/proc/self/environ", "../secret", "logs/../secret", "logs/link"])
def test_other_file_is_not_published_as_log_of_a_failure(tmp_path: Path, log: str) -> None:
    """A failure of another machine may name any file."""
    cache = tmp_path / "cache"
    (cache / "logs").mkdir(parents=True)
    for folder in (tmp_path, cache):
        (folder / "secret").write_text("a secret of the job that publishes\n")
    (cache / "logs/link").symlink_to(tmp_path / "secret")
    store = Store(cache / "store")
    store.add_failure(replace(FAILURE, log=log))
    write([], store, cache)
    assert list(tmp_path.glob("**/ledger/**/*.log")) == []


def test_log_of_a_fixed_failure_is_removed(tmp_path: Path) -> None:
    store, path = Store(tmp_path / "store"), make_wheel(tmp_path, "demo")
    (tmp_path / "logs").mkdir()
    (tmp_path / "logs/build.log").write_text("no\n")
    store.add_failure(replace(FAILURE, log="logs/build.log"))
    write([], store, tmp_path)
    write([stored(store, path, audited())], store, tmp_path)
    assert not (tmp_path / "ledger/demo/failures").exists()


def test_report_of_older_factory_gains_statements_of_the_wheel(tmp_path: Path) -> None:
    """An old ledger is read, and completed while the wheel is at hand."""
    store, path = Store(tmp_path / "store"), make_wheel(tmp_path, "demo", requires=["plain"])
    release = stored(store, path, audited())
    write_report(tmp_path / "ledger", "demo", WheelReport(filename=path.name, summary="old", license="MIT"))
    write([release], Store(tmp_path / "empty"), tmp_path)
    (report,) = read_reports(tmp_path / "ledger", "demo").values()
    assert (report.summary, report.about) == ("old", About(requires=("plain",), modules=("demo",)))
    path.unlink()
    write([release], Store(tmp_path / "empty"), tmp_path)
    assert read_reports(tmp_path / "ledger", "demo")[path.name] == report


def test_texts_of_recipe_and_patches_are_kept_by_hash(tmp_path: Path) -> None:
    """Keep those that the record names; a later version in the checkout does not replace them."""
    project, store = tmp_path / "project", Store(tmp_path / "store")
    recipe, base = (project / "recipes" / name / "recipe.toml" for name in ("demo", "base"))
    patch = project / "patches/demo/1.0/0001-fix.patch"
    for file in (recipe, base, patch):
        file.parent.mkdir(parents=True)
        file.write_text(f"{file.parent.name}\n")
    recipe.write_text('[package]\nbased-on = "base"\n')
    both = sha256(f"{sha256_of(recipe)} {sha256_of(base)}".encode()).hexdigest()
    applied = AppliedPatch(name=patch.name, sha256=sha256_of(patch), upstream_status="Pending")
    kept = replace(record(), recipe_sha256=both, patches=(applied,))
    release = stored(store, make_wheel(tmp_path, "demo"), kept)
    for _ in range(2):
        history = BuildHistory(records=store.records(), failures=(), cache=tmp_path, project=project)
        write_reports([release], tmp_path / "ledger", history, lambda each: tmp_path / each.filename, tmp_path / "out")
        assert read_texts(tmp_path / "ledger", "demo") == {
            both: '[package]\nbased-on = "base"\n\n# What it inherits from base:\n\nbase\n',
            applied.sha256: "1.0\n",
        }
        patch.write_text("another\n")
    assert build_in(tmp_path).patches == (Patch(name=patch.name, upstream_status="Pending", sha256=applied.sha256),)


def test_licence_texts_are_published_as_one_file(tmp_path: Path) -> None:
    store = Store(tmp_path / "store")
    licenses = {"licenses/debian/libfast1/copyright": "Fast\r\n\x1b[31m", "LICENSE": "MIT"}
    releases = [stored(store, make_wheel(tmp_path, "demo", more=licenses), audited())]
    write(releases, store, tmp_path)
    path = tmp_path / "out/files/demo-1.0-py3-none-any.whl.licenses.txt"
    first, second = path.read_text().split("\n\n", 1)[0], path.read_text()
    assert first == "demo-1.0.dist-info/LICENSE\n" + "=" * 26
    assert "MIT\n" in second
    assert "Fast\n\N{REPLACEMENT CHARACTER}[31m\n" in second
    assert build_in(tmp_path).license_texts == sha256_of(path)
    (tmp_path / "demo-1.0-py3-none-any.whl").unlink()
    for found in (sha256_of(path), UNSET):  # without the wheel it is kept, and omitted once it is lost
        write(releases, Store(tmp_path / "none"), tmp_path)
        assert build_in(tmp_path).license_texts == found
        path.unlink(missing_ok=True)


def test_wheel_without_licence_files_has_no_texts(tmp_path: Path) -> None:
    store = Store(tmp_path / "store")
    write([stored(store, make_wheel(tmp_path, "demo"), audited())], store, tmp_path)
    assert build_in(tmp_path).license_texts is UNSET
    assert not list((tmp_path / "out").rglob("*.licenses.txt"))
