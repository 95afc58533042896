"""apt configuration of this machine: Debian mirror and fetch options.

Addresses with user and password are on no command line and in no layer; apt reads them from files while it runs.
"""

from __future__ import annotations

import os
import tempfile
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import unquote, urlsplit, urlunsplit

from factory.errors import CommandFailed, PrerequisiteMissing
from factory.util.process import run
from factory.util.redaction import learn, url_secrets

MIRROR_VARIABLE = "FACTORY_DEBIAN_MIRROR"
# Names of the two files in a folder.
CONFIGURATION, LOGINS = "apt-host.conf", "apt-host-logins.conf"


@dataclass(frozen=True, slots=True, kw_only=True)
class SecretSettings:
    """apt's settings with secrets: lines of its configuration, and of its file of logins."""

    options: tuple[str, ...] = ()
    logins: tuple[str, ...] = ()

    def write(self, folder: Path, seen_at: str) -> str | None:
        """Write both files for root alone; return the path of apt's configuration.

        apt sees the folder at `seen_at`.

        None stands for no secrets: there are no files.
        """
        if not self.options and not self.logins:
            return None
        learn(url_secrets("\n".join(self.options)))
        lines = [*(f"{option};" for option in self.options), f'Dir::Etc::netrc "{seen_at}/{LOGINS}";']
        for name, text in ((CONFIGURATION, lines), (LOGINS, self.logins)):
            (folder / name).unlink(missing_ok=True)
            with os.fdopen(os.open(folder / name, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
                file.write("".join(f"{line}\n" for line in text))
        return f"{seen_at}/{CONFIGURATION}"


def secret_settings(mirror: str | None) -> SecretSettings:
    """Return apt's settings that hold secrets of this machine."""
    options = tuple(option for option in _all_fetch_options() if url_secrets(option))
    return SecretSettings(options=options, logins=_logins(mirror or ""))


def without_login(mirror: str) -> str:
    """Return a mirror's address without user and password."""
    parts = urlsplit(mirror)
    return urlunsplit(parts._replace(netloc=parts.netloc.rpartition("@")[2]))


def _logins(mirror: str) -> tuple[str, ...]:
    parts = urlsplit(mirror)
    if parts.username is None:
        return ()
    learn(url_secrets(mirror))
    # Without a scheme apt uses it for https only.
    user, password = unquote(parts.username), unquote(parts.password or "")
    return (f"machine {without_login(mirror)} login {user} password {password}",)


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
    """Return the host's apt options that hold no secret: proxies, certificates, list validity."""
    return tuple(option for option in _all_fetch_options() if not url_secrets(option))


def _all_fetch_options() -> tuple[str, ...]:
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
