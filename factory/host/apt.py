"""apt configuration of this machine: Debian mirror and fetch options."""

from __future__ import annotations

import os
import tempfile

from factory.errors import CommandFailed, PrerequisiteMissing
from factory.util.process import run

MIRROR_VARIABLE = "FACTORY_DEBIAN_MIRROR"


def host_mirror() -> str | None:
    """Return the mirror in $FACTORY_DEBIAN_MIRROR, else that of the host's apt.

    None stands for mmdebstrap's default.
    """
    if configured := os.environ.get(MIRROR_VARIABLE):
        return configured
    try:
        listed = run(["apt-get", "indextargets", "--format", "$(ORIGIN)|$(LABEL)|$(REPO_URI)"])
    except (CommandFailed, PrerequisiteMissing):
        return None
    return next((line.split("|")[2] for line in listed.splitlines() if line.startswith("Debian|Debian|")), None)


def fetch_options() -> tuple[str, ...]:
    """Return the host's apt options for proxies, certificates and validity of lists."""
    try:
        listed = run(["apt-config", "dump", "--format", '%F "%v"%n', "Acquire"])
    except (CommandFailed, PrerequisiteMissing):
        return ()
    wanted = ("Acquire::http", "Acquire::https", "Acquire::Check-", "Acquire::AllowInsecureRepositories")
    return tuple(line for line in listed.splitlines() if line.startswith(wanted) and not line.endswith('""'))


def mirror_url() -> str:
    """Return the mirror's URL without trailing slash; by default mmdebstrap's.

    Raises:
        PrerequisiteMissing: neither the host nor mmdebstrap has a mirror.
    """
    mirror = host_mirror() or _default_mirror()
    if mirror is None:
        raise PrerequisiteMissing(
            "Debian mirror: none is configured", hint=f"set {MIRROR_VARIABLE} to a URL, and run: factory doctor"
        )
    return mirror.rstrip("/")


def _default_mirror() -> str | None:
    """Return mmdebstrap's first mirror; the hook stops it before it fetches anything."""
    show = 'cat "$1/etc/apt/sources.list"; exit 1'
    with tempfile.TemporaryDirectory() as folder:
        command = ["mmdebstrap", "--mode=root", "--variant=custom", f"--setup-hook={show}", "stable", folder]
        try:
            shown = run(command)
        except CommandFailed as error:
            shown = error.output
    return next((line.split()[1] for line in shown.splitlines() if line.startswith("deb ")), None)
