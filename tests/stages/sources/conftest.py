from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from tests.support.archives import Entry, tar_bytes


@pytest.fixture
def make_tar(tmp_path: Path) -> Callable[..., Path]:
    """Write a tar archive of the given entries, of the kind that its name says."""

    def make(*entries: Entry, name: str = "spam-1.0.tar.gz") -> Path:
        path = tmp_path / name
        path.write_bytes(tar_bytes(list(entries), "w:" + name.rpartition(".")[2].replace("tgz", "gz")))
        return path

    return make
