"""Encrypt, sign and derive keys with cryptography's compiled code; compare with published examples and hashlib."""

from __future__ import annotations

import ctypes
import datetime
import hashlib
import hmac
import json
import os
from collections.abc import Callable
from pathlib import Path

import cryptography
from cryptography import x509
from cryptography.exceptions import InvalidSignature, InvalidTag
from cryptography.fernet import Fernet
from cryptography.hazmat.backends.openssl import backend
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, padding, rsa, x25519
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
from cryptography.hazmat.primitives.ciphers.aead import AESGCM, ChaCha20Poly1305
from cryptography.hazmat.primitives.hmac import HMAC
from cryptography.hazmat.primitives.kdf.pbkdf2 import PBKDF2HMAC

DATA = bytes(range(256)) * 17
CPU_INFORMATION = 9  # of OpenSSL_version: the extensions that OpenSSL found
HASHES = {"sha1": hashes.SHA1(), "sha256": hashes.SHA256(), "sha512": hashes.SHA512(), "sha3_256": hashes.SHA3_256()}


def refused(call: Callable[[], object], error: type[Exception]) -> None:
    try:
        call()
    except error:
        return
    raise AssertionError(f"no {error.__name__}")


for name, algorithm in HASHES.items():
    digest = hashes.Hash(algorithm)
    digest.update(DATA)
    assert digest.finalize() == hashlib.new(name, DATA).digest(), name
code = HMAC(b"key", hashes.SHA256())
code.update(DATA)
assert code.finalize() == hmac.digest(b"key", DATA, "sha256")
derived = PBKDF2HMAC(hashes.SHA256(), 32, b"salt", 1000).derive(b"password")
assert derived == hashlib.pbkdf2_hmac("sha256", b"password", b"salt", 1000)

# FIPS 197, appendix C.3
key, plain = bytes(range(32)), bytes.fromhex("00112233445566778899aabbccddeeff")
block = Cipher(algorithms.AES(key), modes.ECB()).encryptor().update(plain)
assert block.hex() == "8ea2b7ca516745bfeafc49904b496089", block.hex()
# GCM's specification, test case 1: the tag of nothing
assert AESGCM(bytes(16)).encrypt(bytes(12), b"", None).hex() == "58e2fccefa7e3061367f1d57a4e7455a"
for cipher in (AESGCM(key), ChaCha20Poly1305(key)):
    sealed = cipher.encrypt(bytes(12), DATA, b"header")
    assert cipher.decrypt(bytes(12), sealed, b"header") == DATA
    assert len(sealed) == len(DATA) + 16
    changed = sealed[:-1] + bytes([sealed[-1] ^ 1])
    refused(lambda cipher=cipher, changed=changed: cipher.decrypt(bytes(12), changed, b"header"), InvalidTag)
token = Fernet.generate_key()
assert Fernet(token).decrypt(Fernet(token).encrypt(DATA)) == DATA

# RFC 8032, section 7.1, test 1
secret = "9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60"
signer = ed25519.Ed25519PrivateKey.from_private_bytes(bytes.fromhex(secret))
public = signer.public_key().public_bytes_raw().hex()
assert public == "d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a", public
signer.public_key().verify(signer.sign(DATA), DATA)
refused(lambda: signer.public_key().verify(signer.sign(DATA), DATA + b"!"), InvalidSignature)
one, other = x25519.X25519PrivateKey.generate(), x25519.X25519PrivateKey.generate()
assert one.exchange(other.public_key()) == other.exchange(one.public_key())
curve = ec.derive_private_key(1, ec.SECP256R1())  # the curve's own generator
assert f"{curve.public_key().public_numbers().x:x}".startswith("6b17d1f2e12c4247f8bce6e563a440f2")
curve.public_key().verify(curve.sign(DATA, ec.ECDSA(hashes.SHA256())), DATA, ec.ECDSA(hashes.SHA256()))

rsa_key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
oaep = padding.OAEP(padding.MGF1(hashes.SHA256()), hashes.SHA256(), None)
assert rsa_key.decrypt(rsa_key.public_key().encrypt(b"secret", oaep), oaep) == b"secret"
pem = rsa_key.private_bytes(
    serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.BestAvailableEncryption(b"word")
)
assert serialization.load_pem_private_key(pem, b"word").private_numbers() == rsa_key.private_numbers()

subject = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "Zwölf")])
start = datetime.datetime(2024, 2, 29, tzinfo=datetime.UTC)
built = x509.CertificateBuilder(subject, subject, rsa_key.public_key(), 12, start, start + datetime.timedelta(days=30))
certificate = x509.load_der_x509_certificate(
    built.sign(rsa_key, hashes.SHA256()).public_bytes(serialization.Encoding.DER)
)
certificate.verify_directly_issued_by(certificate)
assert certificate.subject == subject
assert certificate.not_valid_before_utc == start
assert certificate.serial_number == 12

mapped = {line.split()[-1] for line in Path("/proc/self/maps").read_text().splitlines() if "/libcrypto-" in line}
libcrypto = ctypes.CDLL(mapped.pop())
libcrypto.OpenSSL_version.restype = ctypes.c_char_p
extensions = libcrypto.OpenSSL_version(CPU_INFORMATION).decode().partition(" vlen:")[0].split("_")
facts = {"vectors": "V" in extensions, "vector-aes": "ZVKNED" in extensions}

shown = f"cryptography {cryptography.__version__}, {backend.openssl_version_text()}: hashes, ciphers, signatures, X.509"
result = {"shown": shown, "facts": facts, "tokens": [], "logits": []}
Path(os.environ["FACTORY_RESULT"]).write_text(json.dumps(result), encoding="utf-8")
