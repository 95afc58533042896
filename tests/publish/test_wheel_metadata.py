from __future__ import annotations

import hashlib
from pathlib import Path

import pytest
from msgspec import structs

from factory.errors import PublishError
from factory.publish import wheel_metadata
from factory.publish.release import PUBLISHING_FIELDS
from factory.publish.wheel_metadata import describe_wheel, read_metadata
from tests.support.wheelmaker import BUILT, make_wheel, write_zip

NAME = "demo-1.0-py3-none-any.whl"
INFO = "demo-1.0.dist-info/METADATA"
GOOD = "Metadata-Version: 2.1\nName: demo\nVersion: 1.0\n"


def test_describe_wheel_has_normalized_name_and_metadata_hash(tmp_path: Path) -> None:
    path = make_wheel(tmp_path, "Demo_Thing", "1.0", requires_python=">=3.9")
    release = describe_wheel(path, BUILT)
    assert (release.project, release.version, release.requires_python) == ("demo-thing", "1.0", ">=3.9")
    assert release.metadata_sha256 == hashlib.sha256(read_metadata(path)).hexdigest()
    assert release.size == path.stat().st_size


def test_description_equals_description_of_the_wheel(tmp_path: Path) -> None:
    """Publishing describes a known wheel from its ledger entry; no fact of the wheel is lost."""
    described = describe_wheel(make_wheel(tmp_path, "demo", requires_python=">=3.9"), BUILT)
    added = {name: not getattr(described, name) if name == "listed" else "added" for name in PUBLISHING_FIELDS}
    published = structs.replace(described, **added)
    assert all(getattr(published, name) != getattr(described, name) for name in PUBLISHING_FIELDS)
    assert published.description() == described


@pytest.mark.parametrize(
    ("members", "words"),
    [
        ({}, "0 *.dist-info/METADATA files instead of one"),
        ({INFO: GOOD, "demo-2.0.dist-info/METADATA": GOOD}, "2 *.dist-info/METADATA files"),
        ({INFO: GOOD.replace("demo", "numpy")}, "its METADATA is that of numpy 1.0"),
        ({INFO: GOOD.replace("1.0", "2.0")}, "its METADATA is that of demo 2.0"),
        ({INFO: GOOD.replace("demo", "<script>")}, "its METADATA can't be parsed"),
        ({INFO: GOOD.replace("Version: 1.0", "Version: ../x")}, "its METADATA can't be parsed"),
        ({INFO: GOOD + "Requires-Python: <script>\n"}, "its METADATA can't be parsed"),
        ({INFO: "Metadata-Version: 2.1\n"}, "its METADATA "),
        ({INFO: ""}, "its METADATA "),
    ],
)
def test_a_wheel_whose_metadata_disagrees_is_refused(tmp_path: Path, members: dict[str, str], words: str) -> None:
    path = write_zip(tmp_path / NAME, members)
    with pytest.raises(PublishError) as caught:
        describe_wheel(path, BUILT)
    assert NAME in caught.value.message
    assert words in caught.value.message


def test_a_metadata_bomb_is_refused_without_unpacking_it(tmp_path: Path) -> None:
    path = write_zip(tmp_path / NAME, {INFO: GOOD + "\n" + "x" * (64 << 20)})
    assert path.stat().st_size < 1 << 20
    with pytest.raises(PublishError, match=f"its METADATA is longer than {wheel_metadata.METADATA_LIMIT} bytes"):
        describe_wheel(path, BUILT)


@pytest.mark.parametrize("content", [b"", b"PK\x03\x04", b"not a zip" * 1000])
def test_a_file_that_is_no_wheel_is_refused(tmp_path: Path, content: bytes) -> None:
    (tmp_path / NAME).write_bytes(content)
    with pytest.raises(PublishError, match="cannot read it"):
        describe_wheel(tmp_path / NAME, BUILT)


def test_a_truncated_wheel_is_refused(tmp_path: Path) -> None:
    path = make_wheel(tmp_path, "demo")
    path.write_bytes(path.read_bytes()[:-40])
    with pytest.raises(PublishError, match="cannot read it"):
        describe_wheel(path, BUILT)
