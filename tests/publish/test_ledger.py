from __future__ import annotations

import errno
import json
import multiprocessing
import os
import signal
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import filelock
import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import structs
from packaging.utils import InvalidWheelFilename, parse_wheel_filename
from packaging.version import Version

from factory.errors import PublishError
from factory.publish.ledger import Ledger
from factory.publish.ledger_entry import encode_entry
from factory.publish.logs import log_name
from factory.publish.release import Release
from factory.publish.reports import Log
from factory.publish.wheel_filename import parse_filename
from factory.util.atomic_files import write_if_changed
from tests.support.publishers import add_bytes, add_many
from tests.support.releases import RELEASE
from tests.support.waiting import wait_until
from tests.support.wheelmaker import make_wheel, release_of

ENTRY = Path("demo") / "demo-1.0-py3-none-any.whl.json"


def test_a_release_is_read_back_as_it_was_added(tmp_path: Path) -> None:
    built = release_of(make_wheel(tmp_path, "other", requires_python=">=3.9"))
    ledger = Ledger(tmp_path / "ledger")
    ledger.add(RELEASE)
    ledger.add(built)
    assert Ledger(tmp_path / "ledger").read() == (RELEASE, built)


def test_a_ledger_of_another_user_is_refused_with_how_to_take_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(lock: filelock.FileLock) -> None:
        raise PermissionError(errno.EACCES, "Permission denied", lock.lock_file)

    monkeypatch.setattr(filelock.FileLock, "acquire", refuse)  # root, who runs tests too, is refused nothing
    folder = tmp_path / "led ger"
    with pytest.raises(PublishError, match=r"cannot write the ledger: Permission denied: .*\.lock") as caught:
        Ledger(folder).add(RELEASE)
    assert (caught.value.hint or "").endswith(f" sudo chown -R $(id -un) '{folder}'")


def test_release_optional_fields_are_written_if_set(tmp_path: Path) -> None:
    full = structs.replace(
        RELEASE,
        metadata_sha256=None,
        uploaded="2026-11-22T09:30:00.123456Z",
        url="https://[::1]:8443/a%20(b)/demo-1.0-py3-none-any.whl?v=1&w=2",
        tracks="https://host/simple/demo/",
        provenance_url="https://host/demo-1.0-py3-none-any.whl.provenance",
        provenance_sha256="d" * 64,
        listed=False,
        yanked_upstream="it crashes",
    )
    ledger = Ledger(tmp_path)
    ledger.add(RELEASE)
    assert {"uploaded", "url", "tracks", "provenance_sha256", "listed", "yanked_upstream"}.isdisjoint(
        json.loads((tmp_path / ENTRY).read_text())
    )
    assert ledger.update([full]) == (full,)
    assert ledger.read() == (full,)
    assert ledger.update([full]) == ()


def test_update_needs_published_release_with_same_bytes(tmp_path: Path) -> None:
    ledger = Ledger(tmp_path)
    with pytest.raises(PublishError, match=r"demo 1\.0: not published"):
        ledger.update([RELEASE])
    ledger.add(RELEASE)
    with pytest.raises(PublishError, match="already published with other bytes"):
        ledger.update([structs.replace(RELEASE, sha256="c" * 64)])


def test_an_entry_is_sorted_json_that_ends_with_a_newline(tmp_path: Path) -> None:
    Ledger(tmp_path).add(RELEASE)
    text = (tmp_path / ENTRY).read_text()
    assert text == json.dumps(json.loads(text), indent=2, sort_keys=True) + "\n"


def test_add_other_bytes_is_refused_with_both_hashes(tmp_path: Path) -> None:
    ledger = Ledger(tmp_path)
    ledger.add(RELEASE)
    before = (tmp_path / ENTRY).read_bytes()
    with pytest.raises(PublishError) as caught:
        ledger.add(structs.replace(RELEASE, sha256="c" * 64))
    assert "a" * 64 in caught.value.message
    assert "c" * 64 in caught.value.message
    assert "build tag" in str(caught.value.hint)
    assert (tmp_path / ENTRY).read_bytes() == before


def test_the_same_bytes_again_keep_the_first_entry_and_its_yank(tmp_path: Path) -> None:
    ledger = Ledger(tmp_path)
    yanked = structs.replace(RELEASE, yanked="it crashes")
    ledger.add(yanked)
    assert ledger.add(RELEASE) == yanked
    assert ledger.read() == (yanked,)


@pytest.mark.parametrize(
    ("damage", "words"),
    [
        (b"", "Input data was truncated"),
        (b"{}", "missing required field `format`"),
        (b"[1]", "Expected `object`, got `array`"),
        (b"\xff\xfe\x00", "damaged"),
        (b"[" * 100_000, "damaged"),
    ],
)
def test_a_damaged_entry_is_named(tmp_path: Path, damage: bytes, words: str) -> None:
    ledger = Ledger(tmp_path)
    ledger.add(RELEASE)
    (tmp_path / ENTRY).write_bytes(damage)
    with pytest.raises(PublishError) as caught:
        ledger.read()
    assert str(tmp_path / ENTRY) in caught.value.message
    assert words in caught.value.message


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("sha256", "../../etc/passwd"),
        ("sha256", "A" * 64),
        ("metadata_sha256", 7),
        ("size", "10"),
        ("filename", "../demo-1.0-py3-none-any.whl"),
        ("project", "../demo"),
        ("version", "<b>"),
        ("origin", {"kind": "found"}),
        ("origin", {"kind": "built", "record": "k", "profiles": "rv64gc"}),
        ("format", 2),
        ("yanked", True),
        ("yanked", ""),
        ("sha256", None),
        ("uploaded", "yesterday"),
        ("url", "javascript:alert(1)"),
        ("url", 'https://host/"><script>'),
        ("url", "https://host/a\nb"),
        ("url", "https://user:secret@host/x"),
        ("tracks", "//host/simple/demo/"),
        ("provenance_sha256", "x"),
        ("listed", "no"),
    ],
)
def test_an_entry_with_a_wrong_field_is_refused(tmp_path: Path, key: str, value: object) -> None:
    ledger = Ledger(tmp_path)
    ledger.add(RELEASE)
    entry = json.loads((tmp_path / ENTRY).read_text()) | {key: value}
    (tmp_path / ENTRY).write_text(json.dumps(entry))
    with pytest.raises(PublishError, match=r"demo-1\.0-py3-none-any\.whl\.json: ledger entry is damaged"):
        ledger.read()


PARTS = (
    "demo",
    "Demo_More.x",
    "1.0",
    "1.0.0rc1+cpu",
    "1!2",
    "notaversion",
    "1",
    "2b",
    "x",
    "py3",
    "none",
    "cp313.cp314",
    "any",
    "",
)


@given(st.sampled_from(PARTS[:2]), st.lists(st.sampled_from(PARTS), max_size=6), st.sampled_from((".whl", "")))
def test_a_file_name_says_what_packaging_reads_in_it(name: str, parts: Sequence[str], end: str) -> None:
    filename = "-".join([name, *parts]) + end
    try:
        project, version, _build, _tags = parse_wheel_filename(filename)
    except InvalidWheelFilename:
        with pytest.raises(PublishError, match="invalid wheel file name"):
            parse_filename(filename)
    else:
        assert parse_filename(filename) == (project, str(version))


@pytest.mark.parametrize(
    "filename",
    [
        "../evil-1.0-py3-none-any.whl",
        "evil-1.0-py3-none-../../any.whl",
        "evil-1.0-py3-none-any\n.whl",
        'evil-1.0-py3-none-"><script>.whl',
        ".hidden-1.0-py3-none-any.whl",
        "evil-1.0-py3-none-any.whl/",
        "evil-1.0.tar.gz",
        "evil-notaversion-py3-none-any.whl",
        "é-1.0-py3-none-any.whl",
        "",
    ],
)
def test_a_hostile_file_name_is_refused(tmp_path: Path, filename: str) -> None:
    with pytest.raises(PublishError, match="invalid wheel file name"):
        parse_filename(filename)
    with pytest.raises(PublishError, match="invalid wheel file name"):
        Ledger(tmp_path / "ledger").add(structs.replace(RELEASE, filename=filename))
    assert list((tmp_path / "ledger").rglob("*.json")) == []


@pytest.mark.parametrize("length", [201, 226, 255, 300])
def test_add_too_long_file_name_is_refused(tmp_path: Path, length: int) -> None:
    ledger, long = Ledger(tmp_path / "ledger"), named(length)
    with pytest.raises(PublishError, match=rf"cannot publish: its file name has {length} characters") as caught:
        ledger.verify_all([RELEASE, long])
    assert "the limit is 200" in caught.value.message
    with pytest.raises(PublishError, match="cannot publish: its file name has"):
        ledger.add(long)
    assert ledger.read() == ()


def test_longest_file_name_is_published_with_sidecars(tmp_path: Path) -> None:
    longest = named(200)
    assert Ledger(tmp_path).add(longest) == longest
    write_if_changed(tmp_path / log_name(longest.filename, Log(stage="check", python="3.13", sha256="")), b"log")
    assert Ledger(tmp_path).read() == (longest,)


def test_published_too_long_file_name_can_be_yanked(tmp_path: Path) -> None:
    once = named(205)
    write_if_changed(tmp_path / f"demo/{once.filename}.json", encode_entry(once))
    (yanked,) = Ledger(tmp_path).set_yanked("demo", Version("1.0"), "x")
    assert Ledger(tmp_path).read() == (yanked,)


def named(length: int) -> Release:
    """Return a release whose file name has that many characters."""
    head, end = "demo-1.0-py3.", "-none-any.whl"
    return structs.replace(RELEASE, filename=f"{head}{'y' * (length - len(head + end))}{end}")


def test_two_publishers_at_once_lose_nothing(tmp_path: Path) -> None:
    context = multiprocessing.get_context("spawn")
    ranges = (range(1, 60), range(30, 90))
    workers = [context.Process(target=add_many, args=(tmp_path, numbers)) for numbers in ranges]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join(60)
    assert [worker.exitcode for worker in workers] == [0, 0]
    assert {release.version for release in Ledger(tmp_path).read()} == {str(number) for number in range(1, 90)}


def test_publishers_of_one_name_exactly_one_wins(tmp_path: Path) -> None:
    context = multiprocessing.get_context("spawn")
    workers = [context.Process(target=add_bytes, args=(tmp_path, digit)) for digit in "cdef"]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join(60)
    assert sorted(str(worker.exitcode) for worker in workers) == ["0", "3", "3", "3"]


PUBLISH_FOREVER = """
import sys, itertools
from pathlib import Path
from factory.publish.ledger import Ledger
from tests.support.publishers import add_bytes, add_many
from tests.support.releases import numbered
for number in itertools.count(int(sys.argv[2])):
    Ledger(Path(sys.argv[1])).add(numbered(number))
    print(number, flush=True)
"""


def count_entries(folder: Path) -> int:
    return sum(1 for _ in folder.rglob("*.json"))


def test_publisher_killed_between_writes_keeps_ledger(tmp_path: Path) -> None:
    for attempt in range(4):
        argv = [sys.executable, "-c", PUBLISH_FOREVER, str(tmp_path), str(attempt * 1_000_000 + 1)]
        with subprocess.Popen(argv, stdout=subprocess.PIPE, text=True, cwd=Path(__file__).parents[2]) as child:
            assert child.stdout is not None
            first = child.stdout.readline()
            before = count_entries(tmp_path)
            wait_until(lambda: count_entries(tmp_path) > before + attempt, process=child)  # noqa: B023 - at once
            os.kill(child.pid, signal.SIGKILL)
            added = {first.strip(), *child.stdout.read().split()}
        assert added <= {release.version for release in Ledger(tmp_path).read()}
    Ledger(tmp_path).add(RELEASE)
    assert RELEASE in Ledger(tmp_path).read()
