"""Sources from a Debian mirror's pool."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pytest

from factory.errors import SourceError
from factory.model import SourcePin
from factory.sources.debian import fetch_debian, pool_folder
from tests.conftest import MemoryLog
from tests.sources.conftest import sdist
from tests.sources.index_server import IndexServer

TARBALL = sdist()
PIN = SourcePin(kind="debian", project="spam", version="1.0+ds", sha256=hashlib.sha256(TARBALL).hexdigest())
FOLDER = "main/s/spam"
# Small, and in stable Debian since 2013.
REAL = SourcePin(
    kind="debian",
    project="hello",
    version="2.10",
    sha256="31e066137a962676e89f69d1b65382de95a7ef7d914b8cb956f41ea72e0f516b",
)


@pytest.fixture
def mirror(index: IndexServer, monkeypatch: pytest.MonkeyPatch) -> IndexServer:
    monkeypatch.setenv("FACTORY_DEBIAN_MIRROR", f"{index.url}/")
    return index


def add(mirror: IndexServer, name: str, content: bytes = TARBALL) -> None:
    mirror.files[f"{FOLDER}/{name}"] = content


def refusal(pin: SourcePin, tmp_path: Path, log: MemoryLog) -> SourceError:
    with pytest.raises(SourceError) as caught:
        fetch_debian(pin, tmp_path / "cache", tmp_path / "out", log)
    return caught.value


def test_the_upstream_tarball_of_a_debian_package_is_found_whatever_its_compression(
    mirror: IndexServer, tmp_path: Path, log: MemoryLog
) -> None:
    add(mirror, "spam_1.0+ds.orig.tar.gz")
    tree = fetch_debian(PIN, tmp_path / "cache", tmp_path / "out", log)
    assert (tree.path, tree.sha256) == (tmp_path / "out/spam-1.0", PIN.sha256)
    assert f"downloading {mirror.url}/pool/{FOLDER}/spam_1.0%2Bds.orig.tar.gz" in log.text


def test_a_cached_tarball_needs_no_mirror(mirror: IndexServer, tmp_path: Path, log: MemoryLog) -> None:
    add(mirror, "spam_1.0+ds.orig.tar.gz")
    fetch_debian(PIN, tmp_path / "cache", tmp_path / "out", log)
    mirror.requests.clear()
    fetch_debian(PIN, tmp_path / "cache", tmp_path / "out", log)
    assert mirror.requests == []


def test_a_version_that_the_pool_has_not_is_answered_with_those_it_lists(
    mirror: IndexServer, tmp_path: Path, log: MemoryLog
) -> None:
    names = ("spam_1.1%2bds.orig.tar.xz", "spam_1.1%2bds-2.dsc", "spam_0.9.orig.tar.gz", "spam_0.9.orig.tar.gz.asc")
    mirror.files[FOLDER] = "".join(f'<a href="{name}">{name}</a>' for name in names).encode()
    assert refusal(PIN, tmp_path, log).message == (
        f"spam 1.0+ds: the Debian mirror has no spam_1.0+ds.orig.tar.{{xz,gz,bz2}} in {mirror.url}/pool/{FOLDER}; "
        "the versions there: 0.9, 1.1+ds"
    )


def test_a_mirror_without_listings_says_where_the_tarball_was_looked_for(
    mirror: IndexServer, tmp_path: Path, log: MemoryLog
) -> None:
    error = refusal(PIN, tmp_path, log)
    assert error.message == (
        f"spam 1.0+ds: the Debian mirror has no spam_1.0+ds.orig.tar.{{xz,gz,bz2}} in {mirror.url}/pool/{FOLDER}; "
        "the mirror lists no versions of it"
    )
    assert "FACTORY_DEBIAN_MIRROR" in str(error)


def test_a_tarball_with_another_hash_is_refused_and_not_kept(
    mirror: IndexServer, tmp_path: Path, log: MemoryLog
) -> None:
    add(mirror, "spam_1.0+ds.orig.tar.gz", TARBALL + b"\0")
    found = hashlib.sha256(TARBALL + b"\0").hexdigest()
    assert refusal(PIN, tmp_path, log).message == (
        "spam_1.0+ds.orig.tar.gz: the download has another content than the one pinned\n"
        f"  pinned sha256: {PIN.sha256}\n  found sha256:  {found}"
    )
    assert not list((tmp_path / "cache").rglob("*.tar.*[!lock]"))


def test_a_mirror_that_does_not_answer_is_named_with_the_variable_that_sets_another(
    mirror: IndexServer, tmp_path: Path, log: MemoryLog, monkeypatch: pytest.MonkeyPatch
) -> None:
    mirror.credentials = "other"
    assert "it answers 401 Unauthorized" in refusal(PIN, tmp_path, log).message
    monkeypatch.setenv("FACTORY_DEBIAN_MIRROR", "http://me:s3cret@127.0.0.1:9/debian")
    error = refusal(PIN, tmp_path, log)
    assert error.message.startswith("the Debian mirror can't be read at http://127.0.0.1:9/debian/pool/main/s/spam/")
    assert "s3cret" not in str(error)
    assert "name another mirror in FACTORY_DEBIAN_MIRROR" in str(error)


def test_libraries_lie_below_four_letters_of_their_name() -> None:
    assert (pool_folder("openblas"), pool_folder("libffi")) == ("pool/main/o/openblas", "pool/main/libf/libffi")


@pytest.mark.environment
def test_a_package_of_the_real_mirror_is_fetched(tmp_path: Path, log: MemoryLog) -> None:
    tree = fetch_debian(REAL, tmp_path / "cache", tmp_path / "out", log)
    assert (tree.path / "configure.ac").is_file()
