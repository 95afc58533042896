from __future__ import annotations

import hashlib
import json
import time
from datetime import UTC, datetime
from pathlib import Path

import pytest
from msgspec import structs
from pypi_simple import IndexPage, ProjectPage, PyPISimple

from factory.errors import PublishError
from factory.publish.index_files import write_simple
from factory.publish.release import Release
from factory.publish.server import serve
from factory.publish.wheel_metadata import read_metadata
from tests.support.wheelmaker import RISCV, make_wheel, release_of, tree_of

HOSTILE = '"><script>alert(1)</script>&'


@pytest.fixture
def wheels(tmp_path: Path) -> dict[Release, Path]:
    store = tmp_path / "store"
    paths = [
        make_wheel(store, "alpha", "1.0", requires_python=">=3.9,<4"),
        make_wheel(store, "alpha", "1.10", tag=RISCV),
        make_wheel(store, "alpha", "1.9", tag=RISCV, build="2"),
        make_wheel(store, "Beta_Thing", "2!1.0+local.1"),
    ]
    return {release_of(path): path for path in paths}


def write(wheels: dict[Release, Path], out: Path) -> tuple[Path, ...]:
    return write_simple(list(wheels), wheels.__getitem__, out)


def test_pypi_simple_reads_what_the_ledger_says_from_the_html(wheels: dict[Release, Path], tmp_path: Path) -> None:
    write(wheels, tmp_path / "out")
    text = (tmp_path / "out/simple/alpha/index.html").read_text()
    page = ProjectPage.from_html("alpha", text, base_url="http://host/simple/alpha/")
    assert page.repository_version == "1.3"
    by_name = {package.filename: package for package in page.packages}
    for release in (release for release in wheels if release.project == "alpha"):
        package = by_name.pop(release.filename)
        assert package.url == f"http://host/files/{release.filename}"
        assert package.digests == {"sha256": release.sha256}
        assert package.requires_python == release.requires_python
        assert package.metadata_digests == {"sha256": release.metadata_sha256}
        assert not package.is_yanked
    assert by_name == {}


def test_the_root_page_lists_normalized_names(wheels: dict[Release, Path], tmp_path: Path) -> None:
    write(wheels, tmp_path)
    page = IndexPage.from_html((tmp_path / "simple/index.html").read_text())
    assert page.projects == ["alpha", "beta-thing"]
    assert json.loads((tmp_path / "simple/index.v1+json").read_text())["projects"] == [
        {"name": "alpha"},
        {"name": "beta-thing"},
    ]


def test_html_and_json_tell_a_client_the_same(wheels: dict[Release, Path], tmp_path: Path) -> None:
    write(wheels, tmp_path)
    with serve(tmp_path) as url, PyPISimple(f"{url}/simple/") as client:
        for project in ("alpha", "beta-thing"):
            from_json = client.get_project_page(project, accept="application/vnd.pypi.simple.v1+json")
            from_html = client.get_project_page(project, accept="text/html")
            assert from_json.versions is not None
            for ours, theirs in zip(from_json.packages, from_html.packages, strict=True):
                assert ours.size == (tmp_path / "files" / ours.filename).stat().st_size
                assert (ours.url, ours.digests, ours.requires_python) == (
                    theirs.url,
                    theirs.digests,
                    theirs.requires_python,
                )
                assert client.get_package_metadata(ours) == client.get_package_metadata(theirs)


def test_versions_are_in_the_order_of_versions_not_of_text(wheels: dict[Release, Path], tmp_path: Path) -> None:
    write(wheels, tmp_path)
    page = json.loads((tmp_path / "simple/alpha/index.v1+json").read_text())
    assert page["versions"] == ["1.0", "1.9", "1.10"]


def test_each_wheel_has_its_metadata_beside_it(wheels: dict[Release, Path], tmp_path: Path) -> None:
    write(wheels, tmp_path / "out")
    for release, path in wheels.items():
        metadata = (tmp_path / "out/files" / f"{release.filename}.metadata").read_bytes()
        assert metadata == read_metadata(path)
        assert hashlib.sha256(metadata).hexdigest() == release.metadata_sha256


def test_pages_do_not_depend_on_order_of_releases(wheels: dict[Release, Path], tmp_path: Path) -> None:
    write(wheels, tmp_path / "one")
    write(dict(reversed(wheels.items())), tmp_path / "two")
    assert tree_of(tmp_path / "one") == tree_of(tmp_path / "two")


def test_a_second_write_changes_no_file(wheels: dict[Release, Path], tmp_path: Path) -> None:
    out = tmp_path / "out"
    write(wheels, out)
    before = {path: path.stat() for path in out.rglob("*")}
    assert write(wheels, out) == ()
    after = {path: path.stat() for path in out.rglob("*")}
    assert {path: (stat.st_ino, stat.st_mtime_ns) for path, stat in before.items()} == {
        path: (stat.st_ino, stat.st_mtime_ns) for path, stat in after.items()
    }


def test_a_new_release_rewrites_its_own_pages_alone(wheels: dict[Release, Path], tmp_path: Path) -> None:
    out = tmp_path / "out"
    write(wheels, out)
    path = make_wheel(tmp_path / "store", "alpha", "3.0")
    changed = write(wheels | {release_of(path): path}, out)
    assert {str(file.relative_to(out)) for file in changed} == {
        "files/alpha-3.0-py3-none-any.whl",
        "files/alpha-3.0-py3-none-any.whl.metadata",
        "simple/alpha/index.html",
        "simple/alpha/index.v1+json",
    }


def test_no_temporary_file_stays(wheels: dict[Release, Path], tmp_path: Path) -> None:
    out = tmp_path / "out"
    write(wheels, out)
    (out / "files/alpha-1.0-py3-none-any.whl").unlink()
    write(wheels, out)
    assert list(out.rglob(".*")) == []
    assert len(list((out / "files").iterdir())) == 2 * len(wheels)


def test_damaged_index_file_is_restored_from_store(wheels: dict[Release, Path], tmp_path: Path) -> None:
    out = tmp_path / "out"
    write(wheels, out)
    release, source = next(iter(wheels.items()))
    (out / "files" / release.filename).unlink()
    (out / "files" / release.filename).write_bytes(b"x" * release.size)
    write(wheels, out)
    assert (out / "files" / release.filename).read_bytes() == source.read_bytes()
    assert release_of(source) == release


def test_wheel_with_other_bytes_is_refused_with_both_hashes(tmp_path: Path) -> None:
    path = make_wheel(tmp_path / "store", "demo")
    release = release_of(path)
    make_wheel(tmp_path / "store", "demo", code="ANSWER = 43\n")
    with pytest.raises(PublishError) as caught:
        write({release: path}, tmp_path / "out")
    assert release.sha256 in caught.value.message
    assert release_of(path).sha256 in caught.value.message
    assert not (tmp_path / "out/simple").exists()


def test_two_files_of_one_name_are_refused(tmp_path: Path) -> None:
    paths = [make_wheel(tmp_path / name, "demo", code=f"X = {name!r}\n") for name in ("one", "two")]
    with pytest.raises(PublishError, match=r"demo-1\.0-py3-none-any\.whl: .* several releases have this file name"):
        write({release_of(path): path for path in paths}, tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_markup_in_a_release_is_escaped(tmp_path: Path) -> None:
    path = make_wheel(tmp_path / "store", "demo")
    release = structs.replace(release_of(path), requires_python=HOSTILE, yanked=HOSTILE)
    write({release: path}, tmp_path / "out")
    text = (tmp_path / "out/simple/demo/index.html").read_text()
    assert "<script" not in text
    (package,) = ProjectPage.from_html("demo", text, base_url="http://host/simple/demo/").packages
    assert (package.requires_python, package.yanked_reason, package.is_yanked) == (HOSTILE, HOSTILE, True)


def test_a_file_elsewhere_is_linked_and_not_copied(tmp_path: Path) -> None:
    path = make_wheel(tmp_path / "store", "demo")
    elsewhere = structs.replace(
        release_of(path),
        url="https://files.example/a%20b/demo-1.0-py3-none-any.whl?x=1&y=2",
        metadata_sha256=None,
        uploaded="2026-11-22T09:30:00Z",
        tracks="https://index.example/simple/demo/",
        provenance_url="https://files.example/demo-1.0-py3-none-any.whl.provenance",
    )
    write({elsewhere: path}, tmp_path / "out")
    assert not (tmp_path / "out/files").exists()
    for page in both_forms(tmp_path / "out/simple/demo"):
        (package,) = page.packages
        assert (package.url, package.digests) == (elsewhere.url, {"sha256": elsewhere.sha256})
        assert not package.has_metadata
        assert page.tracks == [elsewhere.tracks]
        assert package.provenance_url == elsewhere.provenance_url
    assert page.packages[0].upload_time == datetime(2026, 11, 22, 9, 30, tzinfo=UTC)


def test_a_file_that_left_the_listing_stays(tmp_path: Path) -> None:
    paths = [make_wheel(tmp_path / "store", "demo", build=build) for build in ("1", "2")]
    old, new = (release_of(path) for path in paths)
    write({structs.replace(old, listed=False): paths[0], new: paths[1]}, tmp_path / "out")
    for page in both_forms(tmp_path / "out/simple/demo"):
        assert [package.filename for package in page.packages] == [new.filename]
    assert (tmp_path / "out/files" / old.filename).read_bytes() == paths[0].read_bytes()


def both_forms(folder: Path) -> list[ProjectPage]:
    base = "http://host/simple/demo/"
    return [
        ProjectPage.from_html("demo", (folder / "index.html").read_text(), base_url=base),
        ProjectPage.from_json_data(json.loads((folder / "index.v1+json").read_text()), base_url=base),
    ]


def test_an_index_without_releases_is_a_page_all_the_same(tmp_path: Path) -> None:
    write({}, tmp_path)
    assert IndexPage.from_html((tmp_path / "simple/index.html").read_text()).projects == []


def test_thousand_releases_are_scanned_in_two_seconds(tmp_path: Path) -> None:
    path = make_wheel(tmp_path / "store", "demo")
    release = release_of(path)
    names = [f"demo-1.0-{number}-py3-none-any.whl" for number in range(1000)]
    releases = [structs.replace(release, filename=name) for name in names]
    write_simple(releases, lambda _release: path, tmp_path / "out")
    started = time.monotonic()
    assert write_simple(releases, lambda _release: path, tmp_path / "out") == ()
    assert time.monotonic() - started < 2
