"""Which Debian mirror this machine uses: for the packages of roots and for the sources of packages."""

from __future__ import annotations

import os
import tempfile

from factory.errors import CommandFailed, PrerequisiteMissing
from factory.util.process import run

MIRROR_VARIABLE = "FACTORY_DEBIAN_MIRROR"


def host_mirror() -> str | None:
    """The mirror to use: $FACTORY_DEBIAN_MIRROR, else the one this host's apt is configured with, if it's Debian's.

    None means mmdebstrap's own default.
    """
    if configured := os.environ.get(MIRROR_VARIABLE):
        return configured
    try:
        listed = run(["apt-get", "indextargets", "--format", "$(ORIGIN)|$(LABEL)|$(REPO_URI)"])
    except (CommandFailed, PrerequisiteMissing):
        return None
    return next((line.split("|")[2] for line in listed.splitlines() if line.startswith("Debian|Debian|")), None)


def fetch_options() -> tuple[str, ...]:
    """Return the host's apt options for fetching: proxies, certificates, validity. Roots use the same mirrors."""
    try:
        listed = run(["apt-config", "dump", "--format", '%F "%v"%n', "Acquire"])
    except (CommandFailed, PrerequisiteMissing):
        return ()
    wanted = ("Acquire::http", "Acquire::https", "Acquire::Check-", "Acquire::AllowInsecureRepositories")
    return tuple(line for line in listed.splitlines() if line.startswith(wanted) and not line.endswith('""'))


def mirror_url() -> str:
    """The mirror's URL without a slash at its end; where the host names none, mmdebstrap is asked for its default.

    Raises:
        PrerequisiteMissing: neither the host nor mmdebstrap names a mirror.
    """
    mirror = host_mirror() or _default_mirror()
    if mirror is None:
        raise PrerequisiteMissing(
            "no Debian mirror is known here", hint=f"set {MIRROR_VARIABLE} to the URL of one, and see: factory doctor"
        )
    return mirror.rstrip("/")


def _default_mirror() -> str | None:
    """The first mirror that mmdebstrap writes into a root; it ends there, before it fetches anything."""
    show = 'cat "$1/etc/apt/sources.list"; exit 1'
    with tempfile.TemporaryDirectory() as folder:
        command = ["mmdebstrap", "--mode=root", "--variant=custom", f"--setup-hook={show}", "stable", folder]
        try:
            shown = run(command)
        except CommandFailed as error:
            shown = error.output
    return next((line.split()[1] for line in shown.splitlines() if line.startswith("deb ")), None)
