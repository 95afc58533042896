"""GitHub's API, for what publishing needs: releases with files, and issues.

A request has the token for the API's own origin only, and for the origin that it names for uploads.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlsplit

import requests
from requests.auth import AuthBase

from factory.errors import PublishError
from factory.host.index_session import TIMEOUT_SECONDS, IndexConfig, open_session, read_index_config
from factory.util import cancellation
from factory.util.redaction import without_secrets

HEADERS = {"Accept": "application/vnd.github+json", "X-GitHub-Api-Version": "2022-11-28"}
PER_PAGE = 100
NOT_FOUND = 404
# GitHub asks for a second between requests that make something.
WRITE_SECONDS = 1.0
# When it asks for more, and how often that is heeded.
MAX_WAIT_SECONDS, ATTEMPTS = 300.0, 3
Json = dict[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Repository:
    """A repository on GitHub.

    `name` is `OWNER/NAME`, `api` the API's address, and the token has rights to write.
    """

    name: str
    api: str
    token: str


class GitHub:
    """Client of one repository."""

    def __init__(self, repository: Repository) -> None:
        self._repository = repository
        self._auth = _Bearer(repository)
        config = read_index_config()
        self._session = open_session(IndexConfig(url=repository.api, ca_bundle=config.ca_bundle, proxy=config.proxy))
        self._session.auth = self._auth
        self._session.headers.update(HEADERS)

    def find_release(self, tag: str) -> Json | None:
        """Return the release of a tag, None if there is none."""
        response = self._send("GET", self._url(f"releases/tags/{quote(tag, safe='')}"), allowed=(NOT_FOUND,))
        found: Json | None = None if response.status_code == NOT_FOUND else response.json()
        return found

    def create_release(self, tag: str, text: str) -> Json:
        """Create the release of a new tag, at the default branch."""
        body = {"tag_name": tag, "name": tag, "body": text, "make_latest": "false"}
        return self._require("POST", self._url("releases"), json=body)

    def files_of(self, release: Json) -> Mapping[str, Json]:
        """Return the files of a release by name."""
        return {file["name"]: file for file in self._pages(f"releases/{release['id']}/assets", {})}

    def upload(self, release: Json, path: Path) -> Json:
        """Add a file to a release.

        Raises:
            PublishError: it could not be uploaded.
        """
        base = str(release["upload_url"]).partition("{")[0]
        self._auth.allow(base)
        headers = {"Content-Type": "application/octet-stream", "Content-Length": str(path.stat().st_size)}
        with path.open("rb") as file:
            return self._require("POST", base, params={"name": path.name}, data=file, headers=headers)

    def remove_file(self, file: Json) -> None:
        """Remove a file whose upload did not end."""
        self._send("DELETE", self._url(f"releases/assets/{file['id']}"))

    def issues(self, label: str) -> Iterator[Json]:
        """Iterate over the open issues with a label, which only people with rights can set."""
        found = self._pages("issues", {"labels": label, "state": "open"})
        yield from (issue for issue in found if "pull_request" not in issue)

    def create_issue(self, title: str, body: str, label: str) -> Json:
        """Open an issue."""
        return self._require("POST", self._url("issues"), json={"title": title, "body": body, "labels": [label]})

    def update_issue(self, number: int, **fields: str) -> Json:
        """Change an issue's title, body or state."""
        return self._require("PATCH", self._url(f"issues/{int(number)}"), json=fields)

    def _url(self, path: str) -> str:
        return f"{self._repository.api.rstrip('/')}/repos/{self._repository.name}/{path}"

    def _pages(self, path: str, query: Mapping[str, str]) -> Iterator[Json]:
        page = 1
        while True:
            query_of_page = {**query, "per_page": PER_PAGE, "page": page}
            found: list[Json] = self._send("GET", self._url(path), params=query_of_page).json()
            yield from found
            if len(found) < PER_PAGE:
                return
            page += 1

    def _require(self, method: str, url: str, **options: Any) -> Json:
        found: Json = self._send(method, url, **options).json()
        return found

    def _send(self, method: str, url: str, *, allowed: Sequence[int] = (), **options: Any) -> requests.Response:
        """Send a request, again where GitHub asks to wait.

        Raises:
            PublishError: it failed; the message has GitHub's reason.
        """
        for attempt in range(ATTEMPTS):
            if method != "GET":
                cancellation.current().wait(WRITE_SECONDS)
            try:
                response = self._session.request(method, url, timeout=TIMEOUT_SECONDS, allow_redirects=False, **options)
            except requests.RequestException as error:
                raise _failed(method, url, without_secrets(str(error))) from error
            wait = _asked_wait(response)
            if wait is None or attempt == ATTEMPTS - 1:
                break
            cancellation.current().wait(wait)
            if "data" in options:
                options["data"].seek(0)
        if response.status_code >= 300 and response.status_code not in allowed:
            raise _failed(method, url, f"{response.status_code} {_reason(response)}")
        return response


class _Bearer(AuthBase):
    """The token, for the origins that may have it."""

    def __init__(self, repository: Repository) -> None:
        self._token = repository.token
        self._origins = {_origin(repository.api)}

    def allow(self, url: str) -> None:
        """Allow the token for another address of the same scheme."""
        if urlsplit(url).scheme in {scheme for scheme, _ in self._origins}:
            self._origins.add(_origin(url))

    def __call__(self, request: requests.PreparedRequest) -> requests.PreparedRequest:
        if _origin(request.url or "") in self._origins:
            request.headers["Authorization"] = f"Bearer {self._token}"
        return request


def _origin(url: str) -> tuple[str, str]:
    parts = urlsplit(url)
    return parts.scheme, parts.netloc


def _asked_wait(response: requests.Response) -> float | None:
    """Return the seconds for which GitHub asks to wait, None if it does not or for too many."""
    if response.status_code not in (403, 429):
        return None
    after, reset = response.headers.get("Retry-After", ""), response.headers.get("X-RateLimit-Reset", "")
    if after.isdecimal():
        seconds = float(after)
    elif response.headers.get("X-RateLimit-Remaining") == "0" and reset.isdecimal():
        seconds = max(0.0, float(reset) - time.time()) + 1
    else:
        return None
    return seconds if seconds <= MAX_WAIT_SECONDS else None


def _reason(response: requests.Response) -> str:
    try:
        content = response.json()
        details = (each.get("code", each) if isinstance(each, dict) else each for each in content.get("errors", ()))
        return ": ".join(map(str, (content["message"], *details)))
    except (ValueError, KeyError, TypeError, AttributeError):
        return response.reason or ""


def _failed(method: str, url: str, cause: str) -> PublishError:
    return PublishError(
        f"GitHub: {method} {urlsplit(url).path}: {cause}",
        hint="see that the token may write to this repository's contents and issues, and run it again",
    )
