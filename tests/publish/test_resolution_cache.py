"""Which wheels are resolved: those that are new, and those whose dependencies may have changed."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from msgspec import structs
from packaging.version import Version

from factory.model.target import Target
from factory.publish.ledger import Ledger
from factory.publish.publisher import Publication
from factory.publish.release import Built, Mirrored, Release
from factory.publish.resolution_cache import RESOLVED_FILE, ResolutionCache, Root, find_roots
from factory.publish.resolver import Pin
from tests.support.publications import publish_to, stored
from tests.support.upstream import Upstream
from tests.support.wheelmaker import RISCV, make_wheel

ENGINE = Root(project="engine", version="1.0", python="3.13")
PINS = tuple(Pin(project=name, version="1.0", requirement="") for name in ("engine", "needed"))


def release(name: str, *, version: str = "1.0", tag: str = "py3-none-any", built: bool = True) -> Release:
    return Release(
        filename=f"{name}-{version}-{tag}.whl",
        project=name,
        version=version,
        sha256=f"{sum(map(ord, name + version + tag)):064x}",
        size=1,
        requires_python=None,
        metadata_sha256=None,
        origin=Built(record="key", profiles=("rv64gc",)) if built else Mirrored(),
    )


OURS, NEEDED = release("engine"), release("needed", built=False)


def resolved(folder: Path, target: Target = Target()) -> ResolutionCache:  # noqa: B008
    return ResolutionCache(folder, target)


@pytest.fixture
def kept(tmp_path: Path) -> Path:
    resolved(tmp_path).keep({ENGINE: PINS}, [OURS, NEEDED])
    return tmp_path


@pytest.mark.parametrize(
    ("releases", "stale"),
    [
        pytest.param([OURS, NEEDED], False, id="as it was"),
        pytest.param([OURS, NEEDED, release("needed", version="2.0")], False, id="another version of ours is there"),
        pytest.param([OURS, NEEDED, release("needed", tag=RISCV.replace("313", "314"))], False, id="another Python's"),
        pytest.param(
            [OURS, structs.replace(NEEDED, url="https://host/needed-1.0-py3-none-any.whl")], False, id="it moved"
        ),
        pytest.param([OURS, structs.replace(NEEDED, yanked="it bites")], True, id="a dependency is yanked"),
        pytest.param([OURS, structs.replace(NEEDED, listed=False)], True, id="a dependency is not listed"),
        pytest.param([OURS], True, id="a dependency is gone"),
        pytest.param([OURS, NEEDED, release("needed", tag=RISCV)], True, id="we build that version now"),
        pytest.param([OURS, NEEDED, release("engine", tag=RISCV)], True, id="there is another build of it"),
        pytest.param([OURS, structs.replace(NEEDED, sha256="f" * 64)], True, id="it has other bytes"),
    ],
)
def test_an_answer_holds_while_what_it_names_is_as_it_was(kept: Path, releases: list[Release], stale: bool) -> None:
    assert resolved(kept).find_stale([ENGINE], releases) == ([ENGINE] if stale else [])


def test_resolution_is_cached_by_python_and_target(kept: Path) -> None:
    other = replace(ENGINE, python="3.14")
    assert resolved(kept).find_stale([ENGINE, other], [OURS, NEEDED]) == [other]
    assert resolved(kept, Target(glibc_floor=(2, 41))).find_stale([ENGINE], [OURS, NEEDED]) == [ENGINE]


@pytest.mark.parametrize("damage", [b"", b"{}", b"[1]", b"\xff", b"<<<<<<< HEAD\n", b"[" * 100_000])
def test_answers_that_are_lost_or_damaged_are_asked_for_again(kept: Path, damage: bytes) -> None:
    (kept / RESOLVED_FILE).write_bytes(damage)
    assert resolved(kept).find_stale([ENGINE], [OURS, NEEDED]) == [ENGINE]
    resolved(kept).keep({ENGINE: PINS}, [OURS, NEEDED])
    assert resolved(kept).find_stale([ENGINE], [OURS, NEEDED]) == []


def test_answers_that_hold_no_more_are_dropped(kept: Path) -> None:
    resolved(kept).keep({}, [OURS])
    assert b"engine" not in (kept / RESOLVED_FILE).read_bytes()


def test_built_wheel_is_resolved_for_each_of_its_pythons() -> None:
    both = structs.replace(OURS, origin=Built(record="key", profiles=("rv64gc",), pythons=("3.13", "3.14")))
    releases = [both, OURS, NEEDED, structs.replace(release("old"), listed=False)]
    assert find_roots(releases) == [ENGINE, replace(ENGINE, python="3.14")]


def asked(folder: Path) -> list[str]:
    """Return the resolved names, with and without an index behind ours, from the last publication's log."""
    lines = (folder / "publish.log").read_text().splitlines()
    return [line.removesuffix(" needs:") for line in lines if line.endswith(" needs:")]


def published(folder: Path, *wheels: Path) -> Publication:
    (folder / "publish.log").unlink(missing_ok=True)
    return publish_to(folder, *map(stored, wheels))


def test_only_new_releases_are_resolved(upstream: Upstream, tmp_path: Path) -> None:
    upstream.add("needed")
    first = make_wheel(tmp_path / "store", "first", requires=["needed"])
    second = make_wheel(tmp_path / "store", "second", requires=["needed", "first"])
    published(tmp_path, first)
    assert set(asked(tmp_path)) == {"first==1.0"}
    publication = published(tmp_path, first, second)
    assert asked(tmp_path) == ["second==1.0"]
    again = published(tmp_path, first, second)
    assert (asked(tmp_path), again.releases, again.changed) == ([], publication.releases, ())
    (tmp_path / "ledger" / RESOLVED_FILE).unlink()
    assert published(tmp_path, first, second).releases == publication.releases
    assert asked(tmp_path) == ["first==1.0", "second==1.0"]


def test_run_killed_before_dependency_is_noted_resumes(upstream: Upstream, tmp_path: Path) -> None:
    needed = upstream.add("needed")
    engine = make_wheel(tmp_path / "store", "engine", requires=["needed"])
    before = published(tmp_path, engine).releases
    (tmp_path / "ledger/needed" / f"{needed.name}.json").unlink()
    assert {each.filename for each in published(tmp_path, engine).releases} == {each.filename for each in before}


def test_a_dependency_that_is_yanked_is_replaced(upstream: Upstream, tmp_path: Path) -> None:
    upstream.add("needed", "1.0")
    engine = make_wheel(tmp_path / "store", "engine", requires=["needed"])
    published(tmp_path, engine)
    upstream.add("needed", "2.0")
    (old,) = [each for each in Ledger(tmp_path / "ledger").read() if each.project == "needed"]
    Ledger(tmp_path / "ledger").update([structs.replace(old, yanked="it bites")])
    publication = published(tmp_path, engine)
    assert [each.filename for each in publication.added] == ["needed-2.0-py3-none-any.whl"]
    assert publication.notes == ()
    published(tmp_path, engine)
    assert asked(tmp_path) == []


def test_wheel_no_longer_installable_is_noted_only(upstream: Upstream, tmp_path: Path) -> None:
    needed = upstream.add("needed")
    engine = make_wheel(tmp_path / "store", "engine", requires=["needed"])
    published(tmp_path, engine)
    (old,) = [each for each in Ledger(tmp_path / "ledger").read() if each.project == "needed"]
    Ledger(tmp_path / "ledger").update([structs.replace(old, yanked="it bites")])
    needed.unlink()
    upstream.add("unrelated")
    other = make_wheel(tmp_path / "store", "other")
    publication = published(tmp_path, engine, other)
    assert [each.filename for each in publication.added] == [other.name]
    (note,) = publication.notes
    assert note.startswith("engine==1.0 on 3.13: published, but no longer installable")
    assert "needed" in note
    for late in (
        make_wheel(tmp_path / "store", "late", requires=["needed"]),
        make_wheel(tmp_path / "rebuilt", "engine", build="1", requires=["needed"]),
    ):
        publication = published(tmp_path, late)
        (refused,) = publication.refused
        assert refused.message.startswith(f"{late.name.partition('-')[0]}==1.0: cannot resolve for riscv64")
        assert publication.added == ()


def test_wheel_resolved_to_a_refused_one_is_resolved_again(upstream: Upstream, tmp_path: Path) -> None:
    """Version 2.0 of `needed` is refused on 3.13; on 3.14 `engine` was resolved to it."""
    upstream.add("late", tag="cp314-cp314-manylinux_2_38_riscv64")
    first = make_wheel(tmp_path / "store", "needed")
    published(tmp_path, first)
    second = stored(make_wheel(tmp_path / "store", "needed", "2.0", requires=["late"]))
    engine = replace(stored(make_wheel(tmp_path / "store", "engine", requires=["needed"])), pythons=("3.14",))
    publication = publish_to(tmp_path, stored(first), replace(second, pythons=("3.13", "3.14")), engine)
    (refused,) = publication.refused
    assert refused.message.startswith("needed==2.0: cannot resolve")
    assert [each.filename for each in publication.added] == [engine.path.name]
    assert publication.notes == ()


def test_yanked_wheel_is_resolved_and_unlisted_one_is_not(
    tmp_path: Path,
) -> None:
    yanked, unlisted = (make_wheel(tmp_path / "store", name) for name in ("yanked", "unlisted"))
    ledger = Ledger(tmp_path / "ledger")
    published(tmp_path, yanked, unlisted)
    ledger.set_yanked("yanked", Version("1.0"), "it bites")
    ledger.update(structs.replace(each, listed=False) for each in ledger.read_project("unlisted"))
    assert published(tmp_path, yanked, unlisted).notes == ()
    assert asked(tmp_path) == ["yanked==1.0"]
    assert published(tmp_path, yanked, unlisted).notes == ()
    assert asked(tmp_path) == []
