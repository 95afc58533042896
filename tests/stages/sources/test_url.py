"""Archives at addresses, mirrors, and servers that fail.

Some addresses no recipe may have.
"""

from __future__ import annotations

import hashlib
from dataclasses import replace
from pathlib import Path

import pytest

from factory.errors import SourceError
from factory.stages.sources.fetch import fetch
from factory.stages.sources.url import UrlSource
from tests.support.archives import sdist
from tests.support.index_server import IndexServer
from tests.support.logs import MemoryLog
from tests.support.recipes import SHA256, SMALLEST, load_recipe, problems_of, write

SDIST = sdist()
PINNED = hashlib.sha256(SDIST).hexdigest()
SECRET = "s3cret-t0ken"


def pin(index: IndexServer, *names: str) -> UrlSource:
    urls = tuple(f"{index.url}/files/{name}" for name in names)
    return UrlSource(project="spam", version="1.0", sha256=PINNED, urls=urls)


def refusal(source: UrlSource, tmp_path: Path, log: MemoryLog) -> SourceError:
    with pytest.raises(SourceError) as caught:
        fetch(source, tmp_path / "cache", tmp_path / "out", log)
    assert not list(tmp_path.glob("out/*"))
    return caught.value


def test_archive_is_downloaded_and_unpacked(index: IndexServer, tmp_path: Path, log: MemoryLog) -> None:
    index.add("v1.0.tar.gz", SDIST)
    source = pin(index, "v1.0.tar.gz")
    tree = fetch(source, tmp_path / "cache", tmp_path / "out", log)
    assert (tree.path, tree.sha256) == (tmp_path / "out/spam-1.0", PINNED)
    (origin,) = tree.origins
    assert (origin.kind, origin.urls, origin.sha256) == ("url", source.urls, PINNED)
    index.requests.clear()
    fetch(source, tmp_path / "cache", tmp_path / "out", log)
    assert index.requests == []


def test_next_mirror_goes_on_where_one_broke_off(index: IndexServer, tmp_path: Path, log: MemoryLog) -> None:
    """The first server dies for good within the file."""
    index.add("first.tar.gz", SDIST)
    index.add("second.tar.gz", SDIST)
    half = len(SDIST) // 2
    index.cuts = [half] + [0] * 6
    tree = fetch(pin(index, "first.tar.gz", "second.tar.gz"), tmp_path / "cache", tmp_path / "out", log)
    assert tree.sha256 == PINNED
    assert (index.requests[-1][0], index.downloads()[-1]) == ("/files/second.tar.gz", f"bytes={half}-")


@pytest.mark.parametrize("served", [sdist("eggs"), b"", SDIST[:-1], SDIST + b"x" * 100_000])
def test_mirror_with_other_bytes_is_passed_over(
    served: bytes, index: IndexServer, tmp_path: Path, log: MemoryLog
) -> None:
    index.add("bad.tar.gz", served)
    index.add("good.tar.gz", SDIST)
    tree = fetch(pin(index, "bad.tar.gz", "good.tar.gz"), tmp_path / "cache", tmp_path / "out", log)
    assert tree.sha256 == PINNED
    assert "the download has another content than the one pinned" in log.text


def test_half_of_other_bytes_does_not_spoil_the_next_mirror(index: IndexServer, tmp_path: Path, log: MemoryLog) -> None:
    index.add("bad.tar.gz", bytes(len(SDIST)))
    index.add("good.tar.gz", SDIST)
    index.cuts = [len(SDIST) // 2] + [0] * 6
    assert fetch(pin(index, "bad.tar.gz", "good.tar.gz"), tmp_path / "cache", tmp_path / "out", log).sha256 == PINNED


def test_failure_names_every_address(index: IndexServer, tmp_path: Path, log: MemoryLog) -> None:
    index.add("other.tar.gz", sdist("eggs"))
    found = refusal(pin(index, "gone.tar.gz", "other.tar.gz"), tmp_path, log)
    assert found.message.startswith("spam-1.0.tar.gz: no address delivers the archive\n")
    assert "gone.tar.gz: the server answers 404" in found.message
    assert f"found sha256:  {index.hashes['other.tar.gz']}" in found.message
    assert not found.machines_fault


def test_unreachable_server_is_the_machines_fault(index: IndexServer, tmp_path: Path, log: MemoryLog) -> None:
    source = replace(pin(index, "gone.tar.gz"), urls=("http://127.0.0.1:1/spam.tar.gz", f"{index.url}/files/gone.zip"))
    assert refusal(source, tmp_path, log).machines_fault


def test_origin_warning_names_mirrors_without_the_file(index: IndexServer) -> None:
    index.add("here.tar.gz", SDIST)
    assert pin(index, "here.tar.gz").origin_warning() == ""
    assert (
        pin(index, "gone.tar.gz", "here.tar.gz")
        .origin_warning()
        .endswith("gone.tar.gz: the server answers 404 Not Found")
    )
    with pytest.raises(SourceError, match="no address has the archive"):
        pin(index, "gone.tar.gz").origin_warning()


def recipe(urls: str) -> str:
    return SMALLEST.replace('"pypi"', '"url"') + f"urls = {urls}\n"


def test_recipe_has_addresses_in_order(tmp_path: Path) -> None:
    urls = ["https://example.org/a/spam-1.0.tar.gz", "http://mirror.example.org:8080/spam-1.0.zip"]
    source = load_recipe(write(tmp_path, recipe(str(urls)))).source
    assert isinstance(source, UrlSource)
    assert (source.urls, source.sha256) == (tuple(urls), SHA256)


@pytest.mark.parametrize(
    "address",
    [
        f"https://user:{SECRET}@example.org/spam.tar.gz",
        f"https://{SECRET}@example.org/spam.tar.gz",
        f"https://example.org/spam.tar.gz?token={SECRET}",
        f"https://example.org/spam?token={SECRET}.tar.gz",
        f"https://example.org/spam#{SECRET}.tar.gz",
        f"https:///{SECRET}/spam.tar.gz",
        f"https://-{SECRET}/spam.tar.gz",
        f"ftp://example.org/{SECRET}/spam.tar.gz",
        f"file:///{SECRET}/spam.tar.gz",
        f"https://example.org/{SECRET} spam.tar.gz",
        f"https://example.org/{SECRET}\\\\nspam.tar.gz",
        f"https://example.org/{SECRET}.exe",
    ],
)
def test_unsafe_address_is_refused_and_not_shown(address: str, tmp_path: Path) -> None:
    (problem,) = problems_of(tmp_path, recipe(f'["{address}"]'))
    assert problem.startswith(
        "recipe.toml:7: source.urls: must be an https or http address that ends in one of .tar.gz"
    )
    assert SECRET not in problem


def test_recipe_without_address_is_refused(tmp_path: Path) -> None:
    assert problems_of(tmp_path, recipe("[]")) == ["recipe.toml:7: source.urls: must have at least one address"]
