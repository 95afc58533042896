"""Settings of the site: `site.toml` beside the ledger."""

from __future__ import annotations

import tomllib
from dataclasses import dataclass
from pathlib import Path

from factory.errors import PublishError
from factory.publish.identifiers import urn_of
from factory.publish.release import URL

SETTINGS_FILE = "site.toml"
# Placeholder of an unknown site address; JavaScript replaces it with the real one.
UNKNOWN_URL = "URL"


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """The site's title, and its address without a trailing slash, empty if unknown."""

    title: str = "riscv64 wheels"
    url: str = ""

    @property
    def top(self) -> str:
        """The site's address in commands to paste."""
        return self.url or UNKNOWN_URL

    @property
    def simple(self) -> str:
        """The address of the simple repository in commands to paste."""
        return f"{self.top}/simple/"

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
        settings = Settings(**tomllib.loads(path.read_text(encoding="utf-8")))
        _validate(settings)
    except (ValueError, TypeError) as error:
        raise PublishError(
            f"{path}: invalid settings: {error}", hint='allowed keys: title = "..." and url = "https://..."'
        ) from error
    return Settings(title=settings.title, url=settings.url.rstrip("/"))


def _validate(settings: Settings) -> None:
    if not isinstance(settings.title, str) or not settings.title.isprintable():
        raise ValueError("title: not one line of printable text")
    if not isinstance(settings.url, str) or (settings.url and not URL.fullmatch(settings.url)):
        raise ValueError("url: not an http or https address")
