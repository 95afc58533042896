"""Progress of apt's and dpkg's packages."""

from __future__ import annotations

from factory.stages.environments.debian.apt_progress import AptProgress
from tests.support.logs import MemoryLog

OUTPUT = """\
Get:1 http://mirror.example/debian trixie InRelease [140 kB]
0 upgraded, 2 newly installed, 0 to remove and 0 not upgraded.
Need to get 3,000 kB of archives.
Get:1 http://mirror.example/debian trixie/main riscv64 gcc-14-base riscv64 14.2.0-19 [49.4 kB]
Get:2 http://mirror.example/debian trixie/main riscv64 libc6 riscv64 2.41-12 [2,890 kB]
Unsuccessful stat on filename containing newline at /usr/bin/mmdebstrap line 1749.
Unpacking gcc-14-base:riscv64 (14.2.0-19) ...
Setting up libc6:riscv64 (2.41-12) ...
1 upgraded, 1 newly installed, 0 to remove and 0 not upgraded.
Get:1 http://mirror.example/debian trixie/main riscv64 zlib1g riscv64 1.3 [1 kB]
Get:2 http://mirror.example/debian trixie/main riscv64 newer riscv64 1.3 [1 kB]
Get:3 http://mirror.example/debian trixie/main riscv64 one-more riscv64 1.3 [1 kB]
"""
SHOWN = """\
Get:1 http://mirror.example/debian trixie InRelease [140 kB]
0 upgraded, 2 newly installed, 0 to remove and 0 not upgraded.
Need to get 3,000 kB of archives.
download gcc-14-base (1 of 2)
download libc6 (2 of 2)
unpacking gcc-14-base (1 of 2)
setting up libc6 (1 of 2)
1 upgraded, 1 newly installed, 0 to remove and 0 not upgraded.
download zlib1g (1 of 2)
download newer (2 of 2)
Get:3 http://mirror.example/debian trixie/main riscv64 one-more riscv64 1.3 [1 kB]
"""


def test_packages_are_counted(log: MemoryLog) -> None:
    AptProgress(log).write(OUTPUT)
    assert log.text == SHOWN


def test_lines_may_come_one_by_one(log: MemoryLog) -> None:
    progress = AptProgress(log)
    for line in OUTPUT.splitlines(keepends=True):
        progress.write(line)
    assert (log.text, progress.path) == (SHOWN, log.path)
