"""Build requirements that a recipe replaces: of the source, and of its build backend."""

from __future__ import annotations

import pytest

from factory.model.replaced_requirements import replace_requirements, unused_replacements

ZSTANDARD = (
    "cffi~=1.17; platform_python_implementation != 'PyPy' and python_version < '3.14'",
    "cffi>=2.0.0b; platform_python_implementation != 'PyPy' and python_version >= '3.14'",
    "setuptools",
)


def test_replacement_takes_the_place_and_the_marker() -> None:
    assert replace_requirements(ZSTANDARD, ["CFFI>=2"]) == (
        'CFFI>=2; platform_python_implementation != "PyPy" and python_version < "3.14"',
        'CFFI>=2; platform_python_implementation != "PyPy" and python_version >= "3.14"',
        "setuptools",
    )


@pytest.mark.parametrize(
    ("requirements", "replacements", "expected"),
    [
        (["numpy==2.0", "numpy<3"], ["numpy>=2"], ("numpy>=2",)),
        (["oldest_supported.numpy"], ["oldest-supported-numpy; python_version < '3'"], None),
        (["cffi @ x y", "b"], ["cffi>=2"], ("cffi @ x y", "b")),
        (["a"], [], ("a",)),
    ],
)
def test_other_requirements_stay(
    requirements: list[str], replacements: list[str], expected: tuple[str, ...] | None
) -> None:
    expected = ('oldest-supported-numpy; python_version < "3"',) if expected is None else expected
    assert replace_requirements(requirements, replacements) == expected


def test_replacement_of_no_requirement_is_unused() -> None:
    assert unused_replacements(ZSTANDARD, ["cffi>=2", "Cython<4"]) == ["Cython<4"]
