"""Edits of recipes: what is not changed keeps its bytes."""

from __future__ import annotations

import tomllib
from pathlib import Path

from factory.recipes.edit import repin, version_comment

TEXT = """\
# Spam, as everybody
# wants it.

[package]
name    = 'spam' # the name
version = "1.0"  # of July
build   = 2

[source]
kind = "pypi"
sha256 = "aaa"

[build]
apt = [
    "libx-dev", # headers
]
environment = { SPAM_VERSION = "1.0", OTHER = "11.0" }
"""


def test_repin_keeps_comments_and_layout(tmp_path: Path) -> None:
    file = tmp_path / "recipe.toml"
    file.write_text(TEXT)
    assert version_comment(file) == "of July"
    lines = repin(file, "1.1", {"sha256": "bbb"})
    expected = TEXT.replace('version = "1.0"', 'version = "1.1"').replace("aaa", "bbb").replace("build   = 2\n", "")
    assert file.read_text() == expected
    assert [expected.splitlines()[line - 1] for line in lines] == [TEXT.splitlines()[-1]]


def test_repin_writes_version_of_the_source_too(tmp_path: Path) -> None:
    file = tmp_path / "recipe.toml"
    file.write_text(
        TEXT.replace('kind = "pypi"', 'kind = "pypi"\nversion = "1.0"').replace('"1.0", OTHER', '"", OTHER')
    )
    assert repin(file, "1.10", {"sha256": "bbb"}) == []
    assert file.read_text().count('"1.10"') == 2


def test_repin_of_table_in_several_places(tmp_path: Path) -> None:
    file = tmp_path / "recipe.toml"
    parts = '\n[source.parts.vendor] # more\nkind = "pypi"\nversion = "2.0"\nsha256 = "ccc"\n'
    file.write_text(TEXT + parts)
    repin(file, "1.1", {"sha256": "bbb"})
    assert file.read_text().endswith(parts)
    assert file.read_text().count("bbb") == 1


def test_repin_keeps_ends_of_lines(tmp_path: Path) -> None:
    file = tmp_path / "recipe.toml"
    text = TEXT.replace('sha256 = "aaa"\n', "").replace("\n", "\r\n")
    file.write_bytes(text.encode())
    repin(file, "1.1", {"sha256": "bbb"})
    written = file.read_bytes().decode()
    assert 'sha256 = "bbb"\r\n' in written
    assert "\n" not in written.replace("\r\n", "")
    assert version_comment(file) == "of July"


def test_repin_of_inherited_source_states_its_hash(tmp_path: Path) -> None:
    file = tmp_path / "recipe.toml"
    file.write_text('[package]\nname = "a"\nbased-on = "b"\nversion = "1.0"\n')
    repin(file, "1.1", {"sha256": "bbb"})
    found = tomllib.loads(file.read_text())
    assert (found["package"]["version"], found["source"]) == ("1.1", {"sha256": "bbb"})
