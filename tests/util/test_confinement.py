"""Confined programs see this machine's programs, not its passwords."""

from __future__ import annotations

from pathlib import Path

import pytest

from factory.util.confinement import PRIVATE, run_tool


@pytest.mark.parametrize("path", [path for path in (Path("/etc", name) for name in PRIVATE) if path.exists()], ids=str)
def test_confined_program_sees_no_password_of_machine(path: Path) -> None:
    assert run_tool(["sh", "-c", f"cat {path}/* {path} 2>/dev/null || true"]) == ""


def test_confined_program_sees_other_files_of_machine() -> None:
    assert run_tool(["cat", "/etc/passwd"]) == Path("/etc/passwd").read_text()
