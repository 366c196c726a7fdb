"""Modules that somebody else signed, and modules that were changed after they were signed."""

from __future__ import annotations

import datetime
from functools import cache

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import Encoding, pkcs7

from modcheck.files import SIGNATURE_MARKER as MARKER
from modcheck.module.signature import read_signature


def unsigned(data: bytes) -> bytes:
    """The module without its signature."""
    signature = read_signature(data)
    return data[: len(data) - signature.trailer_length] if signature else data


def changed(data: bytes) -> bytes:
    """A byte of the module turned round in the .comment that compilers leave, where no check of ELF looks."""
    place = data.rindex(b"GCC: (") + 7
    return data[:place] + bytes((data[place] ^ 1,)) + data[place + 1 :]


@cache
def _signer() -> tuple[x509.Certificate, rsa.RSAPrivateKey]:
    """A key that no kernel knows."""
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "modcheck's own key for tests")])
    day = datetime.datetime(2026, 1, 1)
    builder = x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number(), day, day.replace(2036))
    return builder.sign(key, hashes.SHA256()), key


def signed(data: bytes) -> bytes:
    """The module with a good signature by a key of our own, in the form of scripts/sign-file."""
    plain = unsigned(data)
    certificate, key = _signer()
    options = [getattr(pkcs7.PKCS7Options, name) for name in ("DetachedSignature", "Binary", "NoAttributes", "NoCerts")]
    builder = pkcs7.PKCS7SignatureBuilder().set_data(plain).add_signer(certificate, key, hashes.SHA256())
    message = builder.sign(Encoding.DER, options)
    return plain + message + bytes((0, 0, 2, 0, 0, 0, 0, 0)) + len(message).to_bytes(4, "big") + MARKER
