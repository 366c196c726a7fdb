"""Whether a kernel finds, in its own types, those that an out-of-tree module's BTF refers to.

Such a module brings `.BTF.base`, a list of the kernel's types by name and size, as they were where it was built; the
kernel looks each up among its own. `btf_relocate()` of tools/lib/bpf/btf_relocate.c, 6.11 to 7.3.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

from ..btf import EXTRA, Btf, Type
from ..version import Version
from .btf_verifier import Refusal, verify

_NAMED = ("INT", "FLOAT", "ENUM", "STRUCT", "UNION", "FWD")
_COMPOSITE = ("STRUCT", "UNION")
_NAMES_INSIDE = ("STRUCT", "UNION", "ENUM", "ENUM64", "FUNC_PROTO")
_THROUGH = ("CONST", "RESTRICT", "VOLATILE", "TYPEDEF", "TYPE_TAG")


def verify_distilled(btf: Btf, distilled: Btf, kernel: Btf, version: Version) -> Refusal | None:
    """What a kernel of `version` with the BTF `kernel` refuses in a module's `btf` and its `.BTF.base`.

    Lines of the relocation come without the verifier's `BPF: ` (`Refusal.bare`). None when it takes them.
    """
    nothing = Btf(b"", "little" if distilled.order == "<" else "big")
    refusal = verify(distilled, nothing, version) or verify(btf, distilled, version)
    if refusal is None and (fault := _fault(btf, distilled, kernel)) is not None:
        refusal = Refusal("EINVAL", (fault,), about_type=False, bare=True)
    if refusal is None and (offset := _lost_string(btf, distilled)) is not None:
        text = b"string '' [offset %d] is not mapped to base BTF" % offset
        refusal = Refusal("ENOENT", (text,), about_type=False, bare=True)
    return refusal


def _fault(btf: Btf, distilled: Btf, kernel: Btf) -> bytes | None:
    """The line about the first type that is not one of the kernel's, or that two of them could be."""
    for number, one in enumerate(distilled.types, 1):
        if one.kind not in _NAMED:
            return b"type [%d] in distilled based BTF has unexpected kind [%d]" % (number, one.info >> 24 & 0x7F)
        if not one.name_off:
            return b"type [%d], kind [%d] is invalid for distilled base BTF; it is anonymous" % (
                number,
                one.info >> 24 & 0x7F,
            )
    embedded = set(_embedded(btf, distilled))
    wanted: dict[bytes, list[int]] = {}
    for number, one in enumerate(distilled.types, 1):
        wanted.setdefault(_name(distilled, one), []).append(number)
    found: dict[int, int] = {}
    for base_number, base, name, alone in _named_so(kernel, wanted):
        sized = base.kind in ("INT", "FLOAT", "ENUM", "ENUM64") or (base.kind in _COMPOSITE and not alone)
        for number in wanted[name]:
            one = distilled.types[number - 1]
            if (sized and one.size != base.size) or not _compatible(one, base, number in embedded, distilled, kernel):
                continue
            if number in found:
                return (
                    b"distilled base BTF type '%s' [%d], size %d has multiple candidates of the same size "
                    b"(ids [%d, %d]) in base BTF" % (name, number, base.size, base_number, found[number])
                )
            found[number] = base_number
    missing = next((number for number in range(1, len(distilled.types) + 1) if number not in found), None)
    if missing is None:
        return None
    name = _name(distilled, distilled.types[missing - 1])
    return b"distilled base BTF type '%s' [%d] is not mapped to base BTF id" % (name, missing)


def _lost_string(btf: Btf, distilled: Btf) -> int | None:
    """The first name in the module's types that is one of `.BTF.base`'s strings, and no type's there."""
    mapped = {0, *(one.name_off for one in distilled.types)}
    for one in btf.types:
        fixed, each = EXTRA.get(one.kind, (0, 0))
        names = [one.name_off]
        if one.kind in _NAMES_INSIDE:
            names += btf.words(one.at + fixed, one.vlen * each // 4)[:: each // 4]
        lost = next((name for name in names if name < distilled.str_len and name not in mapped), None)
        if lost is not None:
            return lost
    return None


def _name(btf: Btf, one: Type) -> bytes:
    return btf.strings[one.name_off : btf.strings.find(b"\0", one.name_off)]


def _named_so(kernel: Btf, wanted: dict[bytes, list[int]]) -> Iterator[tuple[int, Type, bytes, bool]]:
    """The kernel's types with one of the wanted names: id, type, name, and whether no other structure or union has the
    same."""
    offsets: dict[int, bytes] = {}
    for name in wanted:
        at = kernel.strings.find(b"\0" + name + b"\0")
        while at >= 0:
            offsets[at + 1] = name
            at = kernel.strings.find(b"\0" + name + b"\0", at + 1)
    named = [(number, one) for number, one in enumerate(kernel.types, 1) if one.name_off in offsets]
    composites = Counter(one.name_off for _, one in named if one.kind in _COMPOSITE)
    for number, one in named:
        if one.kind in (*_NAMED, "ENUM64"):
            yield number, one, offsets[one.name_off], composites[one.name_off] < 2


def _compatible(one: Type, base: Type, embedded: bool, distilled: Btf, kernel: Btf) -> bool:
    """Whether the kernel's type `base` can be what the distilled one stands for."""
    if one.kind == "FWD":
        if base.kind == "FWD":
            return one.kind_flag == base.kind_flag
        # the flag of a structure says that it has bit fields: that the kernel asks for it here is its own mistake
        return base.kind == ("UNION" if base.kind_flag else "STRUCT")
    if one.kind == "INT":
        return base.kind == "INT" and _encoding(kernel, base) == _encoding(distilled, one)
    if one.kind == "ENUM":
        return base.kind in ("ENUM", "ENUM64")
    if one.kind in _COMPOSITE:
        return not embedded or base.size == one.size
    return base.kind == one.kind


def _encoding(btf: Btf, one: Type) -> int:
    return btf.words(one.at, 1)[0] >> 24 & 15


def _embedded(btf: Btf, distilled: Btf) -> Iterator[int]:
    """Ids of the distilled types that lie whole in one of the module's own: these must be of one size."""
    first = len(distilled.types) + 1

    def at(number: int) -> Type | None:
        types, place = (btf.types, number - first) if number >= first else (distilled.types, number - 1)
        return types[place] if 0 <= place < len(types) else None

    for one in btf.types:
        if one.kind not in _COMPOSITE:
            continue
        for member in btf.words(one.at, 3 * one.vlen)[1::3]:
            number, met = member, set[int]()
            while (step := at(number)) and step.kind in (*_THROUGH, "ARRAY") and number not in met:
                met.add(number)
                number = btf.words(step.at, 1)[0] if step.kind == "ARRAY" else step.size
            if number < first and step and step.kind in _COMPOSITE:
                yield number
