"""The store: records, wheels and candidates for publication."""

import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from factory.errors import StoreError
from factory.model.artifacts import RepairedWheel
from factory.model.target import Target
from factory.store.store import Store
from factory.util.atomic_files import sha256_of
from tests.support.records import record


def wheel(folder: Path, content: bytes = b"wheel") -> RepairedWheel:
    path = folder / "demo-1.0-py3-none-any.whl"
    path.write_bytes(content)
    return RepairedWheel(path=path, sha256=sha256_of(path), platform_tags=("any",))


def test_record_and_wheel_round_trip(tmp_path: Path) -> None:
    store = Store(tmp_path / "store")
    kept = store.add(record(), wheel(tmp_path))
    assert store.record(kept.key) == kept
    assert store.wheel_path(kept).read_bytes() == b"wheel"


def test_record_without_wheel_is_none(tmp_path: Path) -> None:
    store = Store(tmp_path / "store")
    kept = store.add(record(), wheel(tmp_path))
    store.wheel_path(kept).unlink()
    assert store.record(kept.key) is None


def test_damaged_record_names_the_file_to_remove(tmp_path: Path) -> None:
    store = Store(tmp_path / "store")
    kept = store.add(record(), wheel(tmp_path))
    path = next((tmp_path / "store/records").iterdir())
    path.write_text(path.read_text()[:100])
    with pytest.raises(StoreError, match=r"records/k+\.json: file is damaged") as caught:
        store.record(kept.key)
    assert caught.value.hint == f"remove it and run again: rm {path}"


def test_wheel_that_changes_while_copied_fails(tmp_path: Path) -> None:
    claimed = replace(wheel(tmp_path), sha256="0" * 64)
    store = Store(tmp_path / "store")
    with pytest.raises(StoreError, match="changed while it was copied"):
        store.add(record(), claimed)
    assert store.records() == []


def test_candidate_is_the_newest_of_a_file_name(tmp_path: Path) -> None:
    store = Store(tmp_path / "store")
    store.add(record("1" * 64), wheel(tmp_path, b"old"))
    new = store.add(record("2" * 64, finished="2026-02-01T00:00:00+00:00"), wheel(tmp_path, b"new"))
    assert [(item.sha256, item.record_key, item.profiles) for item in store.published_candidates()] == [
        (new.wheel_sha256, new.key, ("rv64gc",))
    ]


def test_candidate_is_the_newest_build_tag(tmp_path: Path) -> None:
    store = Store(tmp_path / "store")
    for month, tag in enumerate(("", "", "1-"), 1):
        made = wheel(tmp_path, f"{month}".encode())
        made = replace(made, path=made.path.rename(tmp_path / f"demo-1.0-{tag}py3-none-any.whl"))
        newest = store.add(record(f"{month}" * 64, finished=f"2026-0{month}-01T00:00:00+00:00"), made)
    assert [candidate.record_key for candidate in store.published_candidates()] == [newest.key]


def test_candidate_for_two_pythons_has_both(tmp_path: Path) -> None:
    store = Store(tmp_path / "store")
    built = store.add(record("1" * 64), wheel(tmp_path))
    later = replace(
        built, key="2" * 64, wheel_of=built.key, target=Target(python="3.14"), finished="2026-02-01T00:00:00+00:00"
    )
    store.add_checked(later)
    (candidate,) = store.published_candidates()
    assert (candidate.record_key, candidate.pythons) == (built.key, ("3.13", "3.14"))
    assert (store.latest("demo", "3.13"), store.latest("demo", "3.14")) == (built, later)


def test_comparison_is_found_by_toolchain_and_never_candidate(tmp_path: Path) -> None:
    store = Store(tmp_path / "store")
    gcc = store.add(record("1" * 64), wheel(tmp_path, b"gcc"))
    compared = replace(record("2" * 64), built_with="clang", comparison=True, finished="2026-02-01T00:00:00+00:00")
    clang = store.add(compared, wheel(tmp_path, b"clang"))
    assert [candidate.record_key for candidate in store.published_candidates()] == [gcc.key]
    found = [store.latest("demo", "3.13", toolchain) for toolchain in (None, "gcc", "clang")]
    assert found == [gcc, gcc, clang]


def test_wheel_with_failed_check_is_no_candidate(tmp_path: Path) -> None:
    store = Store(tmp_path / "store")
    store.add(record(passed=False), wheel(tmp_path))
    assert store.published_candidates() == {}


def test_wheel_with_plain_linux_tag_is_no_candidate(tmp_path: Path) -> None:
    """It is for the machine that built it."""
    store = Store(tmp_path / "store")
    made = wheel(tmp_path)
    plain = made.path.rename(tmp_path / "demo-1.0-cp313-cp313-linux_riscv64.whl")
    store.add(record(), replace(made, path=plain))
    assert store.published_candidates() == {}
    assert store.candidate(plain) is None


ADD = """
import sys
from pathlib import Path
from factory.model.artifacts import RepairedWheel
from factory.store.store import Store
from factory.util.atomic_files import sha256_of
from tests.support.records import record
path, root, key = Path(sys.argv[1]), Path(sys.argv[2]), sys.argv[3] * 64
print(flush=True)
sys.stdin.readline()
for _ in range(20):
    Store(root).add(record(key), RepairedWheel(path=path, sha256=sha256_of(path), platform_tags=()))
"""


def test_jobs_with_the_same_bytes_at_once_are_all_stored(tmp_path: Path) -> None:
    """Two toolchains may give the same wheel: the jobs write the same file, and each its own record."""
    content = bytes(3_000_000)
    path, root = wheel(tmp_path, content).path, tmp_path / "store"
    words = [sys.executable, "-c", ADD, str(path), str(root)]
    pipe = subprocess.PIPE
    jobs = [subprocess.Popen([*words, key], stdin=pipe, stdout=pipe, stderr=pipe, text=True) for key in "abcd"]
    for job in jobs:
        assert job.stdout is not None
        job.stdout.readline()
    for job in jobs:
        assert job.stdin is not None
        job.stdin.write("\n")
        job.stdin.flush()
    assert [(job.communicate()[1], job.returncode) for job in jobs] == [("", 0)] * 4
    stored = Store(root)
    assert {each.key[0] for each in stored.records()} == set("abcd")
    assert {stored.wheel_path(each).read_bytes() == content for each in stored.records()} == {True}
    assert [each.name for each in root.rglob("*") if each.name.startswith(".")] == []
