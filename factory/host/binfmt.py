"""binfmt_misc: the kernel's table of interpreters, for riscv64 programs by QEMU.

Our entry has its own name, and the newest entry wins, so the host's entries stay as they are. If the host has a newer
riscv64 entry, ours is registered again. Flag F loads QEMU at registration, so roots need no copy of
it; flag P keeps argv[0].

Since Linux 6.7 a user namespace can have its own table, which hides the machine's. On older kernels an unprivileged
user needs an entry of the machine with a recent QEMU.
"""

from __future__ import annotations

import fcntl
import filecmp
import os
import platform
import re
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

from factory.errors import CommandFailed, PrerequisiteMissing
from factory.util.process import run

BINFMT = Path("/proc/sys/fs/binfmt_misc")
ENTRY = "riscv64-wheel-factory"
# While ENTRY is replaced.
INTERIM = f"{ENTRY}-interim"
# Only root can write there.
LOCKS = Path("/run")
REGISTRATION, USE = f"{ENTRY}.registration.lock", f"{ENTRY}.use.lock"
# The descriptor of USE, open until this process ends.
_USE: list[int] = []
MOUNT = ("mount", "-t", "binfmt_misc", "binfmt_misc", str(BINFMT))
OWN_NAMESPACE = ("unshare", "--user", "--map-root-user", "--mount", "--propagation", "private")
MOUNT_AND_REGISTER = """
mount -t binfmt_misc binfmt_misc "$1" && printf %s "$2" > "$1/register" && shift 2 && exec "$@"
"""
# The first major version with the CPUs of all profiles.
OLDEST_QEMU = 10
FOR_ALL = (
    "an administrator can run `sudo factory setup` after each boot, or install the Debian package qemu-user-binfmt, "
    f"version {OLDEST_QEMU} or newer"
)
# The ELF header of a little-endian 64-bit RISC-V executable or shared object (e_machine 243). The mask ignores the ABI
# version of e_ident and allows both types.
MAGIC = r"\x7fELF\x02\x01\x01\x00\x00\x00\x00\x00\x00\x00\x00\x00\x02\x00\xf3\x00"
MASK = r"\xff\xff\xff\xff\xff\xff\xff\x00\xff\xff\xff\xff\xff\xff\xff\xff\xfe\xff\xff\xff"


def is_native() -> bool:
    """Report if this is a riscv64 machine."""
    return platform.machine() == "riscv64"


def registered_interpreter() -> Path | None:
    """Return the QEMU of our entry, or None if it is not registered or is disabled."""
    try:
        lines = (BINFMT / ENTRY).read_text().splitlines()
    except OSError:
        return None
    if "enabled" not in lines:
        return None
    return next((Path(line.split(" ", 1)[1]) for line in lines if line.startswith("interpreter ")), None)


def ensure_registered(qemu: Path) -> None:
    """Register QEMU for riscv64 programs; only our own entry is replaced.

    While another process of the factory builds, an entry of ours that serves it is not replaced by another QEMU.

    Raises:
        PrerequisiteMissing: binfmt_misc is missing or not writable, and no other entry serves riscv64 programs.
    """
    if is_native():
        return
    try:
        with _locked(REGISTRATION):
            alone = _is_only_user()
            newest = _is_newest()
            if newest and (not alone or _is_same(registered_interpreter(), qemu)):
                return
            _mount()
            _register(qemu)
    except (OSError, CommandFailed) as error:
        if is_served():
            return
        raise PrerequisiteMissing(
            f"binfmt_misc: registering QEMU for riscv64 programs failed: {error}",
            hint=f"work on the machine itself, or in a container started with --privileged; or {FOR_ALL}",
        ) from error


def own_table(qemu: Path, point: Path) -> list[str]:
    """Return the words before a command that runs riscv64 programs by another QEMU.

    The command gets a user namespace with a table of interpreters, mounted at the folder `point`. The machine's table,
    and other commands, keep their QEMU. Only root is mapped into the namespace.
    """
    entry = f":{ENTRY}:{_interpreter(qemu)}"
    return [*OWN_NAMESPACE, "sh", "-c", MOUNT_AND_REGISTER, "interpreters", str(point), entry]


def require_own_tables() -> None:
    """Require user namespaces with tables of interpreters.

    Raises:
        PrerequisiteMissing: this machine has none.
    """
    try:
        run([*OWN_NAMESPACE, *MOUNT])
    except CommandFailed as error:
        raise PrerequisiteMissing(
            f"binfmt_misc: no user namespace can have its own table here: {error.output.strip()}",
            hint="use Linux 6.7 or newer, and in a container --privileged",
        ) from error


def _interpreter(qemu: Path) -> str:
    return f"M::{MAGIC}:{MASK}:{qemu.resolve()}:PF"


def _register(qemu: Path) -> None:
    """Register our entry, or replace it without a moment in which there is none."""
    interpreter = _interpreter(qemu)
    replaced = (BINFMT / ENTRY).exists()
    if replaced:
        _remove(INTERIM)
        (BINFMT / "register").write_text(f":{INTERIM}:{interpreter}")
        _remove(ENTRY)
    (BINFMT / "register").write_text(f":{ENTRY}:{interpreter}")
    _remove(INTERIM)


def _remove(entry: str) -> None:
    if (BINFMT / entry).exists():
        (BINFMT / entry).write_text("-1")


def _is_newest() -> bool:
    """Report if our entry is the newest for riscv64 programs, which the kernel takes."""
    if registered_interpreter() is None:
        return False
    others = [(BINFMT / name).stat().st_mtime_ns for name in rivals()]
    return (BINFMT / ENTRY).stat().st_mtime_ns > max(others, default=0)


@contextmanager
def _locked(name: str) -> Iterator[None]:
    """Hold the machine's lock of binfmt_misc, if this process may make it.

    That is so in a user namespace, which has a table of its own.
    """
    with ExitStack() as opened:
        with suppress(OSError):
            descriptor = _open_lock(name)
            opened.callback(os.close, descriptor)
            fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield


def _is_only_user() -> bool:
    """Mark this process as a user of the entry; report if it is the only one."""
    try:
        if not _USE:
            _USE.append(_open_lock(USE))
        fcntl.flock(_USE[0], fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        fcntl.flock(_USE[0], fcntl.LOCK_SH)  # not for long: others hold it alone only under the lock of registration
        return False
    except OSError:
        return True
    fcntl.flock(_USE[0], fcntl.LOCK_SH)
    return True


def _open_lock(name: str) -> int:
    return os.open(LOCKS / name, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)


def is_served() -> bool:
    """Report if riscv64 programs run: by our entry, or others with a recent QEMU."""
    own = [] if registered_interpreter() is None else [ENTRY]
    others = rivals()
    return bool(own + others) and all(_is_new_enough(BINFMT / name) for name in others)


def rivals() -> list[str]:
    """Return the names of other enabled entries for riscv64 programs."""
    entries = [path for path in BINFMT.glob("*") if path.name not in (ENTRY, INTERIM, "register", "status")]
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
    """Compare contents: an equal program in another cache needs no new registration."""
    return registered is not None and os.access(registered, os.R_OK) and filecmp.cmp(registered, qemu, shallow=False)


def _mount() -> None:
    """Mount the table unless it is writable; a user namespace gets its own table."""
    if not os.access(BINFMT / "register", os.W_OK):
        run(MOUNT, what="mounting binfmt_misc")
