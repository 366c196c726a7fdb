"""Types from BTF (include/uapi/linux/btf.h, 5.11 to 7.3)."""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterator

from ..btf import Btf, Type
from .graph import Part, Types

_REFERENCES = {
    "PTR": "*", "CONST": "const", "VOLATILE": "volatile", "RESTRICT": "restrict", "TYPEDEF": "typedef",
    "TYPE_TAG": "tag", "FUNC": "tag", "VAR": "tag",
}  # fmt: skip


def btf_types(btf: Btf, base: Btf | None = None) -> Types:
    """The types of a BTF section.

    :param base: the BTF that it continues, for a module's: the kernel's, or its own .BTF.base
    """
    found = Types() if base is None else btf_types(base)
    strings = btf.strings if base is None else base.strings + btf.strings
    names: dict[int, str] = {}

    def name(offset: int) -> str:
        if offset not in names:
            names[offset] = strings[offset : strings.find(b"\0", offset)].decode("utf-8", "replace")
        return names[offset]

    for one in btf.types:
        _add(found, btf, one, name)
    _bound(found)
    return found


def _add(found: Types, btf: Btf, one: Type, name: Callable[[int], str]) -> None:
    """Add one type; each gets a row, since its place is its number."""
    kind, vlen = one.kind, one.vlen
    each = {"STRUCT": 3, "UNION": 3, "ENUM": 2, "ENUM64": 3, "FUNC_PROTO": 2, "ARRAY": 3}.get(kind, 0)
    count = each if kind == "ARRAY" else each * vlen
    numbers = struct.unpack_from(f"{btf.order}{count}I", btf.section, one.at) if count else ()
    if kind in _REFERENCES:
        place = found.add(_REFERENCES[kind], name(one.name_off), to=one.size)
        if kind in ("FUNC", "VAR"):
            found.symbols[found.names[place]] = one.size
    elif kind in ("STRUCT", "UNION"):
        found.add(kind.lower(), name(one.name_off), one.size, tuple(_members(numbers, one.kind_flag, name)))
    elif kind == "ARRAY":
        found.add("[]", size=numbers[2], to=numbers[0])
    elif kind == "FUNC_PROTO":
        found.add("()", parts=tuple(Part("", 0, 0, to) for to in numbers[1::2]), to=one.size)
    elif kind in ("ENUM", "ENUM64"):
        high = numbers[2::3] if kind == "ENUM64" else (0,) * vlen
        parts = (
            Part(name(text), low | top << 32, 0, 0) for text, low, top in zip(numbers[::each], numbers[1::each], high)
        )
        found.add("enum", name(one.name_off), one.size, tuple(parts))
    elif kind == "FWD":
        found.add("declared", f"{'union' if one.kind_flag else 'struct'} {name(one.name_off)}")
    else:  # INT, FLOAT; sections and tags of declarations, which nothing refers to
        found.add("int", name(one.name_off), one.size if kind in ("INT", "FLOAT") else 0)


def _members(numbers: tuple[int, ...], bit_fields: bool, name: Callable[[int], str]) -> Iterator[Part]:
    for text, to, place in zip(numbers[::3], numbers[1::3], numbers[2::3]):
        yield Part(name(text), place & 0xFFFFFF, place >> 24, to) if bit_fields else Part(name(text), place, 0, to)


def _bound(found: Types) -> None:
    """Let references of damaged data that lead nowhere lead to `void`."""
    last = len(found.kinds)
    if any(to >= last for to in found.to):
        found.to = [to if to < last else 0 for to in found.to]
    for place, parts in enumerate(found.parts):
        if any(part.type >= last for part in parts):
            found.parts[place] = tuple(part._replace(type=part.type if part.type < last else 0) for part in parts)
    found.symbols = {symbol: to for symbol, to in found.symbols.items() if to < last}
