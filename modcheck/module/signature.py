"""The signature trailer that `scripts/sign-file` appends to a module; `include/uapi/linux/module_signature.h`, 7.3.

From the end of the file backwards: a marker of 28 bytes, a structure of 12, the signature, then the signed image.
"""

from __future__ import annotations

from .facts import Signature

MARKER = b"~Module signature appended~\n"
_STRUCTURE = 12


def read_signature(data: bytes) -> Signature | None:
    """The trailer at the end of the module `data`; None when the marker is not there (an unsigned module)."""
    if not data.endswith(MARKER):
        return None
    body = data[: -len(MARKER)]
    if len(body) <= _STRUCTURE:
        return Signature(None, True, 0, len(MARKER))
    raw = body[-_STRUCTURE:]
    sig_len = int.from_bytes(raw[8:], "big")
    return Signature(
        fields=(raw[0], raw[1], raw[2], raw[3], raw[4]),
        padding_is_zero=not any(raw[5:8]),
        sig_len=sig_len,
        trailer_length=len(MARKER) + _STRUCTURE + sig_len,
    )
