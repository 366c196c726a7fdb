"""The signature trailer that `scripts/sign-file` appends to a module; `include/uapi/linux/module_signature.h`, 7.3.

From the end of the file backwards: a marker of 28 bytes, a structure of 12, the signature, then the signed image. Since
4.3 the signature is a PKCS#7 message without the data that it signs, and nearly always without certificates.
"""

from __future__ import annotations

from functools import cache, lru_cache
from typing import Any, NamedTuple

from ..files import SIGNATURE_MARKER

_STRUCTURE = 12
_ID_PKCS7 = 2
#: bytes of the signatures by RSA, and by the two curves that are common
_SIZES = (512, 384, 256, *range(104, 95, -1), *range(72, 65, -1))


class Signer(NamedTuple):
    """One signer of a PKCS#7 message: whose key, and what is signed with it."""

    name: str
    """in words: the issuer of its certificate, or the key's identifier"""
    issuer: bytes
    """DER of the name that issued its certificate; empty where `key_id` tells the key"""
    serial: int
    """the certificate's serial number"""
    key_id: bytes
    """the certificate's subject key identifier; empty where issuer and serial tell it"""
    hash: str
    """of the digest: `sha256`, or an OID"""
    algorithm: str
    """of the signature, in asn1crypto's words: `rsassa_pkcs1v15`, `sha256_rsa`, `sha384_ecdsa`, or an OID"""
    attributes: bool
    """whether attributes are signed, and not the data itself"""
    value: bytes
    """the signature itself; may be zeros where no digests are asked for"""
    digest: bytes
    """of the module's signed part; empty where this Python does not know the hash"""


class Message(NamedTuple):
    """A PKCS#7 message of signed data (RFC 2315, RFC 5652)."""

    version: int
    is_data: bool
    """whether plain data is signed, and nothing of a type of its own"""
    attached: bool
    """whether the message has the data in it, too"""
    certificates: int
    """how many it brings along"""
    signers: tuple[Signer, ...]


class Signature(NamedTuple):
    """The trailer of a signed module (`include/uapi/linux/module_signature.h`): fields, then lengths in bytes.

    `sig_len` counts the signature itself; `trailer_length` all that follows the signed image, the 28-byte marker
    included. `fields` is None where the file is too short to hold the 12-byte structure before the marker.
    """

    fields: tuple[int, int, int, int, int] | None
    """algo, hash, id_type, signer_len, key_id_len"""
    padding_is_zero: bool
    sig_len: int
    trailer_length: int
    message: Message | None
    """the signature itself; None where it is no PKCS#7 message, or a broken one"""

    @property
    def signers(self) -> tuple[Signer, ...]:
        """Who signed, as far as the message can be read."""
        return self.message.signers if self.message else ()


def read_signature(data: bytes, *, digests: bool = True) -> Signature | None:
    """The trailer at the end of the module `data`; None when the marker is not there (an unsigned module).

    :param digests: work out what was signed; a kernel of which no keys are known is not asked whether it fits
    """
    if not data.endswith(SIGNATURE_MARKER):
        return None
    end = len(data) - len(SIGNATURE_MARKER) - _STRUCTURE
    if end <= 0:
        return Signature(None, True, 0, len(SIGNATURE_MARKER), None)
    raw = data[end : end + _STRUCTURE]
    sig_len = int.from_bytes(raw[8:], "big")
    start = end - sig_len
    is_pkcs7 = raw[2] == _ID_PKCS7 and start >= 0
    return Signature(
        fields=(raw[0], raw[1], raw[2], raw[3], raw[4]),
        padding_is_zero=not any(raw[5:8]),
        sig_len=sig_len,
        trailer_length=len(SIGNATURE_MARKER) + _STRUCTURE + sig_len,
        message=_message(data[start:end], data[:start] if digests else None) if is_pkcs7 else None,
    )


def _message(data: bytes, image: bytes | None) -> Message | None:
    """The PKCS#7 message in `data`, which signs `image`; None where it cannot be parsed.

    The modules of a kernel differ in the signature's value alone, which ends the message: the rest is parsed once.
    """
    size = next((size for size in _SIZES if data[-size - 4 : -size].endswith(_octets(size))), 0)
    message = _parse(data[: len(data) - size], size)
    if message and size and [signer.value for signer in message.signers] != [bytes(size)]:
        message, size = _parse(data, 0), 0
    if message is None or image is None:
        return message
    values = [data[-size:]] if size else [one.value for one in message.signers]
    pairs = zip(message.signers, values)
    signers = [one._replace(value=value, digest=_digest(one.hash, image)) for one, value in pairs]
    return message._replace(signers=tuple(signers))


@cache
def _octets(size: int) -> bytes:
    """What DER has before an octet string of so many bytes."""
    return bytes((4, size)) if size < 128 else b"\x04\x82" + size.to_bytes(2, "big")


@lru_cache(maxsize=32)
def _parse(data: bytes, size: int) -> Message | None:
    """The message in `data` and so many bytes of zero, without digests."""
    from asn1crypto.cms import ContentInfo  # takes as long to import as all the rest; most modules are not signed

    try:
        content = ContentInfo.load(data + bytes(size))["content"]
        signed = content["encap_content_info"]
        return Message(
            version=int(content["version"]),
            is_data=signed["content_type"].native == "data",
            attached=signed["content"].native is not None,
            certificates=len(content["certificates"]),
            signers=tuple(map(_signer, content["signer_infos"])),
        )
    except (ValueError, KeyError, TypeError, AttributeError):
        return None


def _digest(hash_name: str, image: bytes) -> bytes:
    """Of the signed part; empty where the hash is not known."""
    import hashlib

    try:
        return hashlib.new(hash_name, image).digest()
    except (ValueError, TypeError):  # not known, or of no fixed length
        return b""


def _signer(fields: Any) -> Signer:
    identity = fields["sid"].chosen
    by_name = fields["sid"].name == "issuer_and_serial_number"
    return Signer(
        name=_name(identity["issuer"]) if by_name else identity.native.hex(":"),
        issuer=identity["issuer"].dump() if by_name else b"",
        serial=identity["serial_number"].native if by_name else 0,
        key_id=b"" if by_name else identity.native,
        hash=fields["digest_algorithm"]["algorithm"].native,
        algorithm=fields["signature_algorithm"]["algorithm"].native,
        attributes=len(fields["signed_attrs"]) > 0,
        value=fields["signature"].native,
        digest=b"",
    )


def _name(issuer: Any) -> str:
    try:
        return str(issuer.human_friendly)
    except ValueError:  # a string in it that is none; the kernel compares bytes
        return str(issuer.dump().hex())
