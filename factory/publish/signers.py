"""Trusted signers: the keys and identities whose signatures on wheels are accepted."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields
from pathlib import Path

from factory.errors import PublishError


@dataclass(frozen=True, slots=True, kw_only=True)
class TrustedSigner:
    """A signer: a public `key` (a PEM file), or an `identity` with its `issuer`.

    An identity is what a certificate of sigstore states: the address of a workflow, or an email address. `trust_config`
    is the file of another instance of sigstore than the public one.
    """

    name: str
    key: Path | None = None
    identity: str = ""
    issuer: str = ""
    trust_config: Path | None = None


_KEYS = tuple(field.name for field in fields(TrustedSigner))
_FILES = ("key", "trust_config")


def parse_signers(tables: object, folder: Path) -> tuple[TrustedSigner, ...]:
    """Parse the tables `[[signers]]`; their files are relative to `folder`.

    Raises:
        ValueError: a key is unknown or missing, or has an invalid value.
    """
    if not isinstance(tables, list):
        raise ValueError("signers: not an array of tables: write [[signers]]")
    return tuple(_parse(table, folder, f"signers[{number}]") for number, table in enumerate(tables))


def _parse(table: object, folder: Path, where: str) -> TrustedSigner:
    if not isinstance(table, dict) or not all(isinstance(value, str) and value for value in table.values()):
        raise ValueError(f"{where}: not a table of texts")
    texts = {name.replace("-", "_"): value for name, value in table.items()}
    if unknown := sorted(set(texts) - set(_KEYS)):
        raise ValueError(f"{where}: unknown key {unknown[0]!r}")
    if "name" not in texts or not texts["name"].isprintable():
        raise ValueError(f"{where}.name: missing, or not one line of printable text")
    if ("key" in texts) == ("identity" in texts) or ("identity" in texts) != ("issuer" in texts):
        raise ValueError(f"{where}: needs either key, or identity and issuer")
    files = {name: folder / texts.pop(name) for name in _FILES if name in texts}
    return TrustedSigner(**texts, **files)


def of_key(path: Path) -> TrustedSigner:
    """Return the signer with the public key in a file."""
    return TrustedSigner(name=path.name, key=path)


def names_of(signers: Sequence[TrustedSigner]) -> str:
    """Return the signers' names for a message."""
    return ", ".join(repr(signer.name) for signer in signers)


def read_file(path: Path, hint: str = "correct [[signers]] in site.toml, or --key") -> bytes:
    """Read a key, or another file of a signer.

    Raises:
        PublishError: there is no such file; with the hint.
    """
    if path.is_file():
        return path.read_bytes()
    raise PublishError(f"{path}: {'not a file' if path.exists() else 'file not found'}: a signer's", hint=hint)
