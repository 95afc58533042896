"""Making and opening roots needs root: mounting, and a root's files belong to its own users."""

from __future__ import annotations

import os
import shutil
import sys
from pathlib import Path

from factory.errors import PrerequisiteMissing
from factory.layout import CACHE_VARIABLE, default_layout

# sudo drops the environment; these say where packages come from and must survive.
KEPT = (
    *("http_proxy", "https_proxy", "all_proxy", "no_proxy", "HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "NO_PROXY"),
    *("SSL_CERT_FILE", "SSL_CERT_DIR", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE", "CI", "GITHUB_ACTIONS", "TERM"),
)
KEPT_PREFIXES = ("FACTORY_", "PIP_", "UV_")


def become_root() -> None:
    """Return if we are root; else start this same command again through sudo, with the same cache.

    Raises:
        PrerequisiteMissing: we are not root and there is no sudo.
    """
    if os.geteuid() == 0:
        return
    if shutil.which("sudo") is None:
        raise PrerequisiteMissing(
            "this command mounts and owns riscv64 roots, so it needs root", hint="run it as root, or install sudo"
        )
    kept = {name: value for name, value in os.environ.items() if name in KEPT or name.startswith(KEPT_PREFIXES)}
    kept[CACHE_VARIABLE] = str(default_layout().root)
    settings = [f"{name}={value}" for name, value in kept.items()]
    os.execvp("sudo", ["sudo", *settings, sys.executable, "-m", "factory.cli", *sys.argv[1:]])


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
