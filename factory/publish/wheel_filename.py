"""File names of published wheels: the project and version that they state."""

from __future__ import annotations

import re
from functools import lru_cache

from packaging.utils import InvalidWheelFilename, parse_wheel_filename

from factory.errors import PublishError

# File names are limited to 255 bytes. Leave room for the suffixes of sidecar and temporary files.
MAX_FILENAME_CHARACTERS = 200
# Narrower than what packaging accepts: a file name becomes a path and a URL, so no separators and no markup.
SAFE_FILENAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._+!-]*\.whl", re.ASCII)


def parse_filename(filename: str) -> tuple[str, str]:
    """Parse a wheel's file name into the normalized project and version.

    Raises:
        PublishError: it isn't a wheel's file name, or has characters that are unsafe in a path or a page.
    """
    try:
        if not SAFE_FILENAME.fullmatch(filename):
            raise InvalidWheelFilename("only ASCII letters, digits and ._+!- are allowed")
        return _parse_parts(filename)
    except InvalidWheelFilename as error:
        raise PublishError(
            f"{filename!r}: invalid wheel file name: {error}",
            hint="rename the file to NAME-VERSION-PYTHON-ABI-PLATFORM.whl (PEP 427)",
        ) from error


def _parse_parts(filename: str) -> tuple[str, str]:
    """Parse each part by itself, cached.

    All files of a project share one, and most versions are common.
    """
    head, *tags = filename.rsplit("-", 3)
    project, _, rest = head.partition("-")
    version, *build = rest.split("-", 1)
    try:
        _require_valid("name", "1", *build, *tags)
        return _parse_project(project), _parse_version(version)
    except InvalidWheelFilename:
        parse_wheel_filename(filename)  # raises with the whole file name in its message
        raise


@lru_cache(maxsize=256)
def _parse_project(part: str) -> str:
    return parse_wheel_filename(f"{part}-1-py3-none-any.whl")[0]


@lru_cache(maxsize=4096)
def _parse_version(part: str) -> str:
    return str(parse_wheel_filename(f"name-{part}-py3-none-any.whl")[1])


@lru_cache(maxsize=256)
def _require_valid(*parts: str) -> None:
    parse_wheel_filename("-".join(parts))
