"""Network configuration for roots: CA bundle, proxies and package indexes.

Companies have proxies that intercept TLS, and their own indexes. Roots get nothing else of the host's environment.
"""

from __future__ import annotations

import os
import ssl
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from factory.host.cargo import cargo_settings
from factory.host.pip import pip_settings, uv_variables

CA_INSIDE = "/etc/ssl/certs/ca-certificates.crt"
CA_VARIABLES = ("SSL_CERT_FILE", "PIP_CERT", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE", "CARGO_HTTP_CAINFO")
PROXY_VARIABLES = ("http_proxy", "https_proxy", "all_proxy", "no_proxy")
# Without --find-links: its folders are on the host.
PIP_VARIABLES = {
    "index-url": "PIP_INDEX_URL",
    "extra-index-url": "PIP_EXTRA_INDEX_URL",
    "trusted-host": "PIP_TRUSTED_HOST",
}
RESOLVER_FILES = ("/etc/resolv.conf", "/etc/hosts", "/etc/nsswitch.conf", "/etc/netrc")


@dataclass(frozen=True, slots=True, kw_only=True)
class HostNetwork:
    """Variables and read-only files (host path -> inside) of commands with network."""

    environment: Mapping[str, str]
    files: Mapping[Path, str]


def host_network(environment: Mapping[str, str] = os.environ) -> HostNetwork:
    """Return the host's network configuration."""
    variables = _proxies(environment) | _indexes(environment) | cargo_settings(environment)
    files = {Path(name): name for name in RESOLVER_FILES if Path(name).is_file()}
    bundle = ca_bundle(environment)
    if bundle is not None:
        files[bundle] = CA_INSIDE
        variables |= dict.fromkeys(CA_VARIABLES, CA_INSIDE)
    return HostNetwork(environment=variables, files=files)


def ca_bundle(environment: Mapping[str, str] = os.environ) -> Path | None:
    """Return the host's CA bundle."""
    candidates = [*(environment.get(name) for name in CA_VARIABLES), ssl.get_default_verify_paths().cafile, CA_INSIDE]
    return next((Path(name) for name in candidates if name and Path(name).is_file()), None)


def _proxies(environment: Mapping[str, str]) -> dict[str, str]:
    names = {name for lower in PROXY_VARIABLES for name in (lower, lower.upper())}
    return {name: environment[name] for name in names if environment.get(name)}


def _indexes(environment: Mapping[str, str]) -> dict[str, str]:
    """Return pip's configured indexes as variables of pip and uv."""
    pip = {key: value for key, value in pip_settings(environment).items() if key in PIP_VARIABLES}
    shown = {PIP_VARIABLES[key]: value for key, value in pip.items()}
    for_uv = uv_variables(pip, environment) | {
        name: environment[name] for name in ("UV_INSECURE_HOST",) if name in environment
    }
    for_uv.pop("UV_FIND_LINKS", None)
    return shown | for_uv
