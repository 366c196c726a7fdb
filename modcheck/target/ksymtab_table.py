"""The export table of a kernel as both of its searches find it: by section headers (ksymtab.py), or in a flat image
(ksymtab_flat.py)."""

from __future__ import annotations

import struct
from collections.abc import Sequence
from itertools import repeat
from typing import NamedTuple

from ..module.facts import Export
from .symvers import KERNEL


class Layout(NamedTuple):
    """How one entry is laid out."""

    order: str
    """`<` or `>`"""
    relative: bool
    word: int
    """bytes in a field"""
    fields: int
    """2, or 3 with a namespace"""

    def words(self, data: bytes | memoryview) -> tuple[int, ...]:
        """All words of a table, signed where they are offsets."""
        kind = ("i" if self.relative else "I") if self.word == 4 else "Q"
        return struct.unpack(f"{self.order}{len(data) // self.word}{kind}", data)


class Table(NamedTuple):
    """What a kernel exports, column by column, no symbol twice."""

    names: Sequence[str]
    crcs: Sequence[int | None]
    gpl: Sequence[bool]
    namespaces: Sequence[str]
    layout: Layout

    def exports(self) -> tuple[Export, ...]:
        """The same row by row."""
        return tuple(map(Export, *self[:4], repeat(KERNEL)))


def columns(
    names: Sequence[str], crcs: Sequence[int | None], gpl: Sequence[bool], namespaces: Sequence[str], layout: Layout
) -> Table:
    """The table of these columns; of a symbol that is there twice the first row counts."""
    if len(set(names)) == len(names):
        return Table(names, crcs, gpl, namespaces, layout)
    first = sorted(dict(zip(reversed(names), range(len(names) - 1, -1, -1))).values())
    return Table(
        [names[index] for index in first],
        [crcs[index] for index in first],
        [gpl[index] for index in first],
        [namespaces[index] for index in first],
        layout,
    )


def follow_crcs(data: bytes, start: int, words: tuple[int, ...], order: str) -> tuple[int, ...]:
    """CRCs of 32 bits at the offset `start`: the words themselves, or what they point to (CONFIG_MODULE_REL_CRCS).

    Of random words less than one in a hundred points into the image; all of them do where they are offsets.
    """
    places = (start + 4 * index + word - (word >> 31 << 32) for index, word in enumerate(words))
    crcs = []
    for index, place in enumerate(places):
        inside = 0 <= place <= len(data) - 4
        crcs.append(struct.unpack_from(f"{order}I", data, place)[0] if inside else None)
        if index in (50, len(words) - 1) and crcs.count(None) > 0.02 * len(crcs):
            return words
    return tuple(crc or 0 for crc in crcs)
