"""Which types are behind CRCs that differ: from what is at hand of both sides, as advice/ is told of it."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from ..loader.causes import TypeChange
from .compare import Sides, differences
from .graph import Types
from .symtypes import Symtypes, changed, shared


def type_changes(old: Types | None, new: Types | None, symbols: Sequence[str], sides: Sides) -> tuple[TypeChange, ...]:
    """The types that explain the CRCs of `symbols`, the one that explains most first.

    :param sides: what the two builds are called: `the module`, `the kernel`
    """
    if old is None or new is None:
        return ()
    return tuple(
        TypeChange(one.difference.type, one.difference.member, one.difference.change, one.symbols, one.by_way_of)
        for one in differences(old, new, symbols, sides)
    )


def written_changes(
    given: Sequence[Symtypes], symbols: Sequence[str], agreeing: Iterable[str], sides: Sides
) -> tuple[TypeChange, ...]:
    """The same from .symtypes: of both builds, what differs; of one alone, what the symbols have in common."""
    if len(given) >= 2:
        found: dict[tuple[str, str, str], list[str]] = {}
        for symbol in symbols:
            if one := changed(given[0], given[1], symbol, sides):
                found.setdefault(one, []).append(symbol)
        reasons = sorted(found.items(), key=lambda item: -len(item[1]))
        return tuple(TypeChange(*difference, tuple(names)) for difference, names in reasons)
    if not given:
        return ()
    known = [symbol for symbol in symbols if given[0].reached(symbol)]
    common = shared(given[0], known, agreeing)
    if not common:
        return ()
    what = "is reached by all of them, and by no symbol whose CRC is the same" if len(known) > 1 else "is reached by it"
    shown = ", ".join(common[:8]) + (f" and {len(common) - 8} more" if len(common) > 8 else "")
    return (TypeChange(shown, "", f"{what} ({given[0].path})", tuple(known)),)
