"""binfmt_misc: the kernel's table that starts riscv64 programs through QEMU.

Our entry has a name of its own and the newest entry wins, so nothing that the host registered is removed or changed:
where the host has an entry for riscv64 too, ours is registered anew so as to be the newer one.
The flag F loads QEMU at registration, so it need not be inside the roots; P keeps argv[0].

Since Linux 6.7 each user namespace can have a table of its own, which hides the machine's. Where an ordinary user's
namespace can't, the machine's entries do if their QEMU is new enough.
"""

from __future__ import annotations

import filecmp
import os
import platform
import re
from pathlib import Path

from factory.errors import CommandFailed, PrerequisiteMissing
from factory.util.process import run

BINFMT = Path("/proc/sys/fs/binfmt_misc")
ENTRY = "riscv64-wheel-factory"
MOUNT = ("mount", "-t", "binfmt_misc", "binfmt_misc", str(BINFMT))
# The first version with all the CPUs that profiles name.
OLDEST_QEMU = 10
FOR_ALL = (
    "an administrator runs `sudo factory setup` after each start of the machine, or installs the Debian package "
    f"qemu-user-binfmt, version {OLDEST_QEMU} or newer"
)
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
        PrerequisiteMissing: the kernel has no binfmt_misc, or we may not write to it and nobody else did.
    """
    if is_native() or (_is_same(registered_interpreter(), qemu) and not rivals()):
        return
    try:
        _mount()
        if (BINFMT / ENTRY).exists():
            (BINFMT / ENTRY).write_text("-1")
        (BINFMT / "register").write_text(f":{ENTRY}:M::{MAGIC}:{MASK}:{qemu.resolve()}:PF")
    except (OSError, CommandFailed) as error:
        if is_served():
            return
        raise PrerequisiteMissing(
            f"QEMU can't be registered for riscv64 programs: {error}",
            hint=f"work on the machine itself, or in a container started with --privileged; else {FOR_ALL}",
        ) from error


def is_served() -> bool:
    """Whether riscv64 programs run already: each entry for them is ours, or names a QEMU that is new enough."""
    own = [] if registered_interpreter() is None else [ENTRY]
    others = rivals()
    return bool(own + others) and all(_is_new_enough(BINFMT / name) for name in others)


def rivals() -> list[str]:
    """The names of other enabled entries that start riscv64 programs."""
    entries = [path for path in BINFMT.glob("*") if path.name not in (ENTRY, "register", "status")]
    return sorted(path.name for path in entries if _starts_riscv64(path.read_text().splitlines()))


def _starts_riscv64(lines: list[str]) -> bool:
    magic = next((line.split()[1] for line in lines if line.startswith("magic ")), "")
    return "enabled" in lines and magic.startswith("7f454c4602") and magic[36:40] == "f300"


def _is_new_enough(entry: Path) -> bool:
    fields = dict(line.split(" ", 1) for line in entry.read_text().splitlines() if " " in line)
    if "F" not in fields.get("flags:", ""):
        return False
    try:
        version = re.search(r"version (\d+)", run([fields["interpreter"], "--version"]))
    except (CommandFailed, PrerequisiteMissing):
        return False
    return version is not None and int(version[1]) >= OLDEST_QEMU


def _is_same(registered: Path | None, qemu: Path) -> bool:
    """Equal programs in two caches are as good as one: nothing is registered anew."""
    return registered is not None and os.access(registered, os.R_OK) and filecmp.cmp(registered, qemu, shallow=False)


def _mount() -> None:
    """Mount the table where there is none, or none that is ours to write: then it's a table for our namespace."""
    if not os.access(BINFMT / "register", os.W_OK):
        run(MOUNT, what="mounting binfmt_misc")
