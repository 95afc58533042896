"""How this machine reaches its package index: what pip is configured with, as a requests session."""

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
TIMEOUT_SECONDS = (15.0, 60.0)  # to connect, and between two pieces of an answer
_TRANSIENT_STATUSES = (429, 500, 502, 503, 504)


@dataclass(frozen=True, slots=True, kw_only=True)
class IndexConfig:
    """The index and how to reach it. `url` has no credentials: they are apart, so that no log can show them."""

    url: str
    credentials: tuple[str, str] | None = None
    ca_bundle: str | None = None
    client_certificate: str | None = None
    proxy: str | None = None


def read_index_config(environment: Mapping[str, str] = os.environ) -> IndexConfig:
    """What pip is configured with (PIP_* variables, then pip.conf); without any, pypi-simple's default index.

    requests itself adds REQUESTS_CA_BUNDLE, the proxy variables and ~/.netrc.
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
    """A session that repeats what failed for a moment: no connection, or a status that servers in trouble send."""
    retry = Retry(
        total=RETRIES,
        backoff_factor=BACKOFF_SECONDS,
        status_forcelist=_TRANSIENT_STATUSES,
        raise_on_status=False,
        respect_retry_after_header=False,  # it may say hours
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
    """The text with credentials and queries (which may hold tokens) taken out of its URLs."""
    text = re.sub(r"://[^@/\s]*@", "://", text)
    return re.sub(r"\?[^\s'\")]*", "", text)


class _IndexAuth(AuthBase):
    """The index's credentials for the index's own host only: files may lie on other hosts. Others get netrc's."""

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
