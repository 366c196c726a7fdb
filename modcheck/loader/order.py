"""What is loaded before a module, and in which order.

`kmod_module_get_probe_list()` of libkmod/libkmod-module.c, kmod 34: what the module's line in modules.dep names, and
around each of these what its softdep lines name. Without modules.dep, as for modules that are not installed yet, each
comes after what it needs itself, as depmod would have it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

from .links import Alone
from .visible import View, Visible

#: softdep lines that lead to others are followed so far
_DEEPEST = 20


class Order(NamedTuple):
    """What must be loaded before a module, first to last."""

    names: tuple[str, ...]
    known: bool
    """whether modules.dep tells the order"""
    cycle: str | None = None
    """one of them that needs the module itself, or that needs one that needs it"""


def depth_first(
    start: str,
    first: Sequence[str],
    needed: Callable[[str], Sequence[str] | None],
    before: Callable[[str], Sequence[str]] = lambda name: (),
) -> Order:
    """What must be loaded before the module `start`, which needs `first`; without recursion: chains may be long.

    :param needed: what a module needs itself; None where its file is not at hand, or a list tells all that comes before
    :param before: that list
    """
    names: dict[str, None] = {}
    cycle = None
    path = [(start, iter(first))]
    while path:
        name = next(path[-1][1], None)
        if name is None:
            done, _ = path.pop()
            names[done] = None
        elif name in (known for known, _ in path):
            cycle = name
        elif name not in names:
            others = needed(name)
            if others is None:
                names.update(dict.fromkeys((*before(name), name)))
            else:
                path.append((name, iter(others)))
    del names[start]
    return Order(tuple(names), known=False, cycle=cycle)


class Orders:
    """The order for modules that `visible` has; under insmod there is none but what a module uses itself."""

    def __init__(self, visible: Visible) -> None:
        self.visible = visible
        self._orders: dict[Alone, Order] = {}
        self._needed: dict[Alone, Sequence[str]] = {}

    def order(self, one: Alone) -> Order:
        """What must be loaded before a module, less what is loaded already."""
        if one not in self._orders:
            line = self.visible.line(one.links)
            self._orders[one] = self._searched(one) if line is None else Order(line, known=True)
        return self._orders[one]

    def _searched(self, one: Alone) -> Order:
        """As depmod would have it."""

        def needed(name: str) -> Sequence[str] | None:
            other = self.visible.member(name)
            return None if other is None or self.visible.line(other.links) is not None else self._of(other)

        def before(name: str) -> Sequence[str]:
            other = self.visible.member(name)
            return (other and self.visible.line(other.links)) or ()

        return depth_first(one.name, self._of(one), needed, before)

    def _of(self, one: Alone) -> Sequence[str]:
        """The modules whose symbols a module uses, in the order of first use, less what is loaded already."""
        if one not in self._needed:
            owners = View(self.visible, one.links).owners
            self._needed[one] = [name for name in owners if name not in self.visible.loaded]
        return self._needed[one]

    def tried_before(self, one: Alone) -> tuple[str, ...]:
        """The same, with what softdep lines add before and after each: all that modprobe tries to load before it."""
        names = self.order(one).names
        modules = self.visible.target.modules
        if modules is None or not self.visible.modprobe:
            return names
        tried: dict[str, None] = {}
        asked = {one.name}

        def fill(name: str, depth: int) -> None:
            for other in modules.softdeps(name).pre:
                ask(other, depth)
            if name != one.name:
                tried[name] = None
                for other in modules.softdeps(name).post:
                    ask(other, depth)

        def ask(name: str, depth: int) -> None:
            found = self.visible.member(name)
            if name in asked or name in self.visible.loaded or not found or depth > _DEEPEST:
                return
            asked.add(name)
            for other in (*self.order(found).names, name):
                fill(other, depth + 1)

        for name in names:
            fill(name, 0)
        fill(one.name, 0)
        return tuple(name for name in tried if name != one.name)
