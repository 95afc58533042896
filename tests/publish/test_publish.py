from __future__ import annotations

import dataclasses
import multiprocessing
from pathlib import Path

import pytest

from factory.errors import PublishError
from factory.files import sha256_of
from factory.model import StoredWheel, Target
from factory.process import LogFile
from factory.publish import Publication, publish
from factory.publish.ledger import Built, Ledger, Mirrored
from tests.publish.wheelmaker import RISCV, make_wheel, release_of, tree_of


def stored(path: Path) -> StoredWheel:
    return StoredWheel(path=path, sha256=sha256_of(path), record_key="key", profiles=("rv64gc", "k1"))


def publish_to(folder: Path, *candidates: StoredWheel) -> Publication:
    return publish(
        candidates,
        ledger=Ledger(folder / "ledger"),
        output=folder / "out",
        mirror=folder / "mirror",
        target=Target(),
        log=LogFile(folder / "publish.log"),
    )


def test_a_checked_wheel_is_published_with_its_profiles_and_record(tmp_path: Path) -> None:
    path = make_wheel(tmp_path / "store", "demo", tag=RISCV)
    publication = publish_to(tmp_path, stored(path))
    (release,) = publication.releases
    assert publication.added == (release,)
    assert release.origin == Built(record="key", profiles=("rv64gc", "k1"))
    assert sha256_of(tmp_path / "out/files" / path.name) == release.sha256
    assert f"#sha256={release.sha256}" in (tmp_path / "out/simple/demo/index.html").read_text()


def test_publishing_again_adds_and_changes_nothing(tmp_path: Path) -> None:
    candidate = stored(make_wheel(tmp_path / "store", "demo"))
    publish_to(tmp_path, candidate)
    before = tree_of(tmp_path / "out")
    again = publish_to(tmp_path, candidate)
    assert (again.added, again.changed) == ((), ())
    assert tree_of(tmp_path / "out") == before


def test_a_wheel_that_passed_on_no_profile_is_refused(tmp_path: Path) -> None:
    candidate = dataclasses.replace(stored(make_wheel(tmp_path / "store", "demo")), profiles=())
    with pytest.raises(PublishError, match="its checks passed on no ISA profile") as caught:
        publish_to(tmp_path, candidate)
    assert "factory check" in str(caught.value.hint)
    assert Ledger(tmp_path / "ledger").read() == ()


def test_a_wheel_that_changed_after_its_checks_is_refused(tmp_path: Path) -> None:
    candidate = dataclasses.replace(stored(make_wheel(tmp_path / "store", "demo")), sha256="0" * 64)
    with pytest.raises(PublishError, match="it changed after its checks"):
        publish_to(tmp_path, candidate)


def test_a_rebuild_with_other_bytes_is_refused_and_nothing_beside_it_is_published(tmp_path: Path) -> None:
    first = stored(make_wheel(tmp_path / "one", "demo"))
    publish_to(tmp_path, first)
    before = tree_of(tmp_path / "out"), tree_of(tmp_path / "ledger")
    rebuilt = stored(make_wheel(tmp_path / "two", "demo", code="ANSWER = 43\n"))
    innocent = stored(make_wheel(tmp_path / "two", "aaa"))
    with pytest.raises(PublishError, match="is published already, with other bytes"):
        publish_to(tmp_path, innocent, rebuilt)
    assert (tree_of(tmp_path / "out"), tree_of(tmp_path / "ledger")) == before


def test_a_rebuild_with_a_build_tag_is_published_beside_the_first(tmp_path: Path) -> None:
    publish_to(tmp_path, stored(make_wheel(tmp_path / "one", "demo")))
    rebuilt = make_wheel(tmp_path / "two", "demo", build="1", code="ANSWER = 43\n")
    publication = publish_to(tmp_path, stored(rebuilt))
    assert len(publication.releases) == 2
    assert [release.filename for release in publication.added] == [rebuilt.name]


def test_one_name_with_two_contents_in_one_go_is_refused(tmp_path: Path) -> None:
    both = [stored(make_wheel(tmp_path / name, "demo", code=f"X = {name!r}\n")) for name in ("one", "two")]
    with pytest.raises(PublishError, match="is to be published twice"):
        publish_to(tmp_path, *both)
    assert Ledger(tmp_path / "ledger").read() == ()


def test_the_index_is_written_again_from_the_ledger_and_the_store(tmp_path: Path) -> None:
    candidates = [stored(make_wheel(tmp_path / "store", name)) for name in ("one", "two")]
    publish_to(tmp_path, *candidates)
    before = tree_of(tmp_path / "out")
    (tmp_path / "out").rename(tmp_path / "lost")
    publish_to(tmp_path, *candidates)
    assert tree_of(tmp_path / "out") == before


def test_a_published_file_that_left_the_store_stays_in_the_index(tmp_path: Path) -> None:
    path = make_wheel(tmp_path / "store", "demo")
    publish_to(tmp_path, stored(path))
    before = tree_of(tmp_path / "out")
    path.unlink()
    publish_to(tmp_path)
    assert tree_of(tmp_path / "out") == before


def test_a_published_file_that_is_nowhere_is_named(tmp_path: Path) -> None:
    release = release_of(make_wheel(tmp_path / "elsewhere", "demo"))
    Ledger(tmp_path / "ledger").add(release)
    with pytest.raises(PublishError, match="is in the ledger, but the file is nowhere to be found") as caught:
        publish_to(tmp_path)
    assert release.sha256 in str(caught.value.hint)


def test_a_mirrored_file_is_recorded_as_such(tmp_path: Path) -> None:
    """Here the mirror has the file already, so that no index is asked."""
    dependency = make_wheel(tmp_path / "mirror", "needed")
    demo = make_wheel(tmp_path / "store", "demo", requires=["needed"])
    publication = publish_to(tmp_path, stored(demo))
    origins = {release.project: release.origin for release in publication.releases}
    assert origins == {"demo": Built(record="key", profiles=("rv64gc", "k1")), "needed": Mirrored()}
    assert sha256_of(tmp_path / "out/files" / dependency.name) == sha256_of(dependency)


def publish_one(folder: Path, name: str) -> None:
    publish_to(folder, stored(make_wheel(folder / f"store-{name}", name)))


def test_two_publishers_at_once_write_the_pages_of_both(tmp_path: Path) -> None:
    context = multiprocessing.get_context("spawn")
    names = ("one", "two", "three")
    workers = [context.Process(target=publish_one, args=(tmp_path, name)) for name in names]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join(120)
    assert [worker.exitcode for worker in workers] == [0, 0, 0]
    root = (tmp_path / "out/simple/index.html").read_text()
    assert all(f'href="{name}/"' in root for name in names)
