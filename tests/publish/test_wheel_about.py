"""Statements of wheels that pages show."""

from __future__ import annotations

from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

from factory.publish.reports import About
from factory.publish.wheel_about import about_of, read_about
from tests.support.wheelmaker import make_wheel, write_zip

METADATA = b"""Metadata-Version: 2.4
Name: demo
Version: 1.0
Home-page: https://demo.example/
Project-URL: Source, https://git.example/demo
Project-URL: Changes, https://git.example/demo/news#latest
Project-URL: Chat, irc://demo.example
Project-URL: Evil, javascript:alert(1)
Keywords: pytorch, machine learning
Requires-Dist: plain-text >=1
Requires-Dist: fast; extra == "speed"
"""


def test_about_has_requirements_links_and_keywords() -> None:
    assert about_of(METADATA) == About(
        requires=("plain-text >=1", 'fast; extra == "speed"'),
        links={
            "Source": "https://git.example/demo",
            "Changes": "https://git.example/demo/news",
            "Homepage": "https://demo.example/",
        },
        keywords=("pytorch", "machine learning"),
    )


def test_about_keeps_a_homepage_among_the_links() -> None:
    stated = about_of(b"Name: demo\nProject-URL: Homepage, https://demo.example/\n")
    assert stated.links == {"Homepage": "https://demo.example/"}


def test_modules_are_the_first_parts_of_names(tmp_path: Path) -> None:
    members = (
        "PIL/__init__.py",
        "PIL/_imaging.cpython-313-riscv64-linux-gnu.so",
        "_yaml.cpython-313-riscv64-linux-gnu.so",
        "six.py",
        "demo.libs/libfast-1.so",
        "demo-1.0.dist-info/METADATA",
        "demo-1.0.data/scripts/run.py",
        "share/doc/readme.txt",
    )
    wheel = write_zip(tmp_path / "demo-1.0-py3-none-any.whl", dict.fromkeys(members, "") | {members[5]: "Name: demo\n"})
    assert read_about(wheel).modules == ("PIL", "_yaml", "six")
    assert read_about(make_wheel(tmp_path, "plain_text")).modules == ("plain_text",)


@given(st.binary(max_size=400), st.lists(st.text(max_size=80), max_size=50))
def test_about_of_any_metadata_is_limited(metadata: bytes, members: list[str]) -> None:
    about = about_of(b"Name: a\n" + metadata, members)
    assert all(len(text) <= 300 for text in (*about.requires, *about.modules, *about.keywords, *about.links))
    assert all(url.startswith(("http://", "https://")) for url in about.links.values())
