"""Settings of the site: `site.toml` beside the ledger."""

from __future__ import annotations

import tomllib
from dataclasses import dataclass, replace
from pathlib import Path

from packaging.utils import NormalizedName, canonicalize_name

from factory.errors import PublishError
from factory.publish.release import URL
from factory.publish.signers import TrustedSigner, parse_signers
from factory.publish.simple_api import pip_options, trusted_host
from factory.util.identifiers import urn_of

SETTINGS_FILE = "site.toml"
# Placeholder of an unknown site address; JavaScript replaces it with the real one.
UNKNOWN_URL = "URL"
ADDRESSES = ("url", "repository", "issues", "substitute")
ADDRESS_HINTS = tuple(f'{key} = "https://..."' for key in ADDRESSES)


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """Settings of the site: its title, and addresses, each empty if unknown.

    `url` is the site's own address without a trailing slash, `repository` that of the recipes and patches, and `issues`
    the page for reports and requests. `substitute` is an index whose builds `factory build` takes. `signers` are those
    whose signatures on wheels are accepted. `locks` are the projects whose lock files the site offers.
    """

    title: str = "riscv64 wheels"
    url: str = ""
    repository: str = ""
    issues: str = ""
    substitute: str = ""
    signers: tuple[TrustedSigner, ...] = ()
    locks: tuple[NormalizedName, ...] = ()

    @property
    def top(self) -> str:
        """The site's address in commands to paste."""
        return self.url or UNKNOWN_URL

    @property
    def simple(self) -> str:
        """The address of the simple repository in commands to paste."""
        return f"{self.top}/simple/"

    @property
    def pip_options(self) -> str:
        """Options of pip for the simple repository in commands to paste into a shell."""
        return pip_options(self.simple)

    @property
    def trusted_host(self) -> str:
        """The host that pip has to be told to trust, empty if there is none."""
        return trusted_host(self.simple)

    def urn_of(self, name: str) -> str:
        """Return a URN for a name (RFC 4287, section 4.2.6).

        It is unique to this site if the site's address is known. A site at another address gets other URNs, so feed
        readers treat its entries as new.
        """
        return urn_of(f"{self.url}/{name}" if self.url else name)


def load_settings(folder: Path) -> Settings:
    """Read the settings in `folder`; missing keys give the defaults.

    Raises:
        PublishError: the file cannot be read, or has unknown keys or invalid values.
    """
    path = folder / SETTINGS_FILE
    if not path.is_file():
        return Settings()
    try:
        values = tomllib.loads(path.read_text(encoding="utf-8"))
        signers = parse_signers(values.pop("signers", []), folder)
        locks = _parse_locks(values.pop("locks", []), values.get("url"))
        settings = Settings(**values, signers=signers, locks=locks)
        _validate(settings)
    except (ValueError, TypeError) as error:
        raise PublishError(
            f"{path}: invalid settings: {error}",
            hint=f'allowed keys: title = "...", {", ".join(ADDRESS_HINTS)}, locks = ["..."], [[signers]]',
        ) from error
    return replace(settings, url=settings.url.rstrip("/"))


def _parse_locks(names: object, url: object) -> tuple[NormalizedName, ...]:
    if not isinstance(names, list) or not all(isinstance(each, str) for each in names):
        raise ValueError("locks: not a list of names")
    if names and not url:
        raise ValueError("locks: needs url, since lock files hold addresses")
    return tuple(canonicalize_name(each, validate=True) for each in names)


def _validate(settings: Settings) -> None:
    if not isinstance(settings.title, str) or not settings.title.isprintable():
        raise ValueError("title: not one line of printable text")
    for key in ADDRESSES:
        value = getattr(settings, key)
        if not isinstance(value, str) or (value and not URL.fullmatch(value)):
            raise ValueError(f"{key}: not an http or https address")
