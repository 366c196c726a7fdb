"""Two kernels: which symbols one exports and the other does not, or not in the same way."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from ..errors import TargetError
from ..module.facts import Export
from .facts import Symbols, Target
from .stablelist import Stablelist
from .symvers import KERNEL


class SymbolChange(NamedTuple):
    """A symbol that both kernels export, in two ways."""

    old: Export
    new: Export
    what: tuple[str, ...]
    """`crc`, `gpl`, `namespace`, `owner`: what of it differs"""


class SymbolDifference(NamedTuple):
    """What differs between the exports of two kernels, each sorted by name."""

    removed: tuple[Export, ...]
    added: tuple[Export, ...]
    changed: tuple[SymbolChange, ...]
    unknown: tuple[str, ...]
    """symbols of the old kernel of which it cannot be told whether they are as they were"""
    compared: int
    """symbols of the old kernel that were looked for in the new one"""
    notes: tuple[str, ...]
    """what could not be compared, and why"""

    @property
    def breaking(self) -> bool:
        """Whether a module may break for it: a symbol is gone, has another CRC, or is for fewer users."""
        return bool(self.removed) or any(_breaks(one) for one in self.changed)


def _breaks(change: SymbolChange) -> bool:
    stricter = (change.new.gpl and not change.old.gpl) or ("namespace" in change.what and change.new.namespace)
    return "crc" in change.what or bool(stricter)


def compare_symbols(old: Target, new: Target, protected: Stablelist | None = None) -> SymbolDifference:
    """The symbols that differ; what one side does not know is not told as a difference, and a note says so.

    :param protected: compare but these
    :raises TargetError: neither kernel has any of the protected symbols
    """
    for target in (old, new):
        if target.symbols is None or not any(table.rows for table in target.symbols.tables):
            name = target.release or (target.config.path if target.config else "one of them")
            return SymbolDifference(
                (), (), (), (), 0, (f"nothing tells what {name} exports: symbols are not compared",)
            )
    before, after = (_rows(target, protected) for target in (old, new))
    notes: list[str] = []
    whole = [target.symbols is not None and target.symbols.complete for target in (old, new)]
    own = [target.symbols is not None and target.symbols.names_kernel for target in (old, new)]
    cut = [target.symbols is not None and target.symbols.cut for target in (old, new)]
    sides = ("the old kernel", "the new one")
    for is_cut, all_known, own_known, side, told in zip(cut, whole, own, sides, ("added", "removed")):
        if is_cut:
            notes.append(f"the table of {side} is cut: nothing can be told as {told}")
        elif not own_known:
            notes.append(f"{side}'s own exports are known as far as its modules use them: none can be told as {told}")
        elif not all_known:
            notes.append(f"what the modules of {side} export is not known: only the kernel's own are told as {told}")
    if protected:
        unknown = sorted(protected.names - before.keys() - after.keys())
        if unknown and len(unknown) == len(protected.names):
            raise TargetError(protected.path, "none of its symbols is in either kernel")
        if unknown:
            shown = ", ".join(unknown[:8]) + (" …" if len(unknown) > 8 else "")
            notes.append(f"{len(unknown)} of {len(protected.names)} listed symbols are in neither kernel: {shown}")
    crcs = all(target.symbols and target.symbols.has_crcs for target in (old, new))
    counted = old.modversions is not False or new.modversions is not False
    if not crcs:
        notes.append("no CRCs on one side: versions cannot be compared")
    return SymbolDifference(
        removed=_only(before, after, own[1], whole[1]),
        added=_only(after, before, own[0], whole[0]),
        changed=tuple(
            SymbolChange(row, other, what)
            for name, row in before.items()
            if (other := after.get(name)) and (what := tuple(_what(row, other, crcs)))
        ),
        unknown=tuple(
            name
            for name, row in before.items()
            if (_unsure(row, other, crcs, counted) if (other := after.get(name)) else not _known(row, own[1], whole[1]))
        ),
        compared=len(before),
        notes=tuple(notes),
    )


def _only(rows: dict[str, Export], others: dict[str, Export], own: bool, whole: bool) -> tuple[Export, ...]:
    """What one side alone has; only what the other side is known well enough not to have."""
    return tuple(row for name, row in rows.items() if name not in others and _known(row, own, whole))


def _known(row: Export, own: bool, whole: bool) -> bool:
    """Whether a kernel that does not have this symbol is known not to have it."""
    return own if row.owner == KERNEL else whole


def _unsure(row: Export, other: Export, crcs: bool, counted: bool) -> bool:
    """Whether the new one may be for fewer users, or CRCs count on one of the sides and cannot be compared.

    :param crcs: whether both kernels' tables have CRCs
    :param counted: whether one of the kernels may compare them
    """
    if (other.gpl is None and not row.gpl) or (
        other.namespace.startswith("?") and other.namespace[1:] != row.namespace
    ):
        return True
    return counted and (not crcs or None in (row.crc, other.crc))


def _rows(target: Target, protected: Stablelist | None) -> dict[str, Export]:
    """The exports by name, sorted; of a name the one that a module would get."""
    return {row.name: row for row in sorted(_all(target.symbols, protected))} if target.symbols else {}


def _all(symbols: Symbols, protected: Stablelist | None) -> Iterator[Export]:
    seen: set[str] = set()
    for kernels in (True, False):
        for table in symbols.tables:
            for row in table:
                if (row.owner == KERNEL) == kernels and row.name not in seen:
                    seen.add(row.name)
                    if protected is None or protected.covers(row, table.owner_path(row.name)):
                        yield row


def _what(old: Export, new: Export, crcs: bool) -> Iterator[str]:
    if crcs and None not in (old.crc, new.crc) and old.crc != new.crc:
        yield "crc"
    if None not in (old.gpl, new.gpl) and old.gpl != new.gpl:
        yield "gpl"
    if not (old.namespace.startswith("?") or new.namespace.startswith("?")) and old.namespace != new.namespace:
        yield "namespace"
    if old.owner != new.owner:
        yield "owner"
