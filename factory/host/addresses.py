"""Addresses of this machine, by which others reach a server."""

from __future__ import annotations

import ipaddress
import socket
from urllib.parse import urlsplit

import psutil


def reachable_urls(url: str) -> list[str]:
    """Return the URLs at which a server can be reached that listens at `url`.

    A server that listens on all addresses has one for each address of the machine: IPv4 first, loopback last. One at
    `::` also has those of IPv4.
    """
    parts = urlsplit(url)
    host = ipaddress.ip_address(parts.hostname or "")
    if not host.is_unspecified:
        return [url]
    found = [address for address in _machine_addresses() if address.version <= host.version]
    found.sort(key=lambda each: (each.is_loopback, each.version))
    return [f"http://{_in_url(address)}:{parts.port}" for address in found]


def _machine_addresses() -> list[ipaddress.IPv4Address | ipaddress.IPv6Address]:
    families = (socket.AF_INET, socket.AF_INET6)
    texts = [each.address for network in psutil.net_if_addrs().values() for each in network if each.family in families]
    # Link-local addresses need the other machine's name of the network.
    return [address for address in map(ipaddress.ip_address, texts) if not address.is_link_local]


def _in_url(address: ipaddress.IPv4Address | ipaddress.IPv6Address) -> str:
    return f"[{address}]" if address.version == 6 else str(address)
