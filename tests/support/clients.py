"""pip and uv, configured with nothing but a test's index."""

from __future__ import annotations

import os
import sys

from factory.util.process import run

PLATFORM = ["--platform=manylinux_2_39_riscv64", "--platform=manylinux_2_38_riscv64"]


UV_FOR_RISCV = ["--python-platform=riscv64-unknown-linux", "--python-version=3.13", "--no-python-downloads"]


FOR_RISCV = ["--only-binary=:all:", "--implementation=cp", "--python-version=3.13", "--abi=cp313", *PLATFORM]


# These clients must see our index alone, whatever the machine that runs the tests is configured with.
ALONE = {name: value for name, value in os.environ.items() if not name.startswith(("PIP_", "UV_"))} | {
    "PIP_CONFIG_FILE": os.devnull,
    "UV_NO_CONFIG": "1",
    "PIP_DISABLE_PIP_VERSION_CHECK": "1",
}


def pip(*arguments: str) -> str:
    return run([sys.executable, "-m", "pip", "--no-cache-dir", *arguments], env=ALONE)


def uv(*arguments: str) -> str:
    return run([sys.executable, "-m", "uv", "--no-cache", *arguments], env=ALONE)


def sent(lines: list[str]) -> dict[str, int]:
    """Return the number of bytes that a server sent of each path."""
    total: dict[str, int] = {}
    for _method, path, _status, size in (line.split() for line in lines):
        total[path] = total.get(path, 0) + int(size)
    return total
