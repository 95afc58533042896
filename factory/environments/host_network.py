"""What the host knows about its network: CA bundle, proxies and package indexes, handed on into environments.

People build behind company proxies that intercept TLS and with indexes of their own; everything else of the host's
environment stays outside.
"""

from __future__ import annotations

import os
import ssl
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from factory.process import run

CA_INSIDE = "/etc/ssl/certs/ca-certificates.crt"
CA_VARIABLES = ("SSL_CERT_FILE", "PIP_CERT", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE")
PROXY_VARIABLES = ("http_proxy", "https_proxy", "all_proxy", "no_proxy")
# Keys of pip's configuration that say where packages come from; --find-links folders of the host don't exist inside.
PIP_KEYS = {"index-url": "PIP_INDEX_URL", "extra-index-url": "PIP_EXTRA_INDEX_URL", "trusted-host": "PIP_TRUSTED_HOST"}
UV_VARIABLES = ("UV_DEFAULT_INDEX", "UV_INDEX", "UV_INDEX_URL", "UV_EXTRA_INDEX_URL", "UV_INSECURE_HOST")
RESOLVER_FILES = ("/etc/resolv.conf", "/etc/hosts", "/etc/nsswitch.conf", "/etc/netrc")


@dataclass(frozen=True, slots=True, kw_only=True)
class HostNetwork:
    """Variables to set and files to show read-only (host path -> path inside) where a command has the network."""

    environment: Mapping[str, str]
    files: Mapping[Path, str]


def host_network(environment: Mapping[str, str] = os.environ) -> HostNetwork:
    """Read the host's network configuration."""
    variables = _proxies(environment) | _indexes(environment)
    files = {Path(name): name for name in RESOLVER_FILES if Path(name).is_file()}
    bundle = ca_bundle(environment)
    if bundle is not None:
        files[bundle] = CA_INSIDE
        variables |= dict.fromkeys(CA_VARIABLES, CA_INSIDE)
    return HostNetwork(environment=variables, files=files)


def ca_bundle(environment: Mapping[str, str] = os.environ) -> Path | None:
    """The file of certificate authorities that the host's clients trust."""
    candidates = [*(environment.get(name) for name in CA_VARIABLES), ssl.get_default_verify_paths().cafile, CA_INSIDE]
    return next((Path(name) for name in candidates if name and Path(name).is_file()), None)


def _proxies(environment: Mapping[str, str]) -> dict[str, str]:
    names = {name for lower in PROXY_VARIABLES for name in (lower, lower.upper())}
    return {name: environment[name] for name in names if environment.get(name)}


def _indexes(environment: Mapping[str, str]) -> dict[str, str]:
    """pip's configured indexes, for pip and (where it has no setting of its own) for uv."""
    variables = {name: environment[name] for name in UV_VARIABLES if environment.get(name)}
    for key, value in pip_configuration().items():
        variables[PIP_KEYS[key]] = value
    if "PIP_INDEX_URL" in variables and not {"UV_DEFAULT_INDEX", "UV_INDEX_URL"} & variables.keys():
        variables["UV_DEFAULT_INDEX"] = variables["PIP_INDEX_URL"]
    if "PIP_EXTRA_INDEX_URL" in variables and not {"UV_INDEX", "UV_EXTRA_INDEX_URL"} & variables.keys():
        variables["UV_INDEX"] = variables["PIP_EXTRA_INDEX_URL"]
    return variables


def pip_configuration() -> dict[str, str]:
    """What pip itself says of its indexes, from its files and its variables alike."""
    listed = run([sys.executable, "-m", "pip", "config", "list"], what="pip config list")
    found = {}
    for line in listed.splitlines():
        name, _, value = line.partition("=")
        key = name.rpartition(".")[2]
        if key in PIP_KEYS:
            found[key] = value.strip("'\"").replace("\\n", " ").strip()
    return found
