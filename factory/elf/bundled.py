"""auditwheel's names for the libraries that it bundles."""

from __future__ import annotations

import re
from pathlib import PurePosixPath

# The suffix of their folder's name, after the project's name.
FOLDER = ".libs"
# A file name: the original's, with the first eight digits of the original's sha256 before the first dot.
FILE = re.compile(r"([^.]+)-([0-9a-f]{8})(\..+)")


def is_bundled(path: str) -> bool:
    """Return whether a path in a wheel is that of a bundled library."""
    return any(folder.endswith(FOLDER) for folder in PurePosixPath(path).parts[:1])
