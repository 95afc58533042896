"""Progress of apt's and dpkg's packages."""

from __future__ import annotations

from pathlib import Path

import pytest

from factory.stages.environments.debian.apt_progress import AptProgress
from factory.util.log import LogFile

OUTPUT = """\
$ unshare mmdebstrap '--essential-hook=
set -e
' trixie /tmp/apt-7swqw3aj/layer/tree http://mirror.example/debian
I: running apt-get update...
Get:1 http://mirror.example/debian trixie InRelease [140 kB]
Get:2 http://mirror.example/debian trixie/main riscv64 Packages [9528 kB]
Suggested packages:
  apt | apt-utils
0 upgraded, 2 newly installed, 0 to remove and 0 not upgraded.
Need to get 3,000 kB of archives.
Get:1 http://mirror.example/debian trixie/main riscv64 gcc-14-base riscv64 14.2.0-19 [1.2 MB]
Get:2 http://mirror.example/debian trixie/main riscv64 libc6 riscv64 2.41-12 [1,800 kB]
Unsuccessful stat on filename containing newline at /usr/bin/mmdebstrap line 1749.
I: extracting archives...
Use of uninitialized value in concatenation (.) or string at /usr/bin/mmdebstrap line 1750.
I: running --essential-hook in shell: sh -c '
set -e
chroot "$1" dpkg-divert
' exec /tmp/apt-7swqw3aj/layer/tree
Unpacking gcc-14-base:riscv64 (14.2.0-19) ...
Setting up libc6:riscv64 (2.41-12) ...
update-alternatives: error: alternative path /usr/share/man/man7/bash-builtins.7.gz doesn't exist
[in the root] $ apt-get install zlib1g
1 upgraded, 1 newly installed, 0 to remove and 0 not upgraded.
Get:1 http://mirror.example/debian trixie/main riscv64 zlib1g riscv64 1.3 [1 kB]
Get:2 http://mirror.example/debian trixie/main riscv64 newer riscv64 1.3 [1 kB]
Get:3 http://mirror.example/debian trixie/main riscv64 one-more riscv64 1.3 [1 kB]
E: Failed to fetch
# exit 100 after 1.0 s
"""
SHOWN = """\
running apt-get update...
download trixie InRelease [140 kB]
download trixie/main riscv64 Packages [9528 kB]
download gcc-14-base (1 of 2, 0%)
download libc6 (2 of 2, 40%)
extracting archives...
unpacking gcc-14-base (1 of 2)
setting up libc6 (1 of 2)
[in the root] $ apt-get install zlib1g
download zlib1g (1 of 2)
download newer (2 of 2)
download one-more
E: Failed to fetch
"""


@pytest.fixture
def shown() -> list[str]:
    """Return the lines that are shown as progress."""
    return []


@pytest.fixture
def progress(tmp_path: Path, shown: list[str]) -> AptProgress:
    return AptProgress(LogFile(tmp_path / "log", shown.append))


def test_steps_are_shown_and_packages_counted(progress: AptProgress, shown: list[str]) -> None:
    progress.write(OUTPUT)
    assert shown == SHOWN.splitlines()


def test_other_lines_are_in_the_file(progress: AptProgress) -> None:
    """Warnings of maintainer scripts frighten, but may explain an error."""
    progress.write(OUTPUT)
    written = progress.path.read_text().splitlines()
    assert len(written) == len(OUTPUT.splitlines())
    assert {line for line in OUTPUT.splitlines() if line.startswith(("update-", "Unsuccessful", "chroot"))} < {*written}


def test_lines_may_come_one_by_one(progress: AptProgress, shown: list[str]) -> None:
    for line in OUTPUT.splitlines(keepends=True):
        progress.write(line)
    assert shown == SHOWN.splitlines()
