"""Optional libraries of signatures, in the extra `provenance`."""

from __future__ import annotations

from collections.abc import Sequence

from factory.util.extras import install_hint, require_libraries

EXTRA = "provenance"
KEYS = ("cryptography", "securesystemslib.dsse")
CERTIFICATES = ("sigstore.dsse", "pypi_attestations")


def require_signing(subject: str, names: Sequence[str]) -> None:
    """Require the libraries that sign and verify with keys of one's own, or with certificates.

    Raises:
        PrerequisiteMissing: one is not installed.
    """
    require_libraries(f"{subject}: cannot sign or verify", names, hint=install_hint(EXTRA))
