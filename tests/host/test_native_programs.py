"""Tests of native programs of layers, and of the processor that runs them."""

from __future__ import annotations

from pathlib import Path

import pytest

from factory.host.native_programs import uses_fused_arithmetic


@pytest.mark.parametrize(
    ("flags", "fused"),
    [("flags\t\t: fpu sse2 fma avx avx2", True), ("flags\t\t: fpu avx fma", False), ("isa\t\t: rv64imafdc", False)],
)
def test_processor_with_fma_and_avx2_has_fused_arithmetic(tmp_path: Path, flags: str, fused: bool) -> None:
    (tmp_path / "cpuinfo").write_text(f"processor\t: 0\n{flags}\n\nprocessor\t: 1\n{flags}\n")
    assert uses_fused_arithmetic(tmp_path / "cpuinfo") is fused
