"""Registry of source kinds: a new kind is one module and one line here."""

from __future__ import annotations

from collections.abc import Mapping

from factory.model.source import Source
from factory.stages.sources.deb import DebSource
from factory.stages.sources.debian import DebianSource
from factory.stages.sources.git import GitSource
from factory.stages.sources.local import LocalSource
from factory.stages.sources.pypi import PypiSource
from factory.stages.sources.url import UrlSource

SOURCE_KINDS: Mapping[str, type[Source]] = {
    source.kind: source
    for source in (
        PypiSource,
        DebianSource,
        DebSource,
        LocalSource,
        GitSource,
        UrlSource,
    )
}
