"""Source distributions on an index, found by name."""

from __future__ import annotations

import pytest

from factory.errors import SourceError
from factory.stages.sources.find_sdist import find_sdist
from factory.stages.sources.package_index import list_files
from tests.support.index_server import IndexServer


def offer(index: IndexServer, *names: str) -> None:
    for name in names:
        index.add(name, name.encode())


def test_newest_stable_sdist_is_found(index: IndexServer) -> None:
    offer(index, "spam-1.9.tar.gz", "spam-1.10.tar.gz", "spam-2.0rc1.tar.gz", "spam-1.10-cp313-cp313-linux_riscv64.whl")
    found = find_sdist("spam", None)
    assert (found.version, found.filename) == ("1.10", "spam-1.10.tar.gz")
    assert found.sha256 == index.hashes["spam-1.10.tar.gz"]
    assert found.wheels == ("spam-1.10-cp313-cp313-linux_riscv64.whl",)
    assert not found.is_pure


def test_named_version_is_found(index: IndexServer) -> None:
    offer(index, "spam-1.0.tar.gz", "spam-1.0-py3-none-any.whl", "spam-2.0rc1.zip")
    assert find_sdist("spam", "1.0.0").is_pure
    assert find_sdist("spam", "2.0rc1").version == "2.0rc1"


@pytest.mark.parametrize(
    ("names", "version", "message", "hint"),
    [
        ((), None, "no such project", "pip config list"),
        (("spam-1.0-py3-none-any.whl",), None, "no sdist of any version", "docs/add-a-recipe.md"),
        (("spam-1.0.tar.gz", "spam-2.0-py3-none-any.whl"), None, "only wheels", "with an sdist: 1.0"),
        (("spam-1.0.tar.gz",), "3.0", "no such version", "factory new spam==VERSION"),
    ],
)
def test_missing_sdist_is_explained(
    index: IndexServer, names: tuple[str, ...], version: str | None, message: str, hint: str
) -> None:
    offer(index, *names)
    with pytest.raises(SourceError) as caught:
        find_sdist("spam", version)
    assert message in caught.value.message
    assert hint in (caught.value.hint or "")


def test_sdist_without_hash_is_refused(index: IndexServer) -> None:
    offer(index, "spam-1.0.tar.gz")
    index.hashes["spam-1.0.tar.gz"] = ""
    with pytest.raises(SourceError, match="states no sha256"):
        find_sdist("spam", None)


@pytest.mark.parametrize("sha256", ["../../../outside", "abc", "g" * 64])
def test_hash_of_another_shape_is_none(index: IndexServer, sha256: str) -> None:
    offer(index, "spam-1.0.tar.gz")
    index.hashes["spam-1.0.tar.gz"] = sha256
    with pytest.raises(SourceError, match="states no sha256"):
        find_sdist("spam", None)


def test_hash_in_upper_case_is_one(index: IndexServer) -> None:
    offer(index, "spam-1.0.tar.gz")
    known = index.hashes["spam-1.0.tar.gz"]
    index.hashes["spam-1.0.tar.gz"] = known.upper()
    assert find_sdist("spam", None).sha256 == known


def test_file_with_a_path_is_not_listed(index: IndexServer) -> None:
    offer(index, "spam-1.0.tar.gz", "spam-1.0-py3-none-/../../x.whl")
    assert [each.filename for each in list_files("spam")] == ["spam-1.0.tar.gz"]


def test_yanked_versions_are_told(index: IndexServer) -> None:
    offer(index, "spam-1.0.tar.gz")
    index.yanked = "broken"
    with pytest.raises(SourceError, match="only yanked versions"):
        find_sdist("spam", None)
