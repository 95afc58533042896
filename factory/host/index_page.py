"""Project pages of a package index, and the pages that servers send in their place."""

from __future__ import annotations

import re
from urllib.parse import urlsplit

import requests
from pypi_simple import ProjectPage, PyPISimple, UnsupportedContentTypeError, UnsupportedRepoVersionError

from factory.host.index_session import RETRIES, TIMEOUT_SECONDS, wait_before_retry
from factory.util.redaction import without_secrets

# Words of login pages in lower case.
LOGIN_MARKS = (b"password", b"login", b"log in", b"sign in", b"signin", b"saml", b"captive")
# Every error of `read_page`; ValueError is that of JSON of another shape.
UNREADABLE = (requests.RequestException, UnsupportedContentTypeError, UnsupportedRepoVersionError, ValueError)


def read_page(project: str, index: str, session: requests.Session) -> ProjectPage | None:
    """Return the project's page of the index, None if it has no such project.

    Raises:
        ValueError, RequestException: one of UNREADABLE.
    """
    for attempt in range(RETRIES):
        try:
            return _read(project, index, session)
        except requests.JSONDecodeError:  # truncated where the server states no length
            wait_before_retry(attempt)
    return _read(project, index, session)


def _read(project: str, index: str, session: requests.Session) -> ProjectPage | None:
    client = PyPISimple(index, session=session)
    address = client.get_project_url(project)
    response = session.get(address, headers={"Accept": client.accept}, timeout=TIMEOUT_SECONDS)
    if response.status_code == requests.codes.not_found:
        return None
    response.raise_for_status()
    try:
        page = ProjectPage.from_response(response, project)
    except requests.JSONDecodeError:
        raise
    except (*UNREADABLE, RecursionError) as error:
        raise ValueError(_in_short(error)) from error
    if not page.packages and _is_login(response, address):
        raise ValueError(f"the server answers with a login page: {without_secrets(response.url)}")
    # Caches have files and folders of these names.
    page.packages[:] = [package for package in page.packages if "/" not in package.filename]
    for package in page.packages:
        _normalize_hash(package.digests)
    return page


def _normalize_hash(digests: dict[str, str]) -> None:
    """Write the sha256 in lower case, and remove text that is none."""
    sha256 = digests.pop("sha256", "").lower()
    if re.fullmatch(r"[0-9a-f]{64}", sha256):
        digests["sha256"] = sha256


def _is_login(response: requests.Response, address: str) -> bool:
    """Report whether a page without files asks for a login, by a form or a redirect."""
    text = response.content.lower()
    if b"<html" not in text and b"<form" not in text:
        return False
    moved = urlsplit(response.url).path.rstrip("/") != urlsplit(address).path.rstrip("/")
    return (b"<form" in text or b"<script" in text or moved) and any(mark in text for mark in LOGIN_MARKS)


def _in_short(error: Exception) -> str:
    """Return the cause in one line; pydantic's errors list every field."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return f"not a page of a package index: {'; '.join(lines[:3]) or type(error).__name__}"
