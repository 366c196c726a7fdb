"""What modprobe loads before a module, and in which order.

`kmod_module_get_probe_list()` of libkmod/libkmod-module.c, kmod 34: what the module's line in modules.dep names, and
around each of these what its softdep lines name. Without modules.dep, as for modules that are not installed yet, each
comes after what it needs itself, as depmod would have it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

from ..module.facts import Module
from ..target.symvers import KERNEL
from .visible import Visible

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


_NOTHING = Order((), known=False)


class Modprobe:
    """The order for the modules that `visible` has; under insmod there is none but what a module uses itself."""

    def __init__(self, visible: Visible) -> None:
        self.visible = visible
        self._orders: dict[str, Order] = {}
        self._at_hand: dict[str, Order] = {}

    def order(self, module: Module) -> Order:
        """What must be loaded before `module`, less what is loaded already."""
        if module.path not in self._orders:
            self._orders[module.path] = self._order(module)
        return self._orders[module.path]

    def at_hand(self, module: Module) -> Order:
        """The same, but where no modules directory is known only those that are in the set: that is found sooner."""
        if self.visible.target.modules is not None or not self.visible.has(module.name):
            return self.order(module)
        if module.path not in self._at_hand:
            self._at_hand[module.path] = self._of_set(module)
        return self._at_hand[module.path]

    def _of_set(self, module: Module) -> Order:
        def needed(name: str) -> Sequence[str] | None:
            other = self.visible.module(name)
            return None if other is None else self.visible.providers(other)

        first = self.visible.providers(module)
        return depth_first(module.name, first, needed) if first else _NOTHING

    def _order(self, module: Module) -> Order:
        if self.visible.target.modules is None and self.visible.view_of(module).from_kernel:
            return _NOTHING
        line = self.visible.line(module)
        return self._searched(module) if line is None else Order(line, known=True)

    def _searched(self, module: Module) -> Order:
        """As depmod would have it."""

        def needed(name: str) -> Sequence[str] | None:
            other = self.visible.module(name)
            return None if other is None or self.visible.line(other) is not None else self._needed(other)

        def before(name: str) -> Sequence[str]:
            other = self.visible.module(name)
            return (other and self.visible.line(other)) or ()

        return depth_first(module.name, self._needed(module), needed, before)

    def _needed(self, module: Module) -> list[str]:
        """The modules whose symbols `module` uses, in the order of first use, less what is loaded already."""
        view = self.visible.view_of(module)
        if view.complete or (view.plain and view.plain.has_all(module.imports)):
            return [one for one in view.needed if one not in self.visible.loaded]
        owners: dict[str, None] = {}
        for name in module.imports:
            rows = view.find(name)
            if rows and rows[0].owner not in (KERNEL, module.name):
                owners[rows[0].owner] = None
        return [name for name in owners if name not in self.visible.loaded]

    def tried_before(self, module: Module) -> tuple[str, ...]:
        """`at_hand`, with what softdep lines add before and after each: all that modprobe tries to load before
        `module`."""
        names = self.at_hand(module).names
        modules = self.visible.target.modules
        if modules is None or not self.visible.modprobe:
            return names
        tried: dict[str, None] = {}
        asked = {module.name}

        def fill(name: str, depth: int) -> None:
            for other in modules.softdeps(name).pre:
                ask(other, depth)
            if name != module.name:
                tried[name] = None
                for other in modules.softdeps(name).post:
                    ask(other, depth)

        def ask(name: str, depth: int) -> None:
            found = self.visible.module(name)
            if name in asked or name in self.visible.loaded or not found or depth > _DEEPEST:
                return
            asked.add(name)
            for other in (*self.order(found).names, name):
                fill(other, depth + 1)

        for name in names:
            fill(name, 0)
        fill(module.name, 0)
        return tuple(name for name in tried if name != module.name)
