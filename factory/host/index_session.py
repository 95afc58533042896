"""requests session for the package index, with pip's configuration."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import unquote, urlsplit, urlunsplit

import requests
from pypi_simple import PYPI_SIMPLE_ENDPOINT
from requests.adapters import HTTPAdapter
from requests.auth import AuthBase, HTTPBasicAuth
from requests.utils import get_netrc_auth
from urllib3.util import Retry

from factory.host.pip import pip_settings

RETRIES = 5
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
    url, credentials = _split_credentials(pip.get("index-url", PYPI_SIMPLE_ENDPOINT))
    return IndexConfig(
        url=url,
        credentials=credentials,
        ca_bundle=pip.get("cert") or environment.get("SSL_CERT_FILE"),
        client_certificate=pip.get("client-cert"),
        proxy=pip.get("proxy"),
    )


def open_session(config: IndexConfig) -> requests.Session:
    """Return a session that retries failed connections and transient HTTP statuses."""
    retry = Retry(
        total=RETRIES,
        backoff_factor=BACKOFF_SECONDS,
        status_forcelist=_TRANSIENT_STATUSES,
        raise_on_status=False,
        respect_retry_after_header=False,  # it can be hours
    )
    session = requests.Session()
    for scheme in ("https://", "http://"):
        session.mount(scheme, HTTPAdapter(max_retries=retry))
    session.auth = _IndexAuth(config)
    session.verify = config.ca_bundle or True
    session.cert = config.client_certificate
    if config.proxy:
        session.proxies = {"http": config.proxy, "https": config.proxy}
    return session


def without_secrets(text: str) -> str:
    """Remove credentials and queries, which can hold tokens, from the URLs in a text."""
    text = re.sub(r"://[^@/\s]*@", "://", text)
    return re.sub(r"\?[^\s'\")]*", "", text)


class _IndexAuth(AuthBase):
    """The index's credentials for its own host, and netrc's for others."""

    def __init__(self, config: IndexConfig) -> None:
        self._host = urlsplit(config.url).netloc
        self._credentials = config.credentials

    def __call__(self, request: requests.PreparedRequest) -> requests.PreparedRequest:
        url = request.url or ""
        own = urlsplit(url).netloc == self._host
        credentials = self._credentials if own and self._credentials else get_netrc_auth(url)
        return HTTPBasicAuth(*credentials)(request) if credentials else request


def _split_credentials(url: str) -> tuple[str, tuple[str, str] | None]:
    parts = urlsplit(url)
    if parts.username is None:
        return url, None
    bare = urlunsplit(parts._replace(netloc=parts.netloc.rpartition("@")[2]))
    return bare, (unquote(parts.username), unquote(parts.password or ""))
