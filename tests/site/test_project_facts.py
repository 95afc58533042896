"""Facts of projects and files on pages: dependencies, search words, Pythons and glibc."""

from __future__ import annotations

import pytest

from factory.publish.reports import About
from factory.site.language_models import MEMORIES, largest_model
from factory.site.project_facts import dependencies_of, links_of, search_words
from factory.site.wheel_needs import accepted_pythons, needed_glibc


def test_dependencies_are_those_of_riscv64() -> None:
    about = About(
        requires=(
            "Plain_Text>=1",
            "fast[simd]~=2.0; platform_machine == 'riscv64'",
            "winonly; sys_platform == 'win32'",
            "backport; python_version < '3.9'",
            "pure; extra == 'speed' and python_version >= '3.13'",
            "old; extra == 'speed' and python_version < '3'",
            "no requirement at all",
        )
    )
    found = dependencies_of(about)
    assert [(each.text, each.project) for each in found.required] == [
        ("Plain_Text>=1", "plain-text"),
        ("fast[simd]~=2.0", "fast"),
        ("no requirement at all", ""),
    ]
    assert {extra: [each.text for each in wanted] for extra, wanted in found.extras.items()} == {"speed": ["pure"]}


def test_requirements_of_one_project_are_joined() -> None:
    """Wheels of vLLM require setuptools twice; others have a line for each Python."""
    about = About(
        requires=(
            'setuptools<81,>=78.1.1; python_version > "3.11"',
            "Setup_Tools[core]",
            "setuptools==78.1.1",
            "setup-tools[cli]>=1",
            'numpy>=1.26; python_version < "3.14"',
            'numpy>=2.3; python_version >= "3.14"',
            'tomli; python_version < "3.14"',
            'scipy>=1; extra == "fit"',
            'scipy<2; extra == "fit" or extra == "all"',
        )
    )
    found = dependencies_of(about)
    assert [(each.text, each.project) for each in found.required] == [
        ("setuptools<81,==78.1.1,>=78.1.1", "setuptools"),
        ("Setup_Tools[cli,core]>=1", "setup-tools"),
        ("numpy>=1.26 (Python 3.13), numpy>=2.3 (Python 3.14)", "numpy"),
        ("tomli (Python 3.13)", "tomli"),
    ]
    assert {extra: [each.text for each in wanted] for extra, wanted in found.extras.items()} == {
        "all": ["scipy<2"],
        "fit": ["scipy<2,>=1"],
    }


def test_links_of_a_ledger_are_web_addresses() -> None:
    links = {"Source": "https://git.example/x", "Evil": "javascript:alert(1)", "Odd": 'https://x.example/"onclick='}
    assert links_of(About(links=links)) == {"Source": "https://git.example/x"}


def test_search_words_are_modules_keywords_and_aliases() -> None:
    about = About(modules=("PIL",), keywords=("Machine Learning", "pillow"))
    assert search_words("pillow", about) == "pil machine-learning"
    assert search_words("scikit-learn", None) == "sklearn"
    assert search_words("unheard-of", None) == ""


@pytest.mark.parametrize(
    ("end", "floor", "needed"),
    [
        ("cp313-cp313-manylinux_2_31_riscv64.manylinux_2_39_riscv64", "2.27", "2.31"),
        ("cp313-cp313-manylinux_2_31_riscv64", "2.38", "2.38"),
        ("cp313-cp313-manylinux_2_38_riscv64", None, "2.38"),
        ("py3-none-any", None, "any"),
        ("py3-none-any", "2.34", "2.34"),
        ("cp313-cp313-musllinux_1_2_riscv64", None, ""),
        ("cp313-cp313-manylinux_2_38_riscv64", "nonsense", "2.38"),
    ],
)
def test_glibc_is_larger_of_tag_and_symbols(end: str, floor: str | None, needed: str) -> None:
    assert needed_glibc(f"demo-1.0-{end}.whl", floor) == needed


@pytest.mark.parametrize(
    ("tags", "pythons"),
    [
        ("cp313-cp313", "3.13"),
        ("cp39-abi3", "3.9 or newer"),
        ("cp313-cp313t", "3.13, free-threaded"),
        ("py3-none", "any"),
        ("py2.py3-none", "any"),
        ("cp312-none", "3.12 or newer"),
    ],
)
def test_pythons_are_those_of_the_tags(tags: str, pythons: str) -> None:
    assert accepted_pythons(f"demo-1.0-1-{tags}-manylinux_2_38_riscv64.whl") == pythons


def test_larger_memory_holds_a_larger_model() -> None:
    for form in ("Q4_0", "Q8_0"):
        sizes = [largest_model(memory, form).size for memory in MEMORIES]
        assert sizes == sorted(sizes)
        assert all(size <= memory * 3 / 4 for size, memory in zip(sizes, MEMORIES, strict=True))
    assert largest_model(4, "Q4_0").model == "Qwen3-4B"
    assert largest_model(4, "Q8_0").size < largest_model(4, "Q4_0").size * 2
