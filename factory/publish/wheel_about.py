"""Statements of a wheel: requirements, links of its project, modules."""

from __future__ import annotations

import re
import zipfile
from collections.abc import Iterable, Iterator
from itertools import islice
from pathlib import Path, PurePosixPath

from packaging.metadata import RawMetadata, parse_email

from factory.publish.release import URL
from factory.publish.reports import About
from factory.publish.wheel_metadata import SUMMARY_LIMIT, read_metadata

# Any file may claim to be a wheel: these limit what one can put on a page.
REQUIREMENTS, LINKS, MODULES, KEYWORDS = 500, 20, 30, 30
WORD = 60  # characters of a label, module or keyword
_COMPILED = (".py", ".so")


def read_about(path: Path) -> About:
    """Read a wheel's statements.

    Raises:
        PublishError: as `read_metadata`.
    """
    metadata = read_metadata(path)
    with zipfile.ZipFile(path) as archive:
        return about_of(metadata, archive.namelist())


def about_of(metadata: bytes, members: Iterable[str] = ()) -> About:
    """Return the statements of METADATA, and the modules among a wheel's members."""
    fields, _unparsed = parse_email(metadata)
    requires = (" ".join(each.split()) for each in fields.get("requires_dist", []))
    keywords = (word.strip() for each in fields.get("keywords", []) for word in re.split("[,;]", each))
    return About(
        requires=tuple(islice((each for each in requires if len(each) <= SUMMARY_LIMIT), REQUIREMENTS)),
        links=dict(islice(_links(fields), LINKS)),
        modules=tuple(sorted({*islice(_modules(members), MODULES)})),
        keywords=tuple(islice((word for word in keywords if 0 < len(word) <= WORD), KEYWORDS)),
    )


def _links(fields: RawMetadata) -> Iterator[tuple[str, str]]:
    """Yield label and address of each link; addresses that are none are left out."""
    links, home = dict(fields.get("project_urls", {})), fields.get("home_page", "")
    if home and home not in links.values():
        links.setdefault("Homepage", home)
    for label, url in links.items():
        address = url.partition("#")[0]
        if URL.fullmatch(address) and 0 < len(label) <= WORD:
            yield label, address


def _modules(members: Iterable[str]) -> Iterator[str]:
    """Yield the first part of each module's name."""
    found = set()
    for member in members:
        first, *rest = PurePosixPath(member).parts or ("",)
        name = first if rest else first.partition(".")[0]
        if name not in found and name.isidentifier() and member.endswith(_COMPILED) and len(name) <= WORD:
            found.add(name)
            yield name
