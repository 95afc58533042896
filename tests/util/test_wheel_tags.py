"""Which Pythons take a wheel, going by its name."""

import pytest

from factory.util.wheel_tags import serves


@pytest.mark.parametrize(
    ("tags", "taken_by"),
    [
        ("cp313-cp313-manylinux_2_39_riscv64", ["3.13"]),
        ("cp314-cp314-manylinux_2_39_riscv64", ["3.14"]),
        ("cp312-abi3-manylinux_2_39_riscv64", ["3.13", "3.14"]),
        ("cp314-abi3-manylinux_2_39_riscv64", ["3.14"]),
        ("cp313-none-manylinux_2_39_riscv64", ["3.13"]),
        ("py3-none-manylinux_2_39_riscv64", ["3.13", "3.14"]),
        ("py2.py3-none-any", ["3.13", "3.14"]),
        ("cp314-cp314t-manylinux_2_39_riscv64", []),
    ],
)
def test_a_wheel_serves_the_pythons_that_its_tags_name(tags: str, taken_by: list[str]) -> None:
    assert [python for python in ("3.13", "3.14") if serves(f"demo-1.0-{tags}.whl", python)] == taken_by
