"""Optional libraries of signatures, in the extra `provenance`."""

from __future__ import annotations

from collections.abc import Sequence
from importlib import import_module

from factory.errors import PrerequisiteMissing

EXTRA = "provenance"
KEYS = ("cryptography", "securesystemslib.dsse")
CERTIFICATES = ("sigstore.dsse", "pypi_attestations")


def require_libraries(subject: str, names: Sequence[str]) -> None:
    """Require the libraries that sign and verify with keys of one's own, or with certificates.

    Raises:
        PrerequisiteMissing: one is not installed.
    """
    for name in names:
        try:
            import_module(name)
        except ImportError as error:
            raise PrerequisiteMissing(
                f"{subject}: cannot sign or verify: {(error.name or name).partition('.')[0]} is not installed",
                hint=f"install the factory with its extra, in its folder: pip install '.[{EXTRA}]'",
            ) from error
