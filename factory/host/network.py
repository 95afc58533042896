"""Network configuration for roots: CA bundle, proxies and package indexes.

Companies have proxies that intercept TLS, and their own indexes. Roots get nothing else of the host's environment. All
of it is for commands with network only, and cargo's registries with their tokens for those that fetch crates.
"""

from __future__ import annotations

import os
import ssl
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from netrc import NetrcParseError, netrc
from pathlib import Path
from urllib.parse import urlsplit

from factory.host.cargo import cargo_settings
from factory.host.pip import pip_settings, uv_variables
from factory.host.secrets import learn_secrets
from factory.host.user_settings import netrc_files, user_environment
from factory.host.uv import with_userinfo

CA_INSIDE = "/etc/ssl/certs/ca-certificates.crt"
CA_VARIABLES = ("SSL_CERT_FILE", "PIP_CERT", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE", "CARGO_HTTP_CAINFO")
PROXY_VARIABLES = ("http_proxy", "https_proxy", "all_proxy", "no_proxy")
# Without --find-links: its folders are on the host.
PIP_VARIABLES = {
    "index-url": "PIP_INDEX_URL",
    "extra-index-url": "PIP_EXTRA_INDEX_URL",
    "trusted-host": "PIP_TRUSTED_HOST",
}
RESOLVER_FILES = ("/etc/resolv.conf", "/etc/hosts", "/etc/nsswitch.conf")


@dataclass(frozen=True, slots=True, kw_only=True)
class HostNetwork:
    """Variables and read-only files (host path -> inside) of commands with network.

    `crates` are further variables of commands that fetch crates. Variables can have secrets, files have none.
    """

    environment: Mapping[str, str]
    files: Mapping[Path, str]
    crates: Mapping[str, str] = field(default_factory=dict)

    def variables(self, *, crates: bool) -> dict[str, str]:
        """Return the variables of a command."""
        return {**(self.crates if crates else {}), **self.environment}


def host_network(environment: Mapping[str, str] = os.environ) -> HostNetwork:
    """Return the host's network configuration; its secrets are hidden in logs from now on."""
    learn_secrets(environment)
    variables = proxies(environment) | _indexes(environment)
    files = {Path(name): name for name in RESOLVER_FILES if Path(name).is_file()}
    bundle = ca_bundle(environment)
    if bundle is not None:
        files[bundle] = CA_INSIDE
        variables |= dict.fromkeys(CA_VARIABLES, CA_INSIDE)
    return HostNetwork(environment=variables, files=files, crates=cargo_settings(environment))


def ca_bundle(environment: Mapping[str, str] = os.environ) -> Path | None:
    """Return the host's CA bundle."""
    candidates = [*(environment.get(name) for name in CA_VARIABLES), ssl.get_default_verify_paths().cafile, CA_INSIDE]
    return next((Path(name) for name in candidates if name and Path(name).is_file()), None)


def proxies(environment: Mapping[str, str]) -> dict[str, str]:
    """Return the variables with proxies, in both spellings."""
    names = {name for lower in PROXY_VARIABLES for name in (lower, lower.upper())}
    return {name: environment[name] for name in names if environment.get(name)}


def _indexes(environment: Mapping[str, str]) -> dict[str, str]:
    """Return pip's and uv's configured indexes as variables, with their passwords of netrc."""
    pip = {key: value for key, value in pip_settings(environment).items() if key in PIP_VARIABLES}
    shown = {PIP_VARIABLES[key]: value for key, value in pip.items()}
    for_uv = uv_variables(pip, environment)
    for_uv.pop("UV_FIND_LINKS", None)
    logins = logins_by_host(user_environment(environment))
    return {
        **{
            name: " ".join(_with_login(url, logins) for url in value.split())
            for name, value in (shown | for_uv).items()
        },
        **{name: environment[name] for name in ("UV_INSECURE_HOST",) if name in environment},
    }


def logins_by_host(environment: Mapping[str, str]) -> Mapping[str, tuple[str, str, str]]:
    """Return user, account and password of netrc by host, for a user's environment."""
    for path in netrc_files(environment):
        with suppress(NetrcParseError, OSError, UnicodeDecodeError):
            return netrc(path).hosts
    return {}


def _with_login(url: str, logins: Mapping[str, tuple[str, str, str]]) -> str:
    """Put a host's user and password into its index's address: netrc itself stays outside.

    A default entry is for every host, so it is not used.
    """
    host = urlsplit(url).hostname or ""
    if host not in logins or host == "default":
        return url
    user, _, password = logins[host]
    return with_userinfo(url, user, password)
