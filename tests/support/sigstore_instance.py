"""A small sigstore on loopback: identities, certificates and log.

All cryptography is real. It signs certificates for tokens that it issued itself, with a timestamp of a certificate
transparency log (RFC 6962), and keeps statements in a Merkle tree that it signs. Certificates have the claims of
GitHub's workflows. Only what clients need is there.
"""

from __future__ import annotations

import base64
import hashlib
import json
import struct
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import cached_property
from pathlib import Path
from typing import Any

import jwt
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID
from pypi_attestations import GitHubPublisher
from sigstore.oidc import _KNOWN_OIDC_ISSUERS

from tests.support.handler_server import QuietHandler, handled

REPOSITORY, WORKFLOW, REF = "owner/factory", "nightly.yml", "refs/heads/main"
REQUEST_TOKEN = "a-token-of-the-runner"
# The names that clients know: the runner's issuer, and the server of repositories.
ISSUER = next(name for name in _KNOWN_OIDC_ISSUERS if "actions" in name)
_POLICY: Any = GitHubPublisher(repository=REPOSITORY, workflow=WORKFLOW)._as_policy()
SERVER = str(_POLICY._subpolicy._children[1]._value).removesuffix(f"/{REPOSITORY}")
TIMESTAMPS = x509.ObjectIdentifier("1.3.6.1.4.1.11129.2.4.2")
CLAIMS = "1.3.6.1.4.1.57264.1."
ALGORITHM = ec.ECDSA(hashes.SHA256())
START = {"start": "2020-01-01T00:00:00Z"}
TRUST = "application/vnd.dev.sigstore.clienttrustconfig.v0.1+json"
ROOT = "application/vnd.dev.sigstore.trustedroot+json;version=0.1"
SIGNING = "application/vnd.dev.sigstore.signingconfig.v0.2+json"


def new_key() -> ec.EllipticCurvePrivateKey:
    return ec.generate_private_key(ec.SECP256R1())


def identity_of(workflow: str = WORKFLOW) -> str:
    """Return the URI of a workflow, as certificates state it."""
    return f"{SERVER}/{REPOSITORY}/.github/workflows/{workflow}@{REF}"


@dataclass(slots=True, kw_only=True)
class Log:
    """A transparency log: a Merkle tree of entries, signed by a key."""

    key: ec.EllipticCurvePrivateKey = field(default_factory=new_key)
    leaves: list[bytes] = field(default_factory=list)

    @property
    def name(self) -> bytes:
        return hashlib.sha256(public_bytes(self.key)).digest()

    def sign(self, data: bytes) -> bytes:
        return self.key.sign(data, ALGORITHM)

    def add(self, body: bytes) -> dict[str, Any]:
        """Append an entry; return it as the log's API does."""
        self.leaves.append(hashlib.sha256(b"\x00" + body).digest())
        index, size = len(self.leaves) - 1, len(self.leaves)
        entry = {
            "body": base64.b64encode(body).decode(),
            "integratedTime": int(time.time()),
            "logID": self.name.hex(),
            "logIndex": index,
        }
        root = root_of(self.leaves)
        note = f"log.example\n{size}\n{base64.b64encode(root).decode()}\n"
        signature = base64.b64encode(self.name[:4] + self.sign(note.encode())).decode()
        proof = {
            "checkpoint": f"{note}\n— log.example {signature}\n",
            "hashes": [each.hex() for each in path_to(index, self.leaves)],
            "logIndex": index,
            "rootHash": root.hex(),
            "treeSize": size,
        }
        promise = base64.b64encode(self.sign(canonical(entry))).decode()
        return {**entry, "verification": {"inclusionProof": proof, "signedEntryTimestamp": promise}}


def _split(size: int) -> int:
    """Return the largest power of two below a tree's size (RFC 6962)."""
    return 1 << ((size - 1).bit_length() - 1)


def root_of(leaves: list[bytes]) -> bytes:
    if len(leaves) == 1:
        return leaves[0]
    middle = _split(len(leaves))
    return hashlib.sha256(b"\x01" + root_of(leaves[:middle]) + root_of(leaves[middle:])).digest()


def path_to(index: int, leaves: list[bytes]) -> list[bytes]:
    """Return the hashes beside the way from a leaf to the root, the lowest first."""
    if len(leaves) == 1:
        return []
    middle = _split(len(leaves))
    if index < middle:
        return [*path_to(index, leaves[:middle]), root_of(leaves[middle:])]
    return [*path_to(index - middle, leaves[middle:]), root_of(leaves[:middle])]


def canonical(value: object) -> bytes:
    """Return the canonical JSON of texts and whole numbers (RFC 8785)."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode()


def public_bytes(key: ec.EllipticCurvePrivateKey) -> bytes:
    return key.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)


@dataclass(kw_only=True)
class Instance:
    """An instance of sigstore; `url` is its address.

    It signs for the workflow `workflow`, with certificates from `starts` minutes from now for ten minutes. `failing`
    are paths that answer with an error.
    """

    url: str = ""
    workflow: str = WORKFLOW
    starts: float = -1.0
    failing: dict[str, int] = field(default_factory=dict)
    tokens: ec.EllipticCurvePrivateKey = field(default_factory=new_key)
    authority: ec.EllipticCurvePrivateKey = field(default_factory=new_key)
    certificates: Log = field(default_factory=Log)
    statements: Log = field(default_factory=Log)

    @cached_property
    def root(self) -> x509.Certificate:
        """The authority's own certificate."""
        name, now = _name("An authority"), datetime.now(UTC)
        public = self.authority.public_key()
        usage = {"key_cert_sign": True, "crl_sign": True}
        return (
            x509.CertificateBuilder(name, name, public, x509.random_serial_number())
            .not_valid_before(now - timedelta(days=1))
            .not_valid_after(now + timedelta(days=1))
            .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
            .add_extension(_usage(**usage), critical=True)
            .add_extension(x509.SubjectKeyIdentifier.from_public_key(public), critical=False)
            .sign(self.authority, hashes.SHA256())
        )

    def token(self, audience: str) -> str:
        """Return a token that states the workflow's identity."""
        now = int(time.time())
        claims = {"iss": ISSUER, "aud": audience, "sub": f"repo:{REPOSITORY}:ref:{REF}", "iat": now, "exp": now + 300}
        return jwt.encode({**claims, "job_workflow_ref": identity_of(self.workflow)}, self.tokens, algorithm="ES256")

    def certify(self, token: str, request: bytes) -> list[str]:
        """Return the chain of certificates for a token and a signed request."""
        claims = jwt.decode(token, self.tokens.public_key(), algorithms=["ES256"], audience="sigstore")
        asked = x509.load_pem_x509_csr(request)
        assert asked.is_signature_valid
        key = asked.public_key()
        assert isinstance(key, ec.EllipticCurvePublicKey)
        builder = self._builder(key, claims["job_workflow_ref"])
        bare = builder.sign(self.authority, hashes.SHA256())
        timestamp = x509.UnrecognizedExtension(TIMESTAMPS, _octets(self._timestamp(bare.tbs_certificate_bytes)))
        signed = builder.add_extension(timestamp, critical=False).sign(self.authority, hashes.SHA256())
        return [each.public_bytes(Encoding.PEM).decode() for each in (signed, self.root)]

    def _builder(self, key: ec.EllipticCurvePublicKey, identity: str) -> x509.CertificateBuilder:
        begin = datetime.now(UTC) + timedelta(minutes=self.starts)
        issuer = x509.SubjectKeyIdentifier.from_public_key(self.authority.public_key())
        builder = (
            x509.CertificateBuilder(self.root.subject, x509.Name([]), key, x509.random_serial_number())
            .not_valid_before(begin)
            .not_valid_after(begin + timedelta(minutes=10))
            .add_extension(_usage(digital_signature=True), critical=True)
            .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.CODE_SIGNING]), critical=False)
            .add_extension(x509.AuthorityKeyIdentifier.from_issuer_subject_key_identifier(issuer), critical=False)
            .add_extension(x509.SubjectAlternativeName([x509.UniformResourceIdentifier(identity)]), critical=True)
            .add_extension(x509.UnrecognizedExtension(_claim(1), ISSUER.encode()), critical=False)
        )
        stated = {8: ISSUER, 9: identity, 12: f"{SERVER}/{REPOSITORY}", 13: "1" * 40, 14: REF, 18: identity}
        for number, text in stated.items():
            value = x509.UnrecognizedExtension(_claim(number), _text(text))
            builder = builder.add_extension(value, critical=False)
        return builder

    def _timestamp(self, certificate: bytes) -> bytes:
        """Return the list with the log's timestamp of a certificate without one (RFC 6962)."""
        now = int(time.time() * 1000)
        issuer = hashlib.sha256(public_bytes(self.authority)).digest()
        entry = issuer + len(certificate).to_bytes(3, "big") + certificate
        signature = self.certificates.sign(struct.pack("!BBQH", 0, 0, now, 1) + entry + b"\x00\x00")
        made = b"\x00" + self.certificates.name + struct.pack("!QHBBH", now, 0, 4, 3, len(signature)) + signature
        return struct.pack("!HH", len(made) + 2, len(made)) + made

    def log(self, proposed: dict[str, Any]) -> dict[str, Any]:
        """Add a statement to the log after verifying its signature."""
        content = proposed["spec"]["proposedContent"]
        envelope = json.loads(content["envelope"])
        payload, (signed,) = base64.b64decode(envelope["payload"]), envelope["signatures"]
        certificate = x509.load_pem_x509_certificate(base64.b64decode(content["verifiers"][0]))
        key, kind = certificate.public_key(), envelope["payloadType"]
        assert isinstance(key, ec.EllipticCurvePublicKey)
        encoded = f"DSSEv1 {len(kind)} {kind} {len(payload)} ".encode() + payload
        key.verify(base64.b64decode(signed["sig"]), encoded, ALGORITHM)
        spec = {
            "envelopeHash": {"algorithm": "sha256", "value": hashlib.sha256(content["envelope"].encode()).hexdigest()},
            "payloadHash": {"algorithm": "sha256", "value": hashlib.sha256(payload).hexdigest()},
            "signatures": [{"signature": signed["sig"], "verifier": content["verifiers"][0]}],
        }
        body = canonical({"apiVersion": "0.0.1", "kind": "dsse", "spec": spec})
        return {"0" * 64: self.statements.add(body)}

    def trust(self) -> dict[str, Any]:
        """Return the configuration of clients.

        It also names a log of the next version, whose entries attestations cannot hold.
        """
        service = {"validFor": START, "operator": "tests", "majorApiVersion": 1, "url": self.url}
        chain = {"certificates": [{"rawBytes": _base64(self.root.public_bytes(Encoding.DER))}]}
        subject = {"organization": "tests", "commonName": "An authority"}
        root = {
            "mediaType": ROOT,
            "tlogs": [self._instance(self.statements)],
            "ctlogs": [self._instance(self.certificates)],
            "certificateAuthorities": [
                {"subject": subject, "uri": self.url, "certChain": chain, "validFor": START},
            ],
            "timestampAuthorities": [],
        }
        signing = {
            "mediaType": SIGNING,
            "caUrls": [service],
            "oidcUrls": [service],
            "rekorTlogUrls": [{**service, "majorApiVersion": 2, "url": f"{self.url}/next"}, service],
            "tsaUrls": [],
            "rekorTlogConfig": {"selector": "ANY"},
            "tsaConfig": {"selector": "ANY"},
        }
        return {"mediaType": TRUST, "trustedRoot": root, "signingConfig": signing}

    def _instance(self, log: Log) -> dict[str, Any]:
        key = {"rawBytes": _base64(public_bytes(log.key)), "keyDetails": "PKIX_ECDSA_P256_SHA_256", "validFor": START}
        return {
            "baseUrl": self.url,
            "hashAlgorithm": "SHA2_256",
            "publicKey": key,
            "logId": {"keyId": _base64(log.name)},
        }

    def write_trust(self, path: Path) -> Path:
        """Write the configuration of clients to a file."""
        path.write_text(json.dumps(self.trust()))
        return path

    def variables(self) -> Mapping[str, str]:
        """Return the variables of a job that may have an identity."""
        return {
            "GITHUB_ACTIONS": "true",
            "GITHUB_SERVER_URL": SERVER,
            "GITHUB_REPOSITORY": REPOSITORY,
            "GITHUB_WORKFLOW_REF": f"{REPOSITORY}/.github/workflows/{self.workflow}@{REF}",
            "ACTIONS_ID_TOKEN_REQUEST_TOKEN": REQUEST_TOKEN,
            "ACTIONS_ID_TOKEN_REQUEST_URL": f"{self.url}/token?api-version=2.0",
        }


def _name(text: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, text)])


def _usage(**chosen: bool) -> x509.KeyUsage:
    names = ("digital_signature", "content_commitment", "key_encipherment", "data_encipherment", "key_agreement")
    others = ("key_cert_sign", "crl_sign", "encipher_only", "decipher_only")
    return x509.KeyUsage(**{name: chosen.get(name, False) for name in (*names, *others)})


def _claim(number: int) -> x509.ObjectIdentifier:
    return x509.ObjectIdentifier(f"{CLAIMS}{number}")


def _length(content: bytes) -> bytes:
    size = len(content)
    return bytes([size]) if size < 128 else b"\x82" + size.to_bytes(2, "big")


def _octets(content: bytes) -> bytes:
    return b"\x04" + _length(content) + content


def _text(text: str) -> bytes:
    content = text.encode()
    return b"\x0c" + _length(content) + content


def _base64(content: bytes) -> str:
    return base64.b64encode(content).decode()


@contextmanager
def sigstore_instance() -> Iterator[Instance]:
    """Serve an instance on loopback."""
    instance = Instance()

    class Handler(QuietHandler):
        def do_GET(self) -> None:
            path, _, query = self.path.partition("?")
            authorized = self.headers["Authorization"] == f"bearer {REQUEST_TOKEN}"
            if path != "/token" or not authorized or "audience=sigstore" not in query:
                self._answer(403, {"message": "no token for you"})
            else:
                self._answer(instance.failing.get(path, 200), {"value": instance.token("sigstore")})

        def do_POST(self) -> None:
            content = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            if self.path in instance.failing:
                self._answer(instance.failing[self.path], {"message": "it is out of order"})
            elif self.path == "/api/v2/signingCert":
                token = self.headers["Authorization"].removeprefix("Bearer ")
                chain = instance.certify(token, base64.b64decode(content["certificateSigningRequest"]))
                self._answer(201, {"signedCertificateEmbeddedSct": {"chain": {"certificates": chain}}})
            elif self.path == "/api/v1/log/entries":
                self._answer(201, instance.log(content))
            else:
                self._answer(404, {"message": "no such service"})

        def _answer(self, status: int, content: object) -> None:
            body = json.dumps(content).encode()
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

    with handled(Handler) as url:
        instance.url = url
        yield instance
