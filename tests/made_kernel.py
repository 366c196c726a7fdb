"""Kernels made here from real exports: tables in every layout that kernels have had, in every container and codec."""

from __future__ import annotations

import struct
from collections.abc import Sequence

from modcheck.module import Export

RELEASE = "6.1.0-made"
BANNER = f"Linux version {RELEASE} (a@b) (gcc) #1 SMP\n\0{RELEASE} SMP mod_unload modversions \0".encode()
PAGE = 4096


def table(
    exports: Sequence[Export],
    order: str = "<",
    relative: bool = True,
    word: int = 4,
    fields: int = 3,
    crc: int = 4,
    flags: bool = False,
    base: int = 0,
    before: bytes = BANNER,
) -> bytes:
    """A flat image with these exports.

    :param crc: bytes of a CRC, 0 for none; -4: offsets to CRCs elsewhere
    :param flags: one table with flags (7.1), in place of two
    :param base: the address of the image's first byte, for absolute entries
    """
    kinds = [sorted(exports)] if flags else [sorted(one for one in exports if one.gpl == gpl) for gpl in (False, True)]
    rows = [row for kind in kinds for row in kind]
    image = bytearray(before.ljust(PAGE, b"\0"))
    start = len(image)
    crcs = start + len(rows) * word * fields
    after = crcs + len(rows) * abs(crc)
    strings = after + (len(rows) if flags else 0)
    texts = bytearray(b"\0" if fields == 3 else b"")
    places = {"": strings}
    for text in sorted({row.name for row in rows} | {row.namespace for row in rows} - {""}):
        places[text] = strings + len(texts)
        texts += text.encode() + b"\0"
    kind = ("i" if relative else "I") if word == 4 else "Q"
    for index, row in enumerate(rows):
        values = (PAGE + 24 * (index * 7919 % len(rows)), places[row.name], places[row.namespace])[:fields]
        for field, value in enumerate(values):
            here = start + (index * fields + field) * word
            image += struct.pack(order + kind, value - here if relative else value + base)
    elsewhere = strings + len(texts) + 3 & -4
    for row in rows:
        if crc == -4:
            image += struct.pack(f"{order}i", elsewhere - crcs)
        elif crc:
            image += struct.pack(order + ("I" if crc == 4 else "Q"), row.crc or 0)
    image += bytes(bool(row.gpl) for row in rows) if flags else b""
    image += texts
    image += bytes(elsewhere - len(image))
    if crc == -4:
        image += b"".join(struct.pack(f"{order}I", row.crc or 0) for row in rows)
    return bytes(image)
