"""requests session for the package index, with pip's configuration."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import unquote, urlsplit, urlunsplit

import requests
from pypi_simple import PYPI_SIMPLE_ENDPOINT
from requests.auth import AuthBase, HTTPBasicAuth
from requests.exceptions import ChunkedEncodingError, ContentDecodingError
from requests.utils import get_netrc_auth
from urllib3.util import Retry

from factory.host.pip import pip_settings
from factory.host.transfer import LimitedAdapter
from factory.util import cancellation

RETRIES = 5
# Of a server that takes the request and doesn't answer: each lasts as long as the timeout.
READ_RETRIES = 2
BACKOFF_SECONDS = 0.5
TIMEOUT_SECONDS = (15.0, 60.0)  # to connect, and between two parts of a response
_TRANSIENT_STATUSES = (429, 500, 502, 503, 504)


@dataclass(frozen=True, slots=True, kw_only=True)
class IndexConfig:
    """The package index and its connection settings; `url` has no credentials."""

    url: str
    credentials: tuple[str, str] | None = None
    ca_bundle: str | None = None
    client_certificate: str | None = None
    proxy: str | None = None


def read_index_config(environment: Mapping[str, str] = os.environ) -> IndexConfig:
    """Return pip's configuration; the default index is that of pypi-simple.

    requests adds REQUESTS_CA_BUNDLE, the proxy variables and ~/.netrc.
    """
    pip = pip_settings(environment)
    url, credentials = split_credentials(pip.get("index-url", PYPI_SIMPLE_ENDPOINT))
    return IndexConfig(
        url=url,
        credentials=credentials,
        ca_bundle=pip.get("cert") or environment.get("SSL_CERT_FILE"),
        client_certificate=pip.get("client-cert"),
        proxy=pip.get("proxy"),
    )


def open_session(config: IndexConfig, retries: int = RETRIES) -> requests.Session:
    """Return a session that retries failed connections, transient errors and cut pages."""
    retry = Retry(
        total=retries,
        read=min(retries, READ_RETRIES),
        backoff_factor=BACKOFF_SECONDS,
        status_forcelist=_TRANSIENT_STATUSES,
        raise_on_status=False,
        respect_retry_after_header=False,  # it can be hours
    )
    session = _IndexSession()
    for scheme in ("https://", "http://"):
        session.mount(scheme, LimitedAdapter(max_retries=retry))
    session.auth = _IndexAuth(config)
    session.verify = config.ca_bundle or True
    session.cert = config.client_certificate
    if config.proxy:
        session.proxies = {"http": config.proxy, "https": config.proxy}
    return session


def wait_before_retry(failures: int) -> None:
    """Wait longer after each failure.

    Raises:
        BaseException: the reason, when the run is cancelled.
    """
    cancellation.current().wait(BACKOFF_SECONDS * 2**failures)


class _IndexSession(requests.Session):
    """A session that retries truncated pages and sends no credentials over plain HTTP."""

    def request(self, method: str | bytes, url: str | bytes, **options: Any) -> requests.Response:  # type: ignore[override]
        """Send a request, again where its body breaks off, unless the caller streams it."""
        for attempt in range(RETRIES):
            try:
                return super().request(method, url, **options)
            except (ChunkedEncodingError, ContentDecodingError):
                wait_before_retry(attempt)
        return super().request(method, url, **options)

    def rebuild_auth(self, prepared_request: requests.PreparedRequest, response: requests.Response) -> None:
        """Set a redirected request's credentials: none after a redirect from https to http."""
        came_from = [each.url for each in (*response.history, response)]
        if _is_plain(prepared_request.url) and not all(map(_is_plain, came_from)):
            prepared_request.headers.pop("Authorization", None)
        else:
            super().rebuild_auth(prepared_request, response)  # type: ignore[no-untyped-call]


class _IndexAuth(AuthBase):
    """The index's credentials for its own origin, and netrc's for others.

    The host of an index with https gets none by http.
    """

    def __init__(self, config: IndexConfig) -> None:
        self._index = urlsplit(config.url)
        self._credentials = config.credentials

    def __call__(self, request: requests.PreparedRequest) -> requests.PreparedRequest:
        url = request.url or ""
        parts = urlsplit(url)
        if parts.hostname == self._index.hostname and _is_plain(url) and not _is_plain(self._index.geturl()):
            return request
        own = (parts.scheme, parts.netloc) == (self._index.scheme, self._index.netloc)
        credentials = self._credentials if own and self._credentials else get_netrc_auth(url)
        return HTTPBasicAuth(*credentials)(request) if credentials else request


def _is_plain(url: str | None) -> bool:
    return urlsplit(url or "").scheme == "http"


def split_credentials(url: str) -> tuple[str, tuple[str, str] | None]:
    """Return a URL without its user and password, and these."""
    parts = urlsplit(url)
    if parts.username is None:
        return url, None
    bare = urlunsplit(parts._replace(netloc=parts.netloc.rpartition("@")[2]))
    return bare, (unquote(parts.username), unquote(parts.password or ""))
