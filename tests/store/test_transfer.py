"""The cache as one file: what is written comes back the same, and nothing else ever gets in."""

from __future__ import annotations

import io
import json
import os
import signal
import stat
import subprocess
import sys
import tarfile
from collections.abc import Callable, Mapping
from contextlib import nullcontext
from dataclasses import replace
from pathlib import Path

import pytest
import zstandard
from filelock import FileLock

from factory.errors import StoreError
from factory.model.artifacts import RepairedWheel, SourceTree
from factory.model.record import BuildRecord, StageRun
from factory.pipeline.checkpoints import Checkpoints
from factory.store.cache_areas import AREAS, RESULTS
from factory.store.cache_export import FIRST, FORMAT, LAST, export_cache
from factory.store.cache_import import MARK, Imported, exported_files, import_cache, imported_at
from factory.store.store import Store
from factory.util.atomic_files import sha256_of
from factory.util.jsonio import save
from factory.util.log import LogFile
from factory.util.paths import Layout
from tests.support.records import FAILURE, record
from tests.support.waiting import wait_until

JOB, OBJECT = "demo-0123456789abcdef", "work/objects/a.o"
ODD_TIME = 1_700_000_000_123_456_789


def make_cache(root: Path) -> Layout:
    """Make a cache with an unfinished job, a finished wheel, a layer and an object of ccache."""
    layout = Layout(root)
    job = layout.jobs / JOB
    for name, text in {OBJECT: "object", "work/src/a.c": "source", "steps/source.json": "{}"}.items():
        write(job / name, text)
    os.utime(job / OBJECT, ns=(ODD_TIME, ODD_TIME))
    os.utime(job / "work/src", ns=(ODD_TIME + 1, ODD_TIME + 1))
    (job / "work/venv").symlink_to("/usr/lib/python3")
    os.link(job / OBJECT, job / "work/objects/b.o")
    write(layout.logs / "demo/build.log", "log")
    write(layout.compiler_caches / "0/1/hashR", "compiled")
    write(layout.layers / "base-0123456789abcdef/layer.json", "{}")
    write(layout.layers / "base-0123456789abcdef/tree/bin/su", "su")
    (layout.layers / "base-0123456789abcdef/tree/bin/su").chmod(0o4755)
    wheel = root / "demo.whl"
    wheel.write_bytes(b"wheel")
    Store(layout.store).add(
        record("1" * 64), RepairedWheel(path=wheel, sha256=sha256_of(wheel), platform_tags=("any",))
    )
    return layout


def write(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)


def export(layout: Layout, target: Path) -> list[str]:
    said: list[str] = []
    export_cache(layout, target, list(AREAS), said.append)
    return said


def bring(source: Path, layout: Layout) -> tuple[dict[str, Imported], list[str]]:
    said: list[str] = []
    return {entry.area: entry for entry in import_cache(layout, source, said.append)}, said


def contents(root: Path, *, folders: bool = False) -> dict[str, object]:
    """Return everything below a folder that a build or a root can see of it.

    Locks and the mark of an import are left out.
    """
    found: dict[str, object] = {}
    for path in sorted(root.rglob("*")):
        if path.suffix != ".lock" and path.name != MARK and (folders or path.is_symlink() or not path.is_dir()):
            status = path.lstat()
            what = path.readlink() if path.is_symlink() else path.read_bytes() if path.is_file() else None
            found[str(path.relative_to(root))] = (oct(status.st_mode), status.st_uid, status.st_mtime_ns, what)
    return found


@pytest.fixture
def packed(tmp_path: Path) -> Path:
    export(make_cache(tmp_path / "one"), tmp_path / "cache.tar.zst")
    return tmp_path / "cache.tar.zst"


def test_import_restores_files_to_the_nanosecond(packed: Path, tmp_path: Path) -> None:
    imported, said = bring(packed, Layout(tmp_path / "two"))
    for area in ("jobs", "layers", "logs", "ccache", "store"):
        trees = area in ("jobs", "layers")
        first, second = (contents(tmp_path / name / area, folders=trees) for name in ("one", "two"))
        assert first == second
    assert (imported["jobs"], said) == (Imported(area="jobs", added=1, kept=0), [])


def test_import_keeps_hard_links(packed: Path, tmp_path: Path) -> None:
    bring(packed, Layout(tmp_path / "two"))
    objects = tmp_path / "two/jobs" / JOB / "work/objects"
    assert (objects / "a.o").stat().st_ino == (objects / "b.o").stat().st_ino


def test_import_twice_reports_existing_items(packed: Path, tmp_path: Path) -> None:
    two = Layout(tmp_path / "two")
    bring(packed, two)
    before = contents(two.root)
    imported, said = bring(packed, two)
    assert contents(two.root) == before
    assert sum(entry.added for entry in imported.values()) == 0
    assert f"jobs/{JOB}: not imported: it already exists" in said


def test_import_keeps_existing_files(packed: Path, tmp_path: Path) -> None:
    two = Layout(tmp_path / "two")
    write(two.jobs / JOB / OBJECT, "its own")
    write(two.compiler_caches / "0/1/hashR", "its own")
    bring(packed, two)
    assert (two.jobs / JOB / OBJECT).read_text() == "its own"
    assert (two.compiler_caches / "0/1/hashR").read_text() == "its own"
    assert Store(two.store).record("1" * 64) is not None


def test_export_excludes_and_reports_locked_job(tmp_path: Path) -> None:
    layout = make_cache(tmp_path / "one")
    with FileLock(layout.jobs / f"{JOB}.lock"):
        said = export(layout, tmp_path / "cache.tar.zst")
    assert said == [f"jobs/{JOB}: excluded: another process is working on it"]
    assert "jobs" not in bring(tmp_path / "cache.tar.zst", Layout(tmp_path / "two"))[0]


def test_export_excludes_unfinished_items(tmp_path: Path) -> None:
    layout = make_cache(tmp_path / "one")
    for name in ("layers/apt-2.partial/tree/x", "downloads/aa/bb/x.part", "jobs/check-demo-1/x", "ccache/tmp/x"):
        write(layout.root / name, "unfinished")
    export(layout, tmp_path / "cache.tar.zst")
    bring(tmp_path / "cache.tar.zst", Layout(tmp_path / "two"))
    assert [path for path in (tmp_path / "two").rglob("*") if path.is_file() and path.read_text() == "unfinished"] == []


def test_imported_checkpoints_refer_to_the_new_cache(tmp_path: Path) -> None:
    one, two = Layout(tmp_path / "one"), Layout(tmp_path / "two")

    def steps(layout: Layout) -> Checkpoints:
        log = LogFile(layout.logs / "demo/source.log")
        opened: Callable[[str], object] = lambda stage: nullcontext(log)  # noqa: E731
        return Checkpoints(folder=layout.jobs / JOB / "steps", root=layout.root, open_stage=opened)  # type: ignore[arg-type]

    tree = steps(one).once("source", SourceTree, lambda log: SourceTree(path=one.jobs / JOB / "source/x", sha256="s"))
    export(one, tmp_path / "cache.tar.zst")
    bring(tmp_path / "cache.tar.zst", two)
    again = steps(two).once("source", SourceTree, lambda log: pytest.fail("the step ran again"))
    assert (tree.path, again.path) == (one.jobs / JOB / "source/x", two.jobs / JOB / "source/x")
    assert steps(two).runs(("source",))[0].log == two.logs / "demo/source.log"


def test_imported_records_refer_to_logs_in_the_new_cache(tmp_path: Path) -> None:
    one, two = Layout(tmp_path / "one"), Layout(tmp_path / "two")
    log = one.logs / "demo/build.log"
    wheel = tmp_path / "demo.whl"
    wheel.write_bytes(b"wheel")
    made: BuildRecord = replace(record("1" * 64), stages=(StageRun(stage="build", seconds=1.0, commands=(), log=log),))
    Store(one.store).add(made, RepairedWheel(path=wheel, sha256=sha256_of(wheel), platform_tags=("any",)))
    export(one, tmp_path / "cache.tar.zst")
    bring(tmp_path / "cache.tar.zst", two)
    (found,) = Store(two.store).records()
    assert found.stages[0].log == two.logs / "demo/build.log"


@pytest.mark.skipif(os.geteuid() != 0, reason="whiteouts, owners and trusted attributes are root's to make")
def test_import_keeps_owners_whiteouts_and_opaque_folders(tmp_path: Path) -> None:
    one, two = Layout(tmp_path / "one"), Layout(tmp_path / "two")
    tree = make_cache(one.root).layers / "base-0123456789abcdef/tree"
    os.mknod(tree / "removed", stat.S_IFCHR, 0)
    os.mknod(tree / "null", stat.S_IFCHR, os.makedev(1, 3))
    os.chown(tree / "bin/su", 12345, 54321)
    (tree / "bin/su").chmod(0o4755)
    os.setxattr(tree / "bin", "trusted.overlay.opaque", b"y")
    os.setxattr(tree / "bin", "trusted.overlay.origin", b"of this machine only")
    export(one, tmp_path / "cache.tar.zst")
    bring(tmp_path / "cache.tar.zst", two)
    found = two.layers / "base-0123456789abcdef/tree"
    assert (found / "removed").stat().st_rdev == 0
    assert not (found / "null").exists()
    status = (found / "bin/su").stat()
    assert (status.st_uid, status.st_gid, stat.S_IMODE(status.st_mode)) == (12345, 54321, 0o4755)
    assert os.listxattr(found / "bin") == ["trusted.overlay.opaque"]


def test_import_of_truncated_file_fails_without_changes(packed: Path, tmp_path: Path) -> None:
    whole = packed.read_bytes()
    two = Layout(tmp_path / "two")
    for size in range(0, len(whole) - 4, max(1, len(whole) // 12)):
        packed.write_bytes(whole[:size])
        with pytest.raises(StoreError, match=r"damaged|truncated|not written by") as caught:
            bring(packed, two)
        assert caught.value.hint is not None
        assert "the cache is unchanged" in caught.value.hint
    assert contents(two.root) == {}


def test_import_of_file_with_changed_byte_fails(packed: Path, tmp_path: Path) -> None:
    content = bytearray(packed.read_bytes())
    content[len(content) // 2] ^= 0x40
    packed.write_bytes(content)
    with pytest.raises(StoreError, match="damaged"):
        bring(packed, Layout(tmp_path / "two"))
    assert contents(tmp_path / "two") == {}


def test_import_of_missing_or_foreign_file_fails(tmp_path: Path) -> None:
    with pytest.raises(StoreError, match="none: file not found"):
        bring(tmp_path / "none", Layout(tmp_path / "two"))
    (tmp_path / "text").write_text("a text")
    with pytest.raises(StoreError, match="not written by `factory cache export`"):
        bring(tmp_path / "text", Layout(tmp_path / "two"))


def new_members(layout: Layout, target: Path) -> set[str]:
    """Export what is new in a cache; return the names of its files."""
    export_cache(layout, target, list(AREAS), lambda _line: None, since=imported_at(layout))
    with (
        target.open("rb") as file,
        zstandard.ZstdDecompressor().stream_reader(file) as packed,
        tarfile.open(fileobj=packed, mode="r|") as tar,
    ):
        return {info.name for info in tar if info.isfile()} - {FIRST, LAST}


def test_new_export_has_only_changes_since_import(packed: Path, tmp_path: Path) -> None:
    """Times of files are a build's to choose, so a change counts whatever they say."""
    layout = Layout(tmp_path / "there")
    bring(packed, layout)
    assert new_members(layout, tmp_path / "nothing.tar.zst") == set()
    os.utime(layout.layers / "base-0123456789abcdef/layer.json")  # used
    write(layout.logs / "other/build.log", "log")
    write(layout.layers / "more-0123456789abcdef/layer.json", "{}")
    write(layout.jobs / JOB / OBJECT, "compiled again")
    os.utime(layout.jobs / JOB / OBJECT, ns=(ODD_TIME, ODD_TIME))
    found = new_members(layout, tmp_path / "new.tar.zst")
    assert f"jobs/{JOB}/steps/source.json" in found
    assert {name for name in found if not name.startswith("jobs/")} == {
        "logs/other/build.log",
        "layers/more-0123456789abcdef/layer.json",
    }


def test_new_export_without_import_has_everything(tmp_path: Path) -> None:
    layout = make_cache(tmp_path / "here")
    assert imported_at(layout) == 0
    assert "logs/demo/build.log" in new_members(layout, tmp_path / "all.tar.zst")


def test_exported_files_of_folder_are_the_newest_wave_first(tmp_path: Path) -> None:
    for name in ("built-1-1/new.tar.zst", "built-2-1/new.tar.zst", "plan/plan.json"):
        write(tmp_path / name, "")
    assert [path.parent.name for path in exported_files(tmp_path)] == ["built-2-1", "built-1-1"]
    assert exported_files(tmp_path / "file.tar.zst") == [tmp_path / "file.tar.zst"]


def test_job_that_another_machine_finished_is_not_imported(tmp_path: Path) -> None:
    """The newest file comes first; an older one has the job as it was the night before."""
    older, newer, here = (Layout(tmp_path / name) for name in ("older", "newer", "here"))
    key = f"0123456789abcdef{'0' * 48}"
    write(older.jobs / JOB / "steps/source.json", "{}")
    wheel = tmp_path / "demo.whl"
    wheel.write_bytes(b"wheel")
    Store(newer.store).add(record(key), RepairedWheel(path=wheel, sha256=sha256_of(wheel), platform_tags=("any",)))
    said: list[str] = []
    for layout in (newer, older):
        export(layout, tmp_path / "one.tar.zst")
        said += bring(tmp_path / "one.tar.zst", here)[1]
    assert said == [f"jobs/{JOB}: not imported: the store has its wheel"]
    assert not (here.jobs / JOB).exists()


def failed(layout: Layout, finished: str) -> Store:
    store = Store(layout.store)
    store.add_failure(replace(FAILURE, finished=finished))
    return store


def test_newer_failure_replaces_older_one(tmp_path: Path) -> None:
    old, new = Layout(tmp_path / "old"), Layout(tmp_path / "new")
    failed(old, "2026-01-01T00:00:00+00:00")
    failed(new, "2026-02-01T00:00:00+00:00")
    for layout, other in ((old, new), (new, old)):
        export(layout, tmp_path / "one.tar.zst")
        bring(tmp_path / "one.tar.zst", other)
        assert [each.finished[:7] for each in Store(other.store).failures()] == ["2026-02"]


@pytest.mark.parametrize(("finished", "left"), [("2025-12-01T00:00:00+00:00", 0), ("2026-02-01T00:00:00+00:00", 1)])
def test_import_of_later_build_removes_its_failure(tmp_path: Path, finished: str, left: int) -> None:
    """The record is of 2026-01-01."""
    export(make_cache(tmp_path / "here"), tmp_path / "cache.tar.zst")
    layout = Layout(tmp_path / "there")
    store = failed(layout, finished)
    bring(tmp_path / "cache.tar.zst", layout)
    assert len(store.failures()) == left


def test_import_of_results_leaves_out_what_is_executed(packed: Path, tmp_path: Path) -> None:
    layout = Layout(tmp_path / "there")
    import_cache(layout, packed, lambda _line: None, RESULTS)
    assert [each.name for each in Store(layout.store).records()] == ["demo"]
    assert {path.name for path in layout.root.iterdir() if path.is_dir()} == {"logs", "store"}


@pytest.mark.parametrize(
    "fields",
    [
        {"wheel": "../../../../etc/passwd.whl"},
        {"wheel": "x.txt"},
        {"wheel_sha256": "../records"},
        {"wheel_of": "../../x"},
        {"name": "../demo"},
        {"name": "-demo"},
    ],
)
def test_import_of_record_with_unsafe_name_fails(tmp_path: Path, fields: dict[str, str]) -> None:
    """They are parts of paths; a job that escaped its walls may have written them."""
    layout = make_cache(tmp_path / "here")
    (kept,) = Store(layout.store).records()
    save(layout.store / "records" / f"{kept.key}.json", replace(kept, **fields), layout.root)  # type: ignore[arg-type]
    export(layout, tmp_path / "cache.tar.zst")
    with pytest.raises(StoreError, match="unsafe name"):
        bring(tmp_path / "cache.tar.zst", Layout(tmp_path / "there"))


@pytest.mark.parametrize("project", ["../../.github/workflows", "demo\n", "Demo"])
def test_import_of_failure_with_unsafe_project_fails(tmp_path: Path, project: str) -> None:
    layout = Layout(tmp_path / "here")
    Store(layout.store).add_failure(replace(FAILURE, project=project))
    export(layout, tmp_path / "cache.tar.zst")
    with pytest.raises(StoreError, match="unsafe name"):
        bring(tmp_path / "cache.tar.zst", Layout(tmp_path / "there"))


def hostile(tmp_path: Path, *members: tarfile.TarInfo, form: int = FORMAT) -> Path:
    """Make an archive with a valid beginning and end, and with `members` between."""
    path = tmp_path / "hostile.tar.zst"
    with (
        path.open("wb") as file,
        zstandard.ZstdCompressor().stream_writer(file) as packed,
        tarfile.open(fileobj=packed, mode="w|", format=tarfile.PAX_FORMAT) as tar,
    ):
        note(tar, FIRST, {"format": form})
        for info in members:
            tar.addfile(info, io.BytesIO(b"x" * info.size))
        note(tar, LAST, {"members": len(members)})
    return path


def note(tar: tarfile.TarFile, name: str, value: Mapping[str, object]) -> None:
    content = json.dumps(value).encode()
    info = tarfile.TarInfo(name)
    info.size = len(content)
    tar.addfile(info, io.BytesIO(content))


def member(name: str, kind: bytes = tarfile.REGTYPE, target: str = "", device: int = 0) -> tarfile.TarInfo:
    info = tarfile.TarInfo(name)
    info.type, info.linkname, info.devmajor = kind, target, device
    info.size = 1 if kind == tarfile.REGTYPE else 0
    return info


FOLDER, LINK, HARD = tarfile.DIRTYPE, tarfile.SYMTYPE, tarfile.LNKTYPE
UNSAFE = {
    "unsafe name": [member("jobs/../../escaped")],
    "unsafe member '/etc/passwd': unsafe name": [member("/etc/passwd")],
    "not in an area of a cache": [member("elsewhere/file")],
    "not in an area": [member("jobs/x.lock")],
    "not a regular file": [member("metadata/x.json", LINK, "/etc/passwd")],
    "not a folder": [member("jobs/x-0123456789abcdef", LINK, "/etc")],
    "its parent is not a folder of the archive": [
        member("jobs/x-0123456789abcdef", FOLDER),
        member("jobs/x-0123456789abcdef/link", LINK, "/etc"),
        member("jobs/x-0123456789abcdef/link/cron.d"),
    ],
    "duplicate": [member("logs/x"), member("logs/x")],
    "its parent is a file": [member("logs/x"), member("logs/x/y")],
    "a hard link to '/etc/shadow'": [
        member("jobs/x-0123456789abcdef", FOLDER),
        member("jobs/x-0123456789abcdef/y", HARD, "/etc/shadow"),
    ],
    "a device or a pipe": [
        member("layers/x-0123456789abcdef", FOLDER),
        member("layers/x-0123456789abcdef/sda", tarfile.CHRTYPE, device=8),
    ],
    "jobs/x-0123456789abcdef has no steps": [member("jobs/x-0123456789abcdef", FOLDER)],
    "has another sha256": [member(f"store/wheels/{'a' * 64}/x.whl")],
    "x.whl.provenance has another sha256": [member(f"store/wheels/{'a' * 64}/x.whl.provenance")],
    "damaged build record": [member("store/records/x.json")],
}


def test_import_brings_provenance_beside_its_wheel(tmp_path: Path) -> None:
    layout = make_cache(tmp_path / "one")
    (wheel,) = layout.store.glob("wheels/*/*.whl")
    write(wheel.with_name(f"{wheel.name}.provenance"), "{}")
    export(layout, tmp_path / "cache.tar.zst")
    bring(tmp_path / "cache.tar.zst", Layout(tmp_path / "two"))
    assert contents(tmp_path / "two/store") == contents(tmp_path / "one/store")


@pytest.mark.parametrize("message", UNSAFE)
def test_import_of_hostile_member_fails_without_changes(message: str, tmp_path: Path) -> None:
    with pytest.raises(StoreError) as caught:
        bring(hostile(tmp_path, *UNSAFE[message]), Layout(tmp_path / "two"))
    assert message in str(caught.value)
    assert "the cache is unchanged" in str(caught.value)
    assert contents(tmp_path / "two") == {}
    assert not (tmp_path / "escaped").exists()


def test_import_of_oversized_header_fails(tmp_path: Path) -> None:
    huge = member("logs/x")
    huge.pax_headers = {"comment": "x" * (2 << 20)}
    with pytest.raises(StoreError, match="an extended header of"):
        bring(hostile(tmp_path, huge), Layout(tmp_path / "two"))


@pytest.mark.parametrize("time", ["9" * 30, "yesterday", "1.x"])
def test_import_of_invalid_time_fails(time: str, tmp_path: Path) -> None:
    timed = member("logs/x")
    timed.pax_headers = {"mtime": time}
    with pytest.raises(StoreError, match="damaged"):
        bring(hostile(tmp_path, timed), Layout(tmp_path / "two"))
    assert contents(tmp_path / "two") == {}


def test_import_of_newer_format_names_both_formats(tmp_path: Path) -> None:
    with pytest.raises(StoreError) as caught:
        bring(hostile(tmp_path, form=FORMAT + 1), Layout(tmp_path / "two"))
    assert f"format {FORMAT + 1}, but this factory reads format {FORMAT}" in str(caught.value)
    assert "version of the factory" in str(caught.value)


EXPORT = """
import sys
from pathlib import Path
from factory.store.cache_areas import AREAS, RESULTS
from factory.store.cache_export import export_cache
from factory.util.paths import Layout
export_cache(Layout(Path(sys.argv[1])), Path(sys.argv[2]), list(AREAS), print)
"""


def test_killed_export_leaves_no_file(tmp_path: Path) -> None:
    layout, target = make_cache(tmp_path / "one"), tmp_path / "out/cache.tar.zst"
    target.parent.mkdir()
    (layout.jobs / JOB / "work/large").write_bytes(os.urandom(50_000_000))
    process = subprocess.Popen([sys.executable, "-c", EXPORT, str(layout.root), str(target)])
    wait_until(lambda: list(target.parent.iterdir()), process=process)
    process.send_signal(signal.SIGKILL)
    process.wait()
    assert not target.exists()
    (layout.jobs / JOB / "work/large").unlink()
    export(layout, target)
    assert list(target.parent.iterdir()) == [target]


def test_killed_import_starts_again(packed: Path, tmp_path: Path) -> None:
    two = Layout(tmp_path / "two")
    write(two.jobs / ".importing" / JOB / "work/half", "half")
    bring(packed, two)
    assert not (two.jobs / ".importing").exists()
    assert not (two.jobs / JOB / "work/half").exists()


def test_export_into_missing_folder_fails(tmp_path: Path) -> None:
    with pytest.raises(StoreError, match="cannot be written: No such file or directory") as caught:
        export(make_cache(tmp_path / "one"), tmp_path / "missing/cache.tar.zst")
    assert "give a file in an existing folder" in str(caught.value)


@pytest.mark.skipif(os.geteuid() != 0, reason="a small disk is mounted, which is root's to do")
def test_full_disk_fails_export_and_import(tmp_path: Path) -> None:
    layout, small = make_cache(tmp_path / "one"), tmp_path / "small"
    (layout.jobs / JOB / "work/large").write_bytes(os.urandom(3_000_000))
    export(layout, tmp_path / "cache.tar.zst")
    small.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", str(small)], check=True)
    try:
        with pytest.raises(StoreError, match="cannot be written: No space left on device"):
            export(layout, small / "cache.tar.zst")
        assert list(small.iterdir()) == []
        with pytest.raises(StoreError, match="cannot be unpacked: No space left on device"):
            bring(tmp_path / "cache.tar.zst", Layout(small / "two"))
        assert contents(small) == {}
    finally:
        subprocess.run(["umount", str(small)], check=True)
