"""Folders of finished jobs whose process was killed before it removed them."""

from __future__ import annotations

from pathlib import Path

import pytest

from factory.pipeline.build import KEPT, _clean_up


@pytest.mark.parametrize(
    ("files", "stays"),
    [
        (("steps/build.json", "steps/check.json", "work/src/setup.py"), False),
        (("steps/check.json", KEPT), True),
        (("steps/build.json",), True),
        (("looked-into", "work/src/setup.py"), True),
    ],
)
def test_finished_job_is_removed_unless_kept(tmp_path: Path, files: tuple[str, ...], stays: bool) -> None:
    """A person's shell and a build that is not finished stay too."""
    folder = tmp_path / "demo-0123456789abcdef"
    for name in files:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).touch()
    _clean_up(folder)
    assert folder.exists() is stays
    assert [path.name for path in tmp_path.iterdir()] == ([folder.name] if stays else [])


def test_missing_folder_is_no_error(tmp_path: Path) -> None:
    _clean_up(tmp_path / "demo-0123456789abcdef")
