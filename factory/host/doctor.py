"""Prerequisites of this machine, each with the command that fixes it."""

from __future__ import annotations

import os
import platform
import shutil
import tempfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from factory.errors import CommandFailed, PrerequisiteMissing
from factory.host import binfmt
from factory.host.docker_engine import address, connect
from factory.host.network import ca_bundle
from factory.host.privileges import ENTER_NAMESPACE, NAMESPACE, PRIVILEGE_VARIABLE, SUDO, privilege_method
from factory.util.paths import Layout
from factory.util.process import run

# Program -> its Debian and Ubuntu package.
PROGRAMS = {
    "mmdebstrap": "mmdebstrap",
    "bwrap": "bubblewrap",
    "unshare": "util-linux",
    "setpriv": "util-linux",
    "patch": "patch",
    "mount": "mount",
    "mke2fs": "e2fsprogs",
}
# Maps an unprivileged user's subordinate ids into a user namespace.
UNPRIVILEGED_PROGRAMS = {"newuidmap": "uidmap"}
KEYRING = Path("/usr/share/keyrings/debian-archive-keyring.gpg")
KEYRING_PACKAGE = "debian-archive-keyring"
# Not in an unprivileged user's PATH on Debian.
SYSTEM_PATH = "/usr/sbin:/sbin"
NEEDED_DISK_GB = 10
NEEDED_MEMORY_GB = 4
SUPPORTED = ("x86_64", "riscv64")


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """The state of one prerequisite, and the command that fixes it."""

    name: str
    ok: bool
    seen: str
    mend: str = ""


def examine(layout: Layout, environment: str = "rootfs") -> list[Finding]:
    """Inspect the common prerequisites, and those of a kind of environment."""
    inspections: tuple[Callable[[], Finding], ...] = (
        _processor,
        _privileges,
        _programs,
        _keyring,
        _overlayfs,
        _sandbox,
        _binfmt,
        lambda: _cache(layout),
        lambda: _disk(layout),
        _memory,
        _certificates,
        *ENVIRONMENT_PREREQUISITES.get(environment, ()),
    )
    return [inspect() for inspect in inspections]


def missing_packages() -> list[str]:
    """Return the Debian packages to install."""
    missing = {package for program, package in _needed_programs().items() if _which(program) is None}
    return sorted(missing | (set() if KEYRING.is_file() else {KEYRING_PACKAGE}))


def require_ready(layout: Layout, environment: str = "rootfs") -> None:
    """Require every prerequisite.

    Raises:
        PrerequisiteMissing: one is missing; the hint is the command that fixes it.
    """
    for finding in examine(layout, environment):
        if not finding.ok:
            raise PrerequisiteMissing(f"{finding.name}: {finding.seen}", hint=f"run: {finding.mend}")


def _processor() -> Finding:
    machine = platform.machine()
    return Finding(
        name="processor",
        ok=machine in SUPPORTED,
        seen=f"{machine}, {os.cpu_count()} CPUs",
        mend="use an x86-64 or riscv64 machine: there are native tools for these only",
    )


def _privileges() -> Finding:
    if os.geteuid() == 0:
        return Finding(name="privileges", ok=True, seen="root")
    try:
        way = privilege_method()
    except PrerequisiteMissing as error:
        return Finding(name="privileges", ok=False, seen=error.message, mend=error.hint or "")
    ways = {NAMESPACE: "not needed: each command has a user namespace", SUDO: "sudo, when it is needed"}
    return Finding(name="privileges", ok=True, seen=ways[way])


def _in_namespace() -> bool:
    """Report if commands of this user enter a user namespace."""
    try:
        return os.geteuid() != 0 and privilege_method() == NAMESPACE
    except PrerequisiteMissing:
        return False


def _needed_programs() -> dict[str, str]:
    through_sudo = os.environ.get(PRIVILEGE_VARIABLE) == SUDO
    return PROGRAMS if os.geteuid() == 0 or through_sudo else PROGRAMS | UNPRIVILEGED_PROGRAMS


def _programs() -> Finding:
    needed = _needed_programs()
    missing = sorted(program for program in needed if _which(program) is None)
    seen = f"missing: {', '.join(missing)}" if missing else ", ".join(needed)
    return Finding(name="programs", ok=not missing, seen=seen, mend="factory setup")


def _which(program: str) -> str | None:
    return shutil.which(program, path=f"{os.environ.get('PATH', os.defpath)}:{SYSTEM_PATH}")


def _keyring() -> Finding:
    there = KEYRING.is_file()
    return Finding(
        name="Debian's keys",
        ok=there,
        seen=str(KEYRING) if there else "missing: packages of roots cannot be verified",
        mend="factory setup",
    )


def _overlayfs() -> Finding:
    known = "overlay" in Path("/proc/filesystems").read_text().split() or Path("/sys/module/overlay").is_dir()
    return Finding(
        name="overlayfs",
        ok=known,
        seen="in the kernel" if known else "not in the kernel: layers cannot be stacked",
        mend="sudo modprobe overlay",
    )


def _sandbox() -> Finding:
    """Try bubblewrap, which containers and hardened kernels can forbid."""
    enter = ENTER_NAMESPACE if _in_namespace() else ()
    if _which("bwrap") is None or (os.geteuid() != 0 and not enter):
        return Finding(name="sandbox", ok=True, seen="not tried: needs bubblewrap and root")
    bwrap = ["bwrap", "--bind", "/", "/", "--dev", "/dev", "--proc", "/proc", "--unshare-pid", "--unshare-net", "true"]
    try:
        run([*enter, *bwrap])
    except CommandFailed as error:
        mend = "start the container with --privileged (or --cap-add SYS_ADMIN and no seccomp profile)"
        return Finding(name="sandbox", ok=False, seen=f"bubblewrap fails: {error.output}", mend=mend)
    return Finding(name="sandbox", ok=True, seen="bubblewrap works, without network")


def _binfmt() -> Finding:
    if binfmt.is_native():
        return Finding(name="riscv64 programs", ok=True, seen="run by the machine itself")
    qemu = binfmt.registered_interpreter()
    if qemu is not None:
        return Finding(name="riscv64 programs", ok=True, seen=f"run by {qemu}")
    if _in_namespace():
        return Finding(name="riscv64 programs", ok=True, seen="run by a QEMU that each command registers for itself")
    return Finding(
        name="riscv64 programs",
        ok=False,
        seen="QEMU is not registered with the kernel (binfmt_misc)",
        mend="factory setup",
    )


def _cache(layout: Layout) -> Finding:
    """Try to write where the cache is, or will be made."""
    folder = _nearest_existing(layout.root)
    try:
        with tempfile.TemporaryFile(dir=folder):
            seen, ok = f"{layout.root} can be written", True
    except OSError as error:
        through_sudo = os.geteuid() != 0 and folder.lstat().st_uid == 0 and shutil.which("sudo") is not None
        ok = through_sudo and folder == layout.root and isinstance(error, PermissionError)
        seen = f"{layout.root} belongs to root: used with sudo" if ok else f"{folder}: {error.strerror}"
    return Finding(name="cache", ok=ok, seen=seen, mend="export FACTORY_CACHE=/folder/that/can/be/written")


def _nearest_existing(path: Path) -> Path:
    return next(each for each in (path, *path.parents) if os.path.lexists(each))


def _disk(layout: Layout) -> Finding:
    folder = next(path for path in (layout.root, *layout.root.parents) if path.exists())
    free = shutil.disk_usage(folder).free / 1e9
    return Finding(
        name="disk",
        ok=free >= NEEDED_DISK_GB,
        seen=f"{free:.0f} GB free for {layout.root}; needs {NEEDED_DISK_GB} GB",
        mend="export FACTORY_CACHE=/folder/with/more/space",
    )


def _memory() -> Finding:
    total = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 1e9
    return Finding(
        name="memory",
        ok=total >= NEEDED_MEMORY_GB,
        seen=f"{total:.0f} GB; needs {NEEDED_MEMORY_GB} GB",
        mend="close other programs, or add swap",
    )


def _certificates() -> Finding:
    bundle = ca_bundle()
    seen = f"{bundle}, also used in roots" if bundle else "the host has no CA bundle"
    return Finding(name="certificates", ok=bundle is not None, seen=seen, mend="sudo apt-get install ca-certificates")


def _engine() -> Finding:
    try:
        with connect() as client:
            version = client.version()["Version"]
    except PrerequisiteMissing as error:
        return Finding(name="Docker", ok=False, seen=error.message, mend=error.hint or "")
    return Finding(name="Docker", ok=True, seen=f"engine {version} at {address()}")


# Prerequisites of one kind of environment only.
ENVIRONMENT_PREREQUISITES: Mapping[str, tuple[Callable[[], Finding], ...]] = {"docker": (_engine,)}
