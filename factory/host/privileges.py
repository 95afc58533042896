"""Privileges: only root can open roots, since they are mounted.

An unprivileged user's command restarts itself in a user namespace, in which it is root over the user's subordinate ids.
If the machine allows no such namespace, it restarts through sudo.
"""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from pwd import getpwuid

from factory.errors import CommandFailed, PrerequisiteMissing
from factory.host import binfmt, cargo
from factory.host.user_settings import handed_on, netrc_files
from factory.util.paths import CACHE_VARIABLE, default_layout
from factory.util.process import run

PRIVILEGE_VARIABLE = "FACTORY_PRIVILEGE"
NAMESPACE, SUDO = METHODS = ("namespace", "sudo")
# Without a child process, so that signals to the command still reach it.
ENTER_NAMESPACE = ("unshare", "--user", "--map-root-user", "--map-auto", "--mount")
# Tries the operations that roots need on a temporary file system: files of other users, overlayfs, /proc.
TRIAL = """
set -e
mount -t tmpfs tmpfs /tmp
cd /tmp
mkdir lower upper work merged
chown 65534:65534 lower
mount -t overlay overlay -o lowerdir=lower,upperdir=upper,workdir=work,userxattr merged
unshare --mount --pid --fork --kill-child --mount-proc true
"""
# Kernel settings that can forbid user namespaces: the forbidding value and an allowing one.
SETTINGS = (
    ("kernel.apparmor_restrict_unprivileged_userns", "1", "0"),
    ("kernel.unprivileged_userns_clone", "0", "1"),
    ("user.max_user_namespaces", "0", "10000"),
)
SUBORDINATE_IDS = 65536
SUBORDINATE_FILES = (Path("/etc/subuid"), Path("/etc/subgid"))

# sudo drops the environment. These configure network, packages and a fleet, and are passed on by name: command lines
# can be read by every user.
PASSED = (
    *("http_proxy", "https_proxy", "all_proxy", "no_proxy", "HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "NO_PROXY"),
    *("SSL_CERT_FILE", "SSL_CERT_DIR", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE", "CI", "GITHUB_ACTIONS", "TERM"),
    # A workflow's files for outputs and for the summary of a run, and its repository.
    *("GITHUB_OUTPUT", "GITHUB_STEP_SUMMARY", "GITHUB_REPOSITORY", "GITHUB_API_URL"),
)
PASSED_PREFIXES = ("FACTORY_", "PIP_", "UV_", "DOCKER_", *cargo.PREFIXES, *("DASK_", "FSSPEC_", "AWS_"))
# Without the current folder in the module path: root must not import another user's files from there.
PYTHON_OPTIONS = ("-P",)


@dataclass(frozen=True, slots=True, kw_only=True)
class Obstacle:
    """The reason why a user has no user namespace, and the command that fixes it."""

    reason: str
    fix: str


def become_root() -> None:
    """Restart this command as root with the same cache, unless we are root.

    Raises:
        PrerequisiteMissing: we cannot become root, or the layers belong to another user.
    """
    command = [sys.executable, *PYTHON_OPTIONS, "-m", "factory.cli", *sys.argv[1:]]
    if os.geteuid() == 0:
        _require_own_cache()
    elif privilege_method() == NAMESPACE:
        # Without sudo's variables: files already belong to this user, not to one who called sudo before.
        own = {name: value for name, value in os.environ.items() if not name.startswith("SUDO_")}
        os.execvpe(ENTER_NAMESPACE[0], [*ENTER_NAMESPACE, *command], own)
    else:
        _require_password_prompt()
        kept = passed_variables(os.environ)
        os.execvpe("sudo", ["sudo", f"--preserve-env={','.join(sorted(kept))}", *command], {**os.environ, **kept})


def _require_password_prompt() -> None:
    """Require that sudo can ask for a password, or needs none.

    Raises:
        PrerequisiteMissing: it cannot; its own message tells nothing of the factory.
    """
    try:
        os.close(os.open("/dev/tty", os.O_RDWR))
    except OSError:
        try:
            run(["sudo", "--non-interactive", "true"])
        except CommandFailed as error:
            obstacle = _cache_of_root()
            raise PrerequisiteMissing(
                f"{obstacle.reason if obstacle else 'riscv64 roots: need root'}: "
                "sudo needs a password, and there is no terminal to ask for it",
                hint=f"run it in a terminal, or as root; or export {CACHE_VARIABLE}=/folder/of/this/user",
            ) from error


def owns_cache() -> bool:
    """Report whether this user can read and write the cache.

    It is this user's, or does not exist.

    Root's command is always restarted as one: `become_root` inspects the cache. A folder that this user may not look
    into is another's.
    """
    cache = default_layout().root
    try:
        return os.geteuid() != 0 and (not cache.exists() or cache.stat().st_uid == os.geteuid())
    except PermissionError:
        return False


def reads_cache() -> bool:
    """Report whether this user can read the cache and its store, or there is none."""
    layout = default_layout()
    try:
        return all(os.access(each, os.R_OK | os.X_OK) for each in (layout.root, layout.store) if each.exists())
    except PermissionError:
        return False


def passed_variables(environment: Mapping[str, str]) -> dict[str, str]:
    """Return the variables that the command gets through sudo."""
    kept = {name: value for name, value in environment.items() if name in PASSED or name.startswith(PASSED_PREFIXES)}
    netrc = next(netrc_files(environment), None)
    return {
        **kept,
        **handed_on(environment),
        CACHE_VARIABLE: str(default_layout().root),
        # requests looks in root's home otherwise.
        **({"NETRC": str(netrc)} if netrc else {}),
    }


def privilege_method() -> str:
    """Return the method by which an unprivileged user's commands become root.

    FACTORY_PRIVILEGE selects it; the default is NAMESPACE if it works, else SUDO. A cache made through sudo needs sudo.

    Raises:
        PrerequisiteMissing: neither method works.
    """
    wanted = os.environ.get(PRIVILEGE_VARIABLE, "")
    if wanted and wanted not in METHODS:
        raise PrerequisiteMissing(
            f"{PRIVILEGE_VARIABLE}: unknown method {wanted!r}", hint=f"use one of: {', '.join(METHODS)}"
        )
    has_sudo = shutil.which("sudo") is not None
    if wanted == SUDO and not has_sudo:
        raise PrerequisiteMissing(f"{PRIVILEGE_VARIABLE}: {SUDO} is not installed", hint="apt-get install sudo")
    if wanted == SUDO:
        return SUDO
    obstacle = _cache_of_root() or namespace_obstacle()
    if obstacle is None:
        return NAMESPACE
    if has_sudo and not wanted:
        return SUDO
    raise PrerequisiteMissing(f"riscv64 roots: need root or a user namespace: {obstacle.reason}", hint=obstacle.fix)


def namespace_obstacle() -> Obstacle | None:
    """Try the factory's operations in a user namespace; return None if all work."""
    try:
        run([*ENTER_NAMESPACE, "sh", "-c", TRIAL])
    except PrerequisiteMissing as error:
        return Obstacle(reason=error.message, fix="apt-get install util-linux mount")
    except CommandFailed as error:
        return _explain(error.output)
    if binfmt.is_native() or binfmt.is_served():
        return None
    try:
        run([*ENTER_NAMESPACE, *binfmt.MOUNT])
    except CommandFailed:
        return Obstacle(
            reason="users cannot register QEMU before Linux 6.7, and the machine has no entry for riscv64 programs",
            fix=binfmt.FOR_ALL,
        )
    return None


def _explain(output: str) -> Obstacle:
    """Return the reason for which the trial failed; `output` is what it printed."""
    if shutil.which("newuidmap") is None:
        return Obstacle(reason="the program 'newuidmap' is not installed", fix="apt-get install uidmap")
    user = _user_name()
    if not all(_has_subordinate_ids(file, user) for file in SUBORDINATE_FILES):
        return Obstacle(
            reason=f"user {user} has no subordinate ids in {' and '.join(map(str, SUBORDINATE_FILES))}",
            fix=_add_subordinate_ids(user),
        )
    for name, forbidding, allowing in SETTINGS:
        setting = Path("/proc/sys", *name.split("."))
        if setting.is_file() and setting.read_text().strip() == forbidding:
            keep = f"echo {name}={allowing} | sudo tee /etc/sysctl.d/60-user-namespaces.conf && sudo sysctl --system"
            return Obstacle(reason=f"the kernel setting {name}={forbidding} forbids user namespaces", fix=keep)
    last = output.strip().splitlines()[-1:] or ["no output"]
    return Obstacle(
        reason=f"making a user namespace failed: {last[0]}",
        fix="work as root, or install sudo; start containers with --privileged",
    )


def _user_name() -> str:
    try:
        return getpwuid(os.geteuid()).pw_name
    except KeyError:
        return str(os.geteuid())


def _has_subordinate_ids(file: Path, user: str) -> bool:
    return any(owner == user and count >= SUBORDINATE_IDS for owner, _, count in _ranges(file))


def _add_subordinate_ids(user: str) -> str:
    """Return the command that assigns unused ids to the user."""
    ends = [first + count for file in SUBORDINATE_FILES for _, first, count in _ranges(file)]
    first = max([100_000, *ends])
    span = f"{first}-{first + SUBORDINATE_IDS - 1}"
    return f"sudo usermod --add-subuids {span} --add-subgids {span} {user}"


def _ranges(file: Path) -> list[tuple[str, int, int]]:
    """Return owner, first id and number of ids of each line."""
    lines = file.read_text().splitlines() if file.is_file() else []
    parts = (line.split(":") for line in lines if line.count(":") == 2)
    return [(owner, int(first), int(count)) for owner, first, count in parts]


def _cache_of_root() -> Obstacle | None:
    cache = default_layout().root
    if not cache.exists() or cache.stat().st_uid != 0:
        return None
    return Obstacle(
        reason=f"the cache {cache} belongs to root",
        fix=f"export {CACHE_VARIABLE}=/another/folder, or remove it: sudo rm -r {cache}",
    )


def _require_own_cache() -> None:
    """Reject layers from a user namespace: their owners have no meaning outside it."""
    layers = default_layout().layers
    if layers.is_dir() and layers.stat().st_uid != 0:
        raise PrerequisiteMissing(
            f"{layers}: made in a user namespace by the user with id {layers.stat().st_uid}",
            hint=f"run it as that user with {PRIVILEGE_VARIABLE}={NAMESPACE}, or export {CACHE_VARIABLE}=/other/folder",
        )
