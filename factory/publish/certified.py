"""Attestations of PEP 740: signed by sigstore with a certificate of the signer's identity."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Sequence
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

from factory.errors import PublishError
from factory.publish.own_keys import Signed
from factory.publish.signers import TrustedSigner, read_file

if TYPE_CHECKING:
    from pypi_attestations import Attestation
    from sigstore.models import ClientTrustConfig
    from sigstore.verify import Verifier

_Checked = Signed | ValueError


def verify_provenance(content: bytes, signers: Sequence[TrustedSigner]) -> list[_Checked]:
    """Verify each attestation of a provenance object against the signers' identities.

    An item is a ValueError where the attestation is damaged, or not vouched for by sigstore's certificates and log.

    Raises:
        PublishError: a signer's file cannot be read.
    """
    from pypi_attestations import Provenance

    try:
        bundles = Provenance.model_validate_json(content).attestation_bundles
    except ValueError as error:
        return [ValueError(f"damaged provenance: {' '.join(str(error).split())[:200]}")]
    logging.getLogger("sigstore").setLevel(logging.ERROR)  # it warns that identities are compared by the caller
    return [_verify(attestation, signers) for bundle in bundles for attestation in bundle.attestations]


def _verify(attestation: Attestation, signers: Sequence[TrustedSigner]) -> _Checked:
    from sigstore.errors import VerificationError
    from sigstore.verify.policy import Identity, UnsafeNoOp

    certified: list[Path | None] = []
    cause = ""
    # The public instance comes last: it is asked for its keys only where no signer's instance has certified.
    configs = dict.fromkeys([*(signer.trust_config for signer in signers if signer.identity), None])
    for config in configs:
        if config is None and certified:
            continue
        try:
            bundle = attestation.to_bundle()
            _, payload = _verifier(config).verify_dsse(bundle, UnsafeNoOp())
        except PublishError:
            raise
        except Exception as error:  # the libraries raise whatever damage leads to
            cause = cause or str(error)
            continue
        certified.append(config)
    if not certified:
        return ValueError(f"the signature is not certified: {cause}")
    certificate = bundle.signing_certificate
    for signer in signers:
        if signer.identity and signer.trust_config in certified:
            try:
                Identity(identity=signer.identity, issuer=signer.issuer).verify(certificate)
            except VerificationError:
                continue
            return Signed(payload=payload, signer=signer.name)
    return Signed(payload=payload, signer="", unknown=tuple(_identities(attestation)))


def _identities(attestation: Attestation) -> Iterator[str]:
    """Yield the identities that an attestation's certificate states."""
    from cryptography import x509

    certificate = x509.load_der_x509_certificate(attestation.verification_material.certificate)
    names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    yield from names.get_values_for_type(x509.UniformResourceIdentifier)
    yield from names.get_values_for_type(x509.RFC822Name)


@cache
def _verifier(config: Path | None) -> Verifier:
    from sigstore.verify import Verifier

    return Verifier(trusted_root=load_trust(config).trusted_root)


def load_trust(config: Path | None) -> ClientTrustConfig:
    """Load the keys and addresses of an instance of sigstore, the public one without a file.

    Those that the installed client came with are used where they cannot be renewed.

    Raises:
        PublishError: the file cannot be read.
        sigstore.errors.Error: it is damaged.
    """
    from sigstore.errors import TUFError
    from sigstore.models import ClientTrustConfig

    if config is not None:
        return ClientTrustConfig.from_json(read_file(config).decode())
    try:
        return ClientTrustConfig.production()
    except TUFError:
        return ClientTrustConfig.production(offline=True)
