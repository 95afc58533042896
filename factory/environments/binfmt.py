"""binfmt_misc: the kernel's table that starts riscv64 programs through QEMU.

Our entry has a name of its own and the newest entry wins, so nothing that the host registered is removed or changed:
where the host has an entry for riscv64 too, ours is registered anew so as to be the newer one.
The flag F loads QEMU at registration, so it need not be inside the roots; P keeps argv[0].
"""

from __future__ import annotations

import filecmp
import platform
from pathlib import Path

from factory.errors import PrerequisiteMissing
from factory.process import run

BINFMT = Path("/proc/sys/fs/binfmt_misc")
ENTRY = "riscv64-wheel-factory"
# The ELF header of a little-endian 64-bit RISC-V executable or shared object (e_machine 243); the mask lets
# e_ident's ABI version and either of the two types pass.
MAGIC = r"\x7fELF\x02\x01\x01\x00\x00\x00\x00\x00\x00\x00\x00\x00\x02\x00\xf3\x00"
MASK = r"\xff\xff\xff\xff\xff\xff\xff\x00\xff\xff\xff\xff\xff\xff\xff\xff\xfe\xff\xff\xff"


def is_native() -> bool:
    """Whether this machine runs riscv64 programs itself."""
    return platform.machine() == "riscv64"


def registered_interpreter() -> Path | None:
    """The QEMU that our entry names, or None when it isn't registered or is disabled."""
    try:
        lines = (BINFMT / ENTRY).read_text().splitlines()
    except OSError:
        return None
    if "enabled" not in lines:
        return None
    return next((Path(line.split(" ", 1)[1]) for line in lines if line.startswith("interpreter ")), None)


def ensure_registered(qemu: Path) -> None:
    """Register `qemu` for riscv64 programs, replacing only an older entry of our own.

    Raises:
        PrerequisiteMissing: the kernel has no binfmt_misc, or we may not write to it.
    """
    if is_native() or (_is_same(registered_interpreter(), qemu) and not rivals()):
        return
    try:
        _mount()
        if (BINFMT / ENTRY).exists():
            (BINFMT / ENTRY).write_text("-1")
        (BINFMT / "register").write_text(f":{ENTRY}:M::{MAGIC}:{MASK}:{qemu.resolve()}:PF")
    except OSError as error:
        raise PrerequisiteMissing(
            f"QEMU can't be registered for riscv64 programs: {error}",
            hint="run as root on the machine itself, or in a container started with --privileged: factory setup",
        ) from error


def rivals() -> list[str]:
    """The names of other enabled entries that start riscv64 programs."""
    entries = [path for path in BINFMT.glob("*") if path.name not in (ENTRY, "register", "status")]
    return sorted(path.name for path in entries if _starts_riscv64(path.read_text().splitlines()))


def _starts_riscv64(lines: list[str]) -> bool:
    magic = next((line.split()[1] for line in lines if line.startswith("magic ")), "")
    return "enabled" in lines and magic.startswith("7f454c4602") and magic[36:40] == "f300"


def _is_same(registered: Path | None, qemu: Path) -> bool:
    """Equal programs in two caches are as good as one: nothing is registered anew."""
    return registered is not None and registered.is_file() and filecmp.cmp(registered, qemu, shallow=False)


def _mount() -> None:
    if not (BINFMT / "register").exists():
        run(["mount", "-t", "binfmt_misc", "binfmt_misc", str(BINFMT)], what="mounting binfmt_misc")
