"""Files of the project spam, as an index lists them."""

from __future__ import annotations

from dataclasses import replace

from pypi_simple import DistributionPackage

from tests.support.recipes import SHA256


def sdist(number: str, **options: object) -> DistributionPackage:
    """Return a source distribution with further attributes."""
    file = DistributionPackage(
        filename=f"spam-{number}.tar.gz",
        url="",
        project="spam",
        version=number,
        package_type="sdist",
        digests={"sha256": SHA256},
        requires_python=None,
        has_sig=None,
    )
    return replace(file, **options)  # type: ignore[arg-type]


def wheel(tag: str, number: str = "1.0", **options: object) -> DistributionPackage:
    """Return a wheel with further attributes."""
    return sdist(number, filename=f"spam-{number}-{tag}.whl", package_type="wheel", **options)
