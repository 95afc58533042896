"""auditwheel's names for the libraries that it puts into a wheel."""

from __future__ import annotations

import re

# What the name of their folder ends with, after the project's.
FOLDER = ".libs"
# A file's name: that of the file that it is a copy of, with eight digits of that one's sha256 before the first dot.
FILE = re.compile(r"([^.]+)-([0-9a-f]{8})(\..+)")
