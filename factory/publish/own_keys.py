"""Signatures with one's own key: in-toto statements in DSSE envelopes, by line."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from factory.errors import PublishError
from factory.publish.libraries import KEYS, require_signing
from factory.publish.signers import TrustedSigner, read_file
from factory.util.atomic_files import write_file
from factory.util.jsonio import encode

if TYPE_CHECKING:
    from securesystemslib.signer import CryptoSigner, Key

STATEMENTS_SUFFIX = ".intoto.jsonl"
PUBLIC_SUFFIX = ".pub"
RSA_BITS = 2048
PAYLOAD_TYPE = "application/vnd.in-toto+json"


@dataclass(frozen=True, slots=True, kw_only=True)
class Signed:
    """A signed payload: the name of the trusted signer, or the keys that nobody here trusts."""

    payload: bytes
    signer: str
    unknown: tuple[str, ...] = ()


def statements_path(wheel: Path) -> Path:
    """Return the path of a wheel's signed statements, whether or not there are any."""
    return wheel.with_name(f"{wheel.name}{STATEMENTS_SUFFIX}")


def make_key(path: Path) -> Path:
    """Write a new private key and, beside it, the public one; return the latter's path.

    Raises:
        PublishError: one of the files exists.
    """
    require_signing(str(path), KEYS)
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
    from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat

    public = path.with_name(f"{path.name}{PUBLIC_SUFFIX}")
    for each in (path, public):
        if each.exists():
            raise PublishError(f"{each}: not written: it exists", hint="name a new file: a lost key cannot be replaced")
    key = Ed25519PrivateKey.generate()
    path.parent.mkdir(parents=True, exist_ok=True)
    path.touch(mode=0o600, exist_ok=False)
    path.write_bytes(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    write_file(public, key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo))
    return public


def load_key(path: Path) -> CryptoSigner:
    """Load a private key (PEM, PKCS #8, without a password).

    Raises:
        PublishError: it cannot be read.
    """
    require_signing(str(path), KEYS)
    from cryptography.exceptions import UnsupportedAlgorithm
    from cryptography.hazmat.primitives.serialization import load_pem_private_key
    from securesystemslib.signer import CryptoSigner

    hint = "make a key: factory attest --new-key FILE"
    content = read_file(path, hint)
    try:
        key = load_pem_private_key(content, password=None)
        _require_strength(key.public_key())
        return CryptoSigner(key)
    except (ValueError, TypeError, UnsupportedAlgorithm) as error:
        raise PublishError(f"{path}: cannot read the private key: {error}", hint=hint) from error


def sign(payload: bytes, signer: CryptoSigner) -> bytes:
    """Return a signed statement as one line of JSON."""
    from securesystemslib.dsse import Envelope

    envelope = Envelope(payload, PAYLOAD_TYPE, {})
    envelope.sign(signer)
    return encode(envelope.to_dict()) + b"\n"


def verify_lines(content: bytes, signers: Sequence[TrustedSigner]) -> list[Signed | ValueError]:
    """Verify each signed statement against the signers' keys.

    An item is a ValueError where the line is damaged, or a trusted key's signature is not that of the statement.

    Raises:
        PublishError: a key's file cannot be read.
    """
    keys = [(signer.name, load_public_key(signer.key)) for signer in signers if signer.key is not None]
    return [_verify(line, keys) for line in content.splitlines() if line.strip()]


def _verify(line: bytes, keys: Sequence[tuple[str, Key]]) -> Signed | ValueError:
    from securesystemslib.dsse import Envelope
    from securesystemslib.exceptions import VerificationError

    try:
        envelope = Envelope.from_dict(json.loads(line))
    except Exception as error:  # the library raises whatever the damage leads to
        return ValueError(f"damaged signature: {error}")
    if envelope.payload_type != PAYLOAD_TYPE:
        return ValueError(f"signature of another kind: {envelope.payload_type!r}")
    claimed = [(name, key) for name, key in keys if key.keyid in envelope.signatures]
    if not claimed:
        return Signed(payload=envelope.payload, signer="", unknown=tuple(envelope.signatures))
    for name, key in claimed:
        try:
            envelope.verify([key], 1)
        except VerificationError:
            continue
        return Signed(payload=envelope.payload, signer=name)
    return ValueError(f"the signature is not one of {claimed[0][0]!r} on this statement")


def load_public_key(path: Path) -> Key:
    """Load a public key (PEM).

    Raises:
        PublishError: it cannot be read.
    """
    require_signing(str(path), KEYS)
    from cryptography.exceptions import UnsupportedAlgorithm
    from cryptography.hazmat.primitives.serialization import load_pem_public_key
    from securesystemslib.signer import SSlibKey

    try:
        key = load_pem_public_key(read_file(path))
        _require_strength(key)
        return SSlibKey.from_crypto(key)
    except (ValueError, TypeError, UnsupportedAlgorithm) as error:
        raise PublishError(f"{path}: cannot read the public key: {error}", hint="name a PEM file") from error


def _require_strength(key: object) -> None:
    """Refuse keys of RSA that are too short to trust (NIST SP 800-131A)."""
    from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey

    if isinstance(key, RSAPublicKey) and key.key_size < RSA_BITS:
        raise ValueError(f"a key of {key.key_size} bits: RSA needs {RSA_BITS}")
