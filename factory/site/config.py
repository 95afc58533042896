"""What the site's owner says of it: `site.toml` beside the ledger."""

from __future__ import annotations

import tomllib
from dataclasses import dataclass
from pathlib import Path

from factory.errors import PublishError
from factory.publish.identifiers import urn_of
from factory.publish.ledger import URL

SETTINGS_FILE = "site.toml"
# What stands for the site's address where that is not known; JavaScript puts the real one there.
UNKNOWN_URL = "URL"


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """The site's name, and its address without a slash at its end; empty where it is not known."""

    title: str = "riscv64 wheels"
    url: str = ""

    @property
    def top(self) -> str:
        """The site's address, for lines that people paste."""
        return self.url or UNKNOWN_URL

    @property
    def simple(self) -> str:
        """The address of the simple repository, for lines that people paste."""
        return f"{self.top}/simple/"

    def urn_of(self, name: str) -> str:
        """The URN of what has this name here, which no other site has where the address is known (RFC 4287, 4.2.6).

        At another address it is another one, so that readers of feeds take what is there for new.
        """
        return urn_of(f"{self.url}/{name}" if self.url else name)


def load_settings(folder: Path) -> Settings:
    """The settings in `folder`; what is not there is as it comes.

    Raises:
        PublishError: the file can't be read, or has other keys or values than it may.
    """
    path = folder / SETTINGS_FILE
    if not path.is_file():
        return Settings()
    try:
        settings = Settings(**tomllib.loads(path.read_text(encoding="utf-8")))
        _require_sound(settings)
    except (ValueError, TypeError) as error:
        raise PublishError(
            f"{path} can't be read: {error}", hint='it may have two lines: title = "..." and url = "https://..."'
        ) from error
    return Settings(title=settings.title, url=settings.url.rstrip("/"))


def _require_sound(settings: Settings) -> None:
    if not isinstance(settings.title, str) or not settings.title.isprintable():
        raise ValueError("title is not a line of text")
    if not isinstance(settings.url, str) or (settings.url and not URL.fullmatch(settings.url)):
        raise ValueError("url is not an http address")
