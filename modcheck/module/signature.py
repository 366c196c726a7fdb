"""The signature trailer that `scripts/sign-file` appends to a module; `include/uapi/linux/module_signature.h`, 7.3.

From the end of the file backwards: a marker of 28 bytes, a structure of 12, the signature, then the signed image. Since
4.3 the signature is a PKCS#7 message without the data that it signs, and nearly always without certificates.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Any

from .facts import Message, Signature, Signer

MARKER = b"~Module signature appended~\n"
_STRUCTURE = 12
_ID_PKCS7 = 2
#: bytes of the signatures by RSA, and by the two curves that are common
_SIZES = (512, 384, 256, *range(104, 95, -1), *range(72, 65, -1))


def read_signature(data: bytes, *, digests: bool = True) -> Signature | None:
    """The trailer at the end of the module `data`; None when the marker is not there (an unsigned module).

    :param digests: work out what was signed; a kernel of which no keys are known is not asked whether it fits
    """
    if not data.endswith(MARKER):
        return None
    body = data[: -len(MARKER)]
    if len(body) <= _STRUCTURE:
        return Signature(None, True, 0, len(MARKER), None)
    raw = body[-_STRUCTURE:]
    sig_len = int.from_bytes(raw[8:], "big")
    start = len(body) - _STRUCTURE - sig_len
    is_pkcs7 = raw[2] == _ID_PKCS7 and start >= 0
    return Signature(
        fields=(raw[0], raw[1], raw[2], raw[3], raw[4]),
        padding_is_zero=not any(raw[5:8]),
        sig_len=sig_len,
        trailer_length=len(MARKER) + _STRUCTURE + sig_len,
        message=_message(body[start:-_STRUCTURE], body[:start] if digests else None) if is_pkcs7 else None,
    )


def _message(data: bytes, image: bytes | None) -> Message | None:
    """The PKCS#7 message in `data`, which signs `image`; None where it cannot be parsed.

    The modules of a kernel differ in the signature's value alone, which ends the message: the rest is parsed once.
    """
    size = next((size for size in _SIZES if data[:-size].endswith(_octets(size))), 0)
    message = _parse(data[: len(data) - size], size)
    if message and size:
        if [signer.value for signer in message.signers] == [bytes(size)]:
            message = message._replace(signers=(message.signers[0]._replace(value=data[-size:]),))
        else:
            message = _parse(data, 0)
    if message is None:
        return None
    signers = tuple(one._replace(digest=_digest(one.hash, image)) for one in message.signers)
    return message._replace(signers=signers)


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


def _digest(hash_name: str, image: bytes | None) -> bytes:
    """Of the signed part; empty where it is not asked for, or the hash is not known."""
    if image is None:
        return b""
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
