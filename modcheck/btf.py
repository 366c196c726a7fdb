"""BTF, the type information of a kernel or a module: its header, its types and its strings.

The format is the kernel's (`include/uapi/linux/btf.h`, 5.11 to 7.3). Nothing here judges; damaged data gives what can
be read of it.
"""

from __future__ import annotations

import struct
import sys
from array import array
from collections.abc import Iterator
from functools import cached_property
from typing import NamedTuple

from .arch import Endianness

MAGIC, VERSION = 0xEB9F, 1
#: kinds by number, in the kernel's words
KINDS = (
    "UNKNOWN", "INT", "PTR", "ARRAY", "STRUCT", "UNION", "ENUM", "FWD", "TYPEDEF", "VOLATILE", "CONST", "RESTRICT",
    "FUNC", "FUNC_PROTO", "VAR", "DATASEC", "FLOAT", "DECL_TAG", "TYPE_TAG", "ENUM64",
)  # fmt: skip
#: bytes behind the 12 of each type: so many, and so many for each of its vlen elements
EXTRA = {
    "INT": (4, 0), "ARRAY": (12, 0), "STRUCT": (0, 12), "UNION": (0, 12), "ENUM": (0, 8), "FUNC_PROTO": (0, 8),
    "VAR": (4, 0), "DATASEC": (0, 12), "DECL_TAG": (4, 0), "ENUM64": (0, 12),
}  # fmt: skip
#: the words of a type by its kind: so many, and so many for each element; None for what is no kind
_KNOWN = [(3 + fixed // 4, each // 4) for fixed, each in (EXTRA.get(kind, (0, 0)) for kind in KINDS[1:])]
_SIZES = [None, *_KNOWN, *[None] * (0x80 - len(KINDS))]
_STRUCT = KINDS.index("STRUCT")
#: bytes of the header since 7.1; until then the last 8 are not there
HEADER = 32


class Type(NamedTuple):
    """One type: its id's place is its place in the section. `size` is a size or another type's id, by kind."""

    name_off: int
    info: int
    size: int
    at: int
    """offset of what follows the 12 bytes, in the types section"""
    kind: str
    """one of `KINDS`"""

    @property
    def vlen(self) -> int:
        return self.info & 0xFFFFFF

    @property
    def kind_flag(self) -> bool:
        return bool(self.info >> 31)


class Btf:
    """The BTF in the bytes `data`; `base` is what it continues, for a module's the kernel's."""

    def __init__(self, data: bytes, endianness: Endianness) -> None:
        self.data = data
        self.order = "<" if endianness == "little" else ">"
        (self.header_length,) = struct.unpack(self.order + "I", data[4:8].ljust(4, b"\0"))
        header = data[: min(self.header_length, HEADER)].ljust(HEADER, b"\0")
        fields = struct.unpack(self.order + "HBBIIIIIII", header)
        self.magic, self.version, self.flags = fields[:3]
        self.type_off, self.type_len, self.str_off, self.str_len, self.layout_off, self.layout_len = fields[4:]

    @cached_property
    def strings(self) -> bytes:
        start = self.header_length + self.str_off
        return self.data[start : start + self.str_len]

    @cached_property
    def section(self) -> bytes:
        """The types section."""
        start = self.header_length + self.type_off
        return self.data[start : start + self.type_len]

    @cached_property
    def types(self) -> tuple[Type, ...]:
        """The types in their order, as far as they can be told apart; that of `void` is not stored."""
        words, places = self.numbers, self.places[:-1]
        return tuple(
            [
                Type(words[at], info := words[at + 1], words[at + 2], 4 * at + 12, KINDS[info >> 24 & 0x7F])
                for at in places
            ]
        )

    @cached_property
    def numbers(self) -> array[int]:
        """The types section as numbers of 32 bits."""
        words = array("I", self.section[: len(self.section) & ~3])
        if self.order != ("<" if sys.byteorder == "little" else ">"):
            words.byteswap()
        return words

    @cached_property
    def places(self) -> list[int]:
        """Where each type begins, as far as they can be told apart, and where the last ends; in words."""
        words, sizes_of, places, at = self.numbers, _SIZES, [], 0  # a hundred thousand types of a kernel
        last = len(words) - 3
        while at <= last:
            info = words[at + 1]
            sizes = sizes_of[info >> 24 & 0x7F]
            if sizes is None:
                break
            places.append(at)
            at += sizes[0] + sizes[1] * (info & 0xFFFFFF)
        return [*places, at]

    @property
    def whole(self) -> bool:
        """Whether all of the types section could be read."""
        return 4 * self.places[-1] == len(self.section)

    def kind_and_size(self, number: int) -> tuple[int, int]:
        """The number of the kind of the type with that id, and its size or another type's id, by kind."""
        at = self.places[number - 1]
        return self.numbers[at + 1] >> 24 & 0x7F, self.numbers[at + 2]

    def words(self, at: int, count: int) -> tuple[int, ...]:
        """`count` numbers of 32 bits at offset `at` of the types section."""
        return struct.unpack_from(f"{self.order}{count}I", self.section, at)

    def struct_size(self, name: str) -> int | None:
        """sizeof of the structure of that name, in bytes; None where there is none, or several differ.

        It is searched for: to tell all types of a kernel apart takes longer than all else that is read of one.
        """
        place = self.strings.find(b"\0" + name.encode() + b"\0")  # pahole writes no string twice, nor within another
        found = set(self._struct_sizes(place + 1)) if place >= 0 else set()
        return found.pop() if len(found) == 1 else None

    def _struct_sizes(self, name_off: int) -> Iterator[int]:
        """The sizes of structures with that name, wherever in the types section something stands that can be one."""
        needle, section = struct.pack(self.order + "I", name_off), self.section
        at = section.find(needle)
        while at >= 0:
            if at % 4 == 0 and at + 12 <= len(section):
                info, size = struct.unpack_from(self.order + "II", section, at + 4)
                if info >> 24 & 0x7F == _STRUCT and self._are_members(at + 12, info, size):
                    yield size
            at = section.find(needle, at + 1)

    def _are_members(self, at: int, info: int, size: int) -> bool:
        """Whether members of a structure stand there: with names, one behind the other, and within its size."""
        count = info & 0xFFFFFF
        if at + 12 * count > len(self.section):
            return False
        values = self.words(at, 3 * count)
        offsets = [word & 0xFFFFFF if info >> 31 else word for word in values[2::3]]
        return (
            offsets == sorted(offsets)
            and max(offsets, default=0) <= 8 * size
            and all(name < self.str_len and (not name or not self.strings[name - 1]) for name in values[0::3])
        )
