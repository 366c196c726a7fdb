"""Certificates: the keys whose signatures a kernel takes (its keyrings `.builtin_trusted_keys` and `.secondary…`)."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from ..errors import UnreadableError
from ..files import read_bytes

if TYPE_CHECKING:
    from ..module.signature import Signature, Signer


class Certificate(NamedTuple):
    """One that a kernel trusts."""

    issuer: bytes
    """DER of the issuer's name"""
    serial: int
    key_id: bytes
    """the subject key identifier, empty where it has none"""
    key: bytes | None
    """DER of the public key (SubjectPublicKeyInfo); None where only modules that it signed are at hand"""
    in_image: bool = False
    """found in the kernel's image"""

    def signed(self, signer: Signer) -> bool:
        """Whether `signer` names this certificate."""
        if signer.key_id:
            return signer.key_id == self.key_id
        return (signer.issuer, signer.serial) == (self.issuer, self.serial)


def read_certificate(path: str) -> Certificate:
    """The X.509 certificate in the file `path`, DER or PEM.

    :raises UnreadableError: the file cannot be read, or is none
    """
    from asn1crypto import pem

    data = read_bytes(path)
    try:
        if pem.detect(data):
            found = [block for _, _, block in pem.unarmor(data, multiple=True)]
            if len(found) != 1:
                raise UnreadableError(path, f"{len(found)} certificates in one file; give one a file")
            data = found[0]
        return parse_certificate(data)
    except (ValueError, KeyError, TypeError) as error:
        raise UnreadableError(path, f"no X.509 certificate: {str(error).splitlines()[0]}") from None


def parse_certificate(data: bytes) -> Certificate:
    """The certificate in the DER bytes `data`. Raises ValueError."""
    from asn1crypto.x509 import Certificate as X509

    found = X509.load(data, strict=True)
    return Certificate(
        issuer=found.issuer.dump(),
        serial=found.serial_number,
        key_id=found.key_identifier or b"",
        key=found.public_key.dump(),
    )


def signed_by(signature: Signature | None) -> tuple[Certificate, ...]:
    """The certificates of those who signed a module of the kernel's own build, as far as its signature tells them."""
    signers = signature.signers if signature else ()
    return tuple(Certificate(one.issuer, one.serial, one.key_id, None) for one in signers)
