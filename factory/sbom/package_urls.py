"""Package URLs (purl) of distributions, Debian's packages and other sources."""

from __future__ import annotations

from packageurl import PackageURL


def purl(kind: str, name: str, version: str, **qualifiers: str) -> str:
    """Return a package URL; empty qualifiers are omitted."""
    namespace = "debian" if kind == "deb" else None
    return PackageURL(kind, namespace, name, version, qualifiers).to_string()
