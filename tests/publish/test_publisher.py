from __future__ import annotations

import dataclasses
import re
import shutil
from pathlib import Path

import pytest
from msgspec import structs

from factory.errors import PublishError
from factory.host import index_session
from factory.publish.ledger import Ledger
from factory.publish.provenance import PROVENANCE_SUFFIX, provenance_path
from factory.publish.publisher import Terms
from factory.publish.release import Built, Mirrored, Release
from factory.publish.remote_files import find_remote_differences
from factory.publish.verify import find_differences
from factory.publish.wheel_metadata import METADATA_SUFFIX, read_metadata
from factory.util.atomic_files import sha256_of
from tests.support.publications import publish_to, stored
from tests.support.upstream import Upstream
from tests.support.wheelmaker import RISCV, add_provenance, make_wheel, release_of, tree_of

pytestmark = pytest.mark.usefixtures("upstream")


def test_checked_wheel_is_published_with_profiles_and_record(tmp_path: Path) -> None:
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
    publication = publish_to(tmp_path, candidate, stored(make_wheel(tmp_path / "store", "innocent")))
    (refused,) = publication.refused
    assert "its checks passed on no ISA profile" in refused.message
    assert refused.hint == "run: factory build demo"
    assert [release.project for release in publication.releases] == ["innocent"]


def test_a_wheel_that_changed_after_its_checks_is_refused(tmp_path: Path) -> None:
    candidate = dataclasses.replace(stored(make_wheel(tmp_path / "store", "demo")), sha256="0" * 64)
    (refused,) = publish_to(tmp_path, candidate).refused
    assert "it changed after its checks" in refused.message


def test_published_wheel_damaged_later_is_not_indexed(tmp_path: Path) -> None:
    candidate = stored(make_wheel(tmp_path / "store", "demo"))
    publish_to(tmp_path, candidate)
    (tmp_path / "out").rename(tmp_path / "lost")
    content = candidate.path.read_bytes()
    candidate.path.unlink()  # the index that was lost has a link to it
    with pytest.raises(PublishError, match="file not found"):
        publish_to(tmp_path, candidate)
    candidate.path.write_bytes(content[:-1])
    with pytest.raises(PublishError, match="other bytes than"):
        publish_to(tmp_path, candidate)
    candidate.path.write_bytes(bytes([content[0] ^ 1]) + content[1:])
    with pytest.raises(PublishError, match="other bytes than"):
        publish_to(tmp_path, candidate)
    assert not (tmp_path / "out/files").exists()


@pytest.mark.parametrize("length", [210, 250])
def test_too_long_file_name_is_refused_alone(tmp_path: Path, length: int) -> None:
    wheel = make_wheel(tmp_path / "store", "demo")
    long = wheel.rename(wheel.with_name(wheel.name.replace("py3-", f"py3.{'y' * (length - len(wheel.name) - 1)}-")))
    publication = publish_to(tmp_path, stored(make_wheel(tmp_path / "store", "aaa")), stored(long))
    (refused,) = publication.refused
    assert f"its file name has {length} characters" in refused.message
    assert [release.project for release in publication.releases] == ["aaa"]


def test_rebuild_with_other_bytes_is_refused_alone(tmp_path: Path) -> None:
    first = stored(make_wheel(tmp_path / "one", "demo"))
    (published,) = publish_to(tmp_path, first).releases
    rebuilt = stored(make_wheel(tmp_path / "two", "demo", code="ANSWER = 43\n"))
    innocent = stored(make_wheel(tmp_path / "two", "aaa"))
    publication = publish_to(tmp_path, innocent, rebuilt)
    (refused,) = publication.refused
    assert "already published with other bytes" in refused.message
    assert publication.releases == (*publication.added, published)
    assert [release.filename for release in publication.added] == [innocent.path.name]
    assert sha256_of(tmp_path / "out/files" / first.path.name) == first.sha256


def test_rebuild_with_build_tag_is_published_too(tmp_path: Path) -> None:
    publish_to(tmp_path, stored(make_wheel(tmp_path / "one", "demo")))
    rebuilt = make_wheel(tmp_path / "two", "demo", build="1", code="ANSWER = 43\n")
    publication = publish_to(tmp_path, stored(rebuilt))
    assert len(publication.releases) == 2
    assert [release.filename for release in publication.added] == [rebuilt.name]


def test_one_name_with_two_contents_in_one_go_is_refused(tmp_path: Path) -> None:
    both = [stored(make_wheel(tmp_path / name, "demo", code=f"X = {name!r}\n")) for name in ("one", "two")]
    with pytest.raises(PublishError, match="given twice with different bytes"):
        publish_to(tmp_path, *both)
    assert Ledger(tmp_path / "ledger").read() == ()


def test_index_is_rewritten_from_ledger_and_store(tmp_path: Path) -> None:
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
    with pytest.raises(PublishError, match="file not found: the ledger lists it") as caught:
        publish_to(tmp_path)
    assert release.sha256 in str(caught.value.hint)


def test_published_file_comes_from_store_without_candidate(tmp_path: Path) -> None:
    path = make_wheel(tmp_path / "elsewhere", "demo")
    release = release_of(path)
    Ledger(tmp_path / "ledger").add(release)
    kept = tmp_path / "store/wheels" / release.sha256 / path.name
    kept.parent.mkdir(parents=True)
    path.rename(kept)
    publish_to(tmp_path)
    assert sha256_of(tmp_path / "out/files" / path.name) == release.sha256


def test_files_are_in_their_places_before_the_ledger_names_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = make_wheel(tmp_path / "store", "demo")
    candidate = stored(path)

    def killed(_ledger: Ledger, _release: Release) -> Release:
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(Ledger, "add", killed)
        with pytest.raises(KeyboardInterrupt):
            publish_to(tmp_path, candidate)
    assert Ledger(tmp_path / "ledger").read() == ()
    assert sha256_of(tmp_path / "out/files" / path.name) == candidate.sha256
    assert [release.filename for release in publish_to(tmp_path, candidate).added] == [path.name]


def test_what_a_killed_publisher_left_half_copied_goes(tmp_path: Path) -> None:
    (tmp_path / "out/files").mkdir(parents=True)
    left = [tmp_path / "out/files" / name for name in (".demo.whl.7.link", ".demo.whl.7-7.tmp")]
    for path in left:
        path.write_bytes(b"half of it")
    publish_to(tmp_path, stored(make_wheel(tmp_path / "store", "demo")))
    assert [path for path in left if path.exists()] == []


def test_checks_on_further_python_update_published_wheel(tmp_path: Path) -> None:
    candidate = stored(make_wheel(tmp_path / "store", "demo"))
    publish_to(tmp_path, dataclasses.replace(candidate, pythons=("3.13",)))
    later = dataclasses.replace(candidate, pythons=("3.14",), profiles=("rv64gc", "rva23"))
    (release,) = publish_to(tmp_path, later).added
    assert release.origin == Built(record="key", profiles=("rv64gc", "k1", "rva23"), pythons=("3.13", "3.14"))
    assert publish_to(tmp_path, later).added == ()


def test_a_mirrored_file_that_the_index_does_not_have_is_copied(tmp_path: Path) -> None:
    dependency = make_wheel(tmp_path / "mirror", "needed")
    demo = make_wheel(tmp_path / "store", "demo", requires=["needed"])
    publication = publish_to(tmp_path, stored(demo))
    origins = {release.project: release.origin for release in publication.releases}
    assert origins == {"demo": Built(record="key", profiles=("rv64gc", "k1")), "needed": Mirrored()}
    assert sha256_of(tmp_path / "out/files" / dependency.name) == sha256_of(dependency)


def test_a_dependency_is_a_link_to_its_own_projects_file(upstream: Upstream, tmp_path: Path) -> None:
    needed = upstream.add("needed", requires_python=">=3.9")
    candidate = stored(make_wheel(tmp_path / "store", "demo", requires=["needed"]))
    publication = publish_to(tmp_path, candidate)
    release = next(release for release in publication.releases if release.project == "needed")
    assert (release.url, release.origin) == (f"{upstream.url}/files/{needed.name}", Mirrored())
    assert (release.sha256, release.size) == (sha256_of(needed), needed.stat().st_size)
    assert release.tracks == f"{upstream.url}/simple/needed/"
    assert not (tmp_path / "out/files" / needed.name).exists()
    assert f'href="{release.url}#sha256={release.sha256}"' in (tmp_path / "out/simple/needed/index.html").read_text()


def test_links_are_enough_where_the_copies_are_gone(upstream: Upstream, tmp_path: Path) -> None:
    """A new machine has the ledger and the store: what is linked already meets the requirement."""
    upstream.add("needed", "1.0")
    candidate = stored(make_wheel(tmp_path / "store", "demo", requires=["needed"]))
    before = publish_to(tmp_path, candidate).releases
    upstream.add("needed", "2.0")
    (tmp_path / "mirror").rename(tmp_path / "lost")
    (tmp_path / "out").rename(tmp_path / "old")
    assert publish_to(tmp_path, candidate).releases == before
    assert not any(path.suffix == ".whl" for path in (tmp_path / "mirror").iterdir())


def test_copies_are_kept_where_they_are_asked_for(upstream: Upstream, tmp_path: Path) -> None:
    needed = upstream.add("needed")
    candidate = stored(make_wheel(tmp_path / "store", "demo", requires=["needed"]))
    publication = publish_to(tmp_path, candidate, terms=Terms(mirror=True))
    assert (tmp_path / "out/files" / needed.name).read_bytes() == needed.read_bytes()
    (release,) = (release for release in publication.releases if release.project == "needed")
    assert (release.url, release.metadata_sha256 is not None) == (None, True)
    assert release.tracks == f"{upstream.url}/simple/needed/"


def test_dependency_with_credential_in_url_is_copied(upstream: Upstream, tmp_path: Path) -> None:
    jinja = upstream.add("jinja")
    upstream.sign("jinja")
    publication = publish_to(tmp_path, stored(make_wheel(tmp_path / "store", "demo", requires=["jinja"])))
    copied = publication.releases[1]
    assert (copied.url, copied.tracks) == (None, f"{upstream.url}/simple/jinja/")
    assert copied.metadata_sha256 == release_of(jinja).metadata_sha256
    assert (tmp_path / "out/files" / jinja.name).read_bytes() == jinja.read_bytes()


def test_shadowed_name_is_refused_without_permission(upstream: Upstream, tmp_path: Path) -> None:
    upstream.add("demo", "0.1")
    candidate = stored(make_wheel(tmp_path / "store", "demo"))
    publication = publish_to(tmp_path, candidate, stored(make_wheel(tmp_path / "store", "other")))
    (refused,) = publication.refused
    assert refused.message.startswith("demo: cannot publish: the package index already")
    assert "shadows-upstream = true" in str(refused.hint)
    assert [release.project for release in publication.releases] == ["other"]
    (release,) = publish_to(tmp_path, candidate, terms=Terms(may_shadow=frozenset({"demo"}))).added
    assert release.tracks == f"{upstream.url}/simple/demo/"
    assert (
        f'<meta name="pypi:tracks" content="{release.tracks}">' in (tmp_path / "out/simple/demo/index.html").read_text()
    )


def test_what_is_published_is_not_asked_for_again(upstream: Upstream, tmp_path: Path) -> None:
    candidate = stored(make_wheel(tmp_path / "store", "demo"))
    publish_to(tmp_path, candidate)
    assert any("/simple/demo/" in line for line in upstream.asked)
    upstream.asked.clear()
    publish_to(tmp_path, candidate)
    assert upstream.asked == []


def test_an_index_that_can_not_be_asked_publishes_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PIP_INDEX_URL", "http://user:secret@127.0.0.1:1/simple/")
    monkeypatch.setattr(index_session, "RETRIES", 0)
    with pytest.raises(PublishError) as caught:
        publish_to(tmp_path, stored(make_wheel(tmp_path / "store", "demo")))
    assert caught.value.message.startswith("demo: cannot read its page")
    assert " http://127.0.0.1:1/simple/:" in caught.value.message
    assert "secret" not in caught.value.message
    assert "pip config list" in str(caught.value.hint)
    assert Ledger(tmp_path / "ledger").read() == ()


def upload(upstream: Upstream, path: Path, *endings: str) -> str:
    """Put a wheel, and what belongs beside it, where the upstream's server has files; returns the folder's address."""
    folder = upstream.folder / "out/assets"
    folder.mkdir(exist_ok=True)
    shutil.copy(path, folder)
    for ending in endings:
        content = read_metadata(path) if ending == METADATA_SUFFIX else path.with_name(path.name + ending).read_bytes()
        (folder / (path.name + ending)).write_bytes(content)
    return f"{upstream.url}/assets"


def at(base: str, *wheels: Path) -> Terms:
    return Terms(bases=dict.fromkeys((wheel.name for wheel in wheels), base))


def test_external_wheel_is_linked_with_sidecars(upstream: Upstream, tmp_path: Path) -> None:
    whole, bare = (make_wheel(tmp_path / "store", name) for name in ("whole", "bare"))
    add_provenance(whole)
    upload(upstream, bare)
    base = upload(upstream, whole, METADATA_SUFFIX, PROVENANCE_SUFFIX)
    (note,) = publish_to(tmp_path, stored(whole), stored(bare), terms=at(f"{base}/", whole, bare)).notes
    assert note.startswith(f"{bare.name}: METADATA is missing or has other bytes: ")
    assert f": {base}/{bare.name}.metadata: " in note
    assert f"factory publish {bare.name} --write-metadata DIR" in note
    second, first = Ledger(tmp_path / "ledger").read()
    assert (first.url, second.url) == (f"{base}/{whole.name}", f"{base}/{bare.name}")
    assert (first.metadata_sha256 is None, second.metadata_sha256 is None) == (False, True)
    assert (first.provenance_url, second.provenance_url) == (f"{base}/{whole.name}.provenance", None)
    assert not (tmp_path / "out/files").exists()
    assert find_remote_differences((first, second)) == ()
    (upstream.folder / "out/assets" / bare.name).write_bytes(b"other")
    (upstream.folder / "out/assets" / f"{whole.name}.metadata").unlink()
    gone, changed = find_remote_differences((first, second))
    assert gone.startswith(f"{base}/{whole.name}.metadata: cannot fetch it: 404")
    assert changed.startswith(f"{base}/{bare.name}: has sha256 ")


def test_a_wheel_that_is_not_where_it_is_said_to_be_is_refused(upstream: Upstream, tmp_path: Path) -> None:
    path = make_wheel(tmp_path / "store", "demo")
    (missing,) = publish_to(tmp_path, stored(path), terms=at(f"{upstream.url}/assets", path)).refused
    assert re.search(r"demo-1\.0-py3-none-any\.whl: cannot publish: .* 404", missing.message)
    assert "upload the file first" in str(missing.hint)
    upload(upstream, make_wheel(tmp_path / "other", "demo", code="ANSWER = 43\n"))
    (other,) = publish_to(tmp_path, stored(path), terms=at(f"{upstream.url}/assets", path)).refused
    assert re.search(r"has sha256 .*, published with", other.message)
    (invalid,) = publish_to(tmp_path, stored(path), terms=at("javascript:alert(1)//", path)).refused
    assert "--url: invalid address" in invalid.message
    assert Ledger(tmp_path / "ledger").read() == ()


def test_moved_wheel_keeps_its_old_url_working(upstream: Upstream, tmp_path: Path) -> None:
    candidate = stored(make_wheel(tmp_path / "store", "demo"))
    (first,) = publish_to(tmp_path, candidate).releases
    base = upload(upstream, candidate.path, METADATA_SUFFIX)
    (moved,) = publish_to(tmp_path, candidate, terms=at(base, candidate.path)).releases
    assert moved == structs.replace(first, url=f"{base}/{candidate.path.name}")
    assert sha256_of(tmp_path / "out/files" / candidate.path.name) == first.sha256
    assert find_differences((moved,), tmp_path / "out", {}) == ()


def test_moved_wheel_without_metadata_keeps_metadata(upstream: Upstream, tmp_path: Path) -> None:
    candidate = stored(make_wheel(tmp_path / "store", "demo"))
    publish_to(tmp_path, candidate)
    (moved,) = publish_to(tmp_path, candidate, terms=at(upload(upstream, candidate.path), candidate.path)).releases
    wheel = tmp_path / "out/files" / candidate.path.name
    metadata = wheel.with_name(f"{wheel.name}{METADATA_SUFFIX}")
    assert (moved.metadata_sha256, metadata.is_file()) == (None, True)
    assert find_differences((moved,), tmp_path / "out", {}) == ()
    right = metadata.read_bytes()
    metadata.write_text("Name: other\n")
    (found,) = find_differences((moved,), tmp_path / "out", {})
    assert found.startswith(f"files/{metadata.name}: has sha256 ")
    metadata.unlink()
    assert find_differences((moved,), tmp_path / "out", {}) == ()
    metadata.write_bytes(right)
    wheel.unlink()
    wheel.write_text("no wheel any more")  # the store has a link to it
    assert find_differences((moved,), tmp_path / "out", {})[0].startswith(f"files/{wheel.name}: has sha256 ")


def test_provenance_keeps_its_url_when_the_wheel_moves(upstream: Upstream, tmp_path: Path) -> None:
    candidate = stored(make_wheel(tmp_path / "store", "demo"))
    add_provenance(candidate.path)
    terms = Terms(address="https://wheels.example")
    (first,) = publish_to(tmp_path, candidate, terms=terms).releases
    base = upload(upstream, candidate.path, METADATA_SUFFIX)
    (moved,) = publish_to(tmp_path, candidate, terms=at(base, candidate.path)).releases
    assert (moved.url, moved.provenance_url) == (f"{base}/{candidate.path.name}", first.provenance_url)
    assert find_remote_differences((moved,)) == ()
    upload(upstream, candidate.path, METADATA_SUFFIX, PROVENANCE_SUFFIX)
    (followed,) = publish_to(tmp_path, candidate, terms=at(base, candidate.path)).releases
    assert followed.provenance_url == f"{followed.url}{PROVENANCE_SUFFIX}"
    assert publish_to(tmp_path, candidate, terms=terms).releases == (followed,)


def test_provenance_added_later_is_published(tmp_path: Path) -> None:
    candidate = stored(make_wheel(tmp_path / "store", "demo"))
    terms = Terms(address="https://wheels.example")
    publish_to(tmp_path, candidate, terms=terms)
    add_provenance(candidate.path)
    (release,) = publish_to(tmp_path, candidate, terms=terms).releases
    name = f"{candidate.path.name}.provenance"
    assert release.provenance_url == f"https://wheels.example/files/{name}"
    assert sha256_of(tmp_path / "out/files" / name) == release.provenance_sha256
    page = (tmp_path / "out/simple/demo/index.html").read_text()
    assert f'data-provenance="{release.provenance_url}"' in page
    provenance_path(candidate.path).unlink()
    publish_to(tmp_path, candidate, terms=terms)
    assert find_differences((release,), tmp_path / "out", {}) == ()
    (tmp_path / "out/files" / name).write_text("{}")
    assert any(
        line.startswith(f"files/{name}: has sha256") for line in find_differences((release,), tmp_path / "out", {})
    )


@pytest.mark.parametrize(
    "text",
    [
        *("", "[]", '{"version": 2}', '{"version": 1}', "[" * 100_000),
        '{"version": 1, "attestation_bundles": [{}]}',
        '{"version": 1, "attestation_bundles": [{"attestations": [{"envelope": {"statement": "!"}}]}]}',
        '{"version": 1, "attestation_bundles": [{"attestations": [{"envelope": {"statement": "e30="}}]}]}',
        '{"version": 1, "attestation_bundles": []}',
    ],
)
def test_what_is_no_provenance_is_refused(tmp_path: Path, text: str) -> None:
    candidate = stored(make_wheel(tmp_path / "store", "demo"))
    provenance_path(candidate.path).write_text(text)
    (refused,) = publish_to(tmp_path, candidate).refused
    assert refused.message.startswith("demo-1.0-py3-none-any.whl.provenance: invalid provenance")


@pytest.mark.parametrize("own_too", [False, True])
def test_provenance_of_another_file_is_refused_with_both_hashes(tmp_path: Path, own_too: bool) -> None:
    candidate = stored(make_wheel(tmp_path / "store", "demo"))
    add_provenance(candidate.path, "0" * 64, *([candidate.sha256] if own_too else []))
    (refused,) = publish_to(tmp_path, candidate).refused
    assert refused.message.startswith(f"{candidate.path.name}.provenance: provenance of another file")
    assert "0" * 64 in refused.message
    assert refused.message.endswith(f"the wheel has sha256 {candidate.sha256}")
    assert "attest this file" in str(refused.hint)
    assert Ledger(tmp_path / "ledger").read() == ()
