"""Who opens roots: root, since they are mounted and their files belong to users of their own.

An ordinary user's command starts itself again in a user namespace, where it is root over that user's subordinate ids;
where the machine allows no such namespace, through sudo.
"""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from pwd import getpwuid

from factory.errors import CommandFailed, PrerequisiteMissing
from factory.host import binfmt
from factory.util.paths import CACHE_VARIABLE, default_layout
from factory.util.process import run

WAY_VARIABLE = "FACTORY_PRIVILEGE"
NAMESPACE, SUDO = WAYS = ("namespace", "sudo")
# It changes what the process may do and starts no other one: what ends the command still ends all that it started.
ENTER_NAMESPACE = ("unshare", "--user", "--map-root-user", "--map-auto", "--mount")
# What making and opening roots needs, tried on a temporary file system: files of other users, overlayfs, a /proc.
TRIAL = """
set -e
mount -t tmpfs tmpfs /tmp
cd /tmp
mkdir lower upper work merged
chown 65534:65534 lower
mount -t overlay overlay -o lowerdir=lower,upperdir=upper,workdir=work,userxattr merged
unshare --mount --pid --fork --kill-child --mount-proc true
"""
# Kernel settings that can forbid user namespaces: the value that does, and one that doesn't.
SETTINGS = (
    ("kernel.apparmor_restrict_unprivileged_userns", "1", "0"),
    ("kernel.unprivileged_userns_clone", "0", "1"),
    ("user.max_user_namespaces", "0", "10000"),
)
SUBORDINATE_IDS = 65536
SUBORDINATE_FILES = (Path("/etc/subuid"), Path("/etc/subgid"))

# sudo drops the environment; these say where packages come from and must survive.
KEPT = (
    *("http_proxy", "https_proxy", "all_proxy", "no_proxy", "HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "NO_PROXY"),
    *("SSL_CERT_FILE", "SSL_CERT_DIR", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE", "CI", "GITHUB_ACTIONS", "TERM"),
)
KEPT_PREFIXES = ("FACTORY_", "PIP_", "UV_", "DOCKER_")


@dataclass(frozen=True, slots=True, kw_only=True)
class Obstacle:
    """Why a user has no user namespace, and the command by which an administrator changes that."""

    seen: str
    mend: str


def become_root() -> None:
    """Return if we are root; else start this same command again as root, with the same cache.

    Raises:
        PrerequisiteMissing: there is no way to, or the cache is another root's.
    """
    command = [sys.executable, "-m", "factory.cli", *sys.argv[1:]]
    if os.geteuid() == 0:
        _require_own_cache()
    elif chosen_way() == NAMESPACE:
        # What it writes is this user's already, and not to be given back to one who came here by sudo.
        own = {name: value for name, value in os.environ.items() if not name.startswith("SUDO_")}
        os.execvpe(ENTER_NAMESPACE[0], [*ENTER_NAMESPACE, *command], own)
    else:
        kept = {name: value for name, value in os.environ.items() if name in KEPT or name.startswith(KEPT_PREFIXES)}
        kept[CACHE_VARIABLE] = str(default_layout().root)
        os.execvp("sudo", ["sudo", *(f"{name}={value}" for name, value in kept.items()), *command])


def chosen_way() -> str:
    """How an ordinary user's commands become root: NAMESPACE where it works, else SUDO.

    The variable FACTORY_PRIVILEGE decides otherwise. A cache that was made through sudo stays in use through sudo.

    Raises:
        PrerequisiteMissing: there is neither.
    """
    wanted = os.environ.get(WAY_VARIABLE, "")
    if wanted and wanted not in WAYS:
        raise PrerequisiteMissing(f"{WAY_VARIABLE} is {wanted!r}", hint=f"it must be one of: {', '.join(WAYS)}")
    has_sudo = shutil.which("sudo") is not None
    if wanted == SUDO and not has_sudo:
        raise PrerequisiteMissing(f"{WAY_VARIABLE} is {SUDO}, which is not installed", hint="apt-get install sudo")
    if wanted == SUDO:
        return SUDO
    obstacle = _cache_of_root() or namespace_obstacle()
    if obstacle is None:
        return NAMESPACE
    if has_sudo and not wanted:
        return SUDO
    raise PrerequisiteMissing(
        f"riscv64 roots are made and opened in a user namespace, or by root: {obstacle.seen}", hint=obstacle.mend
    )


def namespace_obstacle() -> Obstacle | None:
    """Try in a user namespace what the factory does there; None where all of it works."""
    try:
        run([*ENTER_NAMESPACE, "sh", "-c", TRIAL])
    except PrerequisiteMissing as error:
        return Obstacle(seen=error.message, mend="apt-get install util-linux mount")
    except CommandFailed as error:
        return _explain(error.output)
    if binfmt.is_native() or binfmt.is_served():
        return None
    try:
        run([*ENTER_NAMESPACE, *binfmt.MOUNT])
    except CommandFailed:
        return Obstacle(
            seen="the kernel is older than Linux 6.7, so users can't register a QEMU of their own, and no other one is "
            "registered for all",
            mend=binfmt.FOR_ALL,
        )
    return None


@contextmanager
def given_back(*folders: Path) -> Iterator[None]:
    """Run the body, and give back what it wrote into these folders, however it ends."""
    try:
        yield
    finally:
        give_back(*(folder for folder in folders if folder.exists()))


def give_back(*folders: Path) -> None:
    """Make what a command wrote for the user, as root through sudo, the user's own; new parent folders too."""
    if os.geteuid() != 0 or "SUDO_UID" not in os.environ:
        return
    user, group = int(os.environ["SUDO_UID"]), int(os.environ["SUDO_GID"])
    for folder in folders:
        for path in reversed(folder.absolute().parents):
            if path.stat().st_uid == 0 and path.parent.stat().st_uid == user:
                os.chown(path, user, group)
        for path in (folder, *folder.rglob("*")):
            os.chown(path, user, group, follow_symlinks=False)


def _explain(output: str) -> Obstacle:
    """The reason that can be mended, of a trial that printed `output`."""
    if shutil.which("newuidmap") is None:
        return Obstacle(seen="the program 'newuidmap' is not installed", mend="apt-get install uidmap")
    user = _user_name()
    if not all(_has_subordinate_ids(file, user) for file in SUBORDINATE_FILES):
        return Obstacle(
            seen=f"the user {user} has no subordinate ids in {' and '.join(map(str, SUBORDINATE_FILES))}",
            mend=_add_subordinate_ids(user),
        )
    for name, forbidding, allowing in SETTINGS:
        setting = Path("/proc/sys", *name.split("."))
        if setting.is_file() and setting.read_text().strip() == forbidding:
            keep = f"echo {name}={allowing} | sudo tee /etc/sysctl.d/60-user-namespaces.conf && sudo sysctl --system"
            return Obstacle(seen=f"the kernel setting {name}={forbidding} forbids user namespaces", mend=keep)
    last = output.strip().splitlines()[-1:] or ["no reason was given"]
    return Obstacle(
        seen=f"a user namespace does not work here: {last[0]}",
        mend="work as root, or install sudo; start a container with --privileged",
    )


def _user_name() -> str:
    try:
        return getpwuid(os.geteuid()).pw_name
    except KeyError:
        return str(os.geteuid())


def _has_subordinate_ids(file: Path, user: str) -> bool:
    return any(owner == user and count >= SUBORDINATE_IDS for owner, _, count in _ranges(file))


def _add_subordinate_ids(user: str) -> str:
    """The command that gives the user ids which nobody has."""
    ends = [first + count for file in SUBORDINATE_FILES for _, first, count in _ranges(file)]
    first = max([100_000, *ends])
    span = f"{first}-{first + SUBORDINATE_IDS - 1}"
    return f"sudo usermod --add-subuids {span} --add-subgids {span} {user}"


def _ranges(file: Path) -> list[tuple[str, int, int]]:
    """Owner, first id and number of ids of each line."""
    lines = file.read_text().splitlines() if file.is_file() else []
    parts = (line.split(":") for line in lines if line.count(":") == 2)
    return [(owner, int(first), int(count)) for owner, first, count in parts]


def _cache_of_root() -> Obstacle | None:
    cache = default_layout().root
    if not cache.exists() or cache.stat().st_uid != 0:
        return None
    return Obstacle(
        seen=f"the cache {cache} belongs to root: it was made through sudo",
        mend=f"export {CACHE_VARIABLE}=/another/folder, or have it removed: sudo rm -r {cache}",
    )


def _require_own_cache() -> None:
    """Layers that were made in a user namespace have owners that mean nothing outside it."""
    layers = default_layout().layers
    if layers.is_dir() and layers.stat().st_uid != 0:
        raise PrerequisiteMissing(
            f"the roots in {layers} were made without root, by the user with the id {layers.stat().st_uid}",
            hint=f"run it as that user, with {WAY_VARIABLE}={NAMESPACE}; or export {CACHE_VARIABLE}=/another/folder",
        )
