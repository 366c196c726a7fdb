"""What a module sees when it is loaded: the kernel's exports, and those of modules that are loaded by then.

Under insmod and busybox those are what `--loaded` names. modprobe loads first what the module needs, from the modules
given with it, and from the target's modules directory or, where none is known, from what the target's tables name.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable
from functools import cached_property

from ..module.facts import Export, Module, exports_by_name
from ..target.facts import Target
from ..target.symvers import KERNEL
from .links import Alone, Links


class Visible:
    """The modules of one set and one target, by name.

    :ivar loaded: names of the modules already loaded
    :ivar given: those, and the modules of the set
    :ivar replaced: names of which the tables are not asked, since the modules are at hand
    :ivar exports: by symbol, what the modules at hand export
    """

    def __init__(
        self,
        target: Target,
        modprobe: bool,
        given: Iterable[Module | Alone],
        loaded: Collection[Alone | str],
        judged: Callable[[Module], Alone],
    ) -> None:
        """:param given: the set; of two of one name the last counts
        :param judged: what becomes of a module alone; asked when one is needed
        """
        self.target, self.modprobe = target, modprobe
        self._judged = judged
        self._given = {one.name: one for one in given if one.name and not one.error}
        self._known: dict[str, Alone | None] = {}
        self._exporters: dict[str, tuple[tuple[Export, ...], tuple[Export, ...]]] = {}
        self._lines: dict[str, tuple[str, ...] | None] = {}
        present = [one for one in loaded if not isinstance(one, str)]
        self._present = {one.name: one for one in present}
        self.loaded = frozenset(one.replace("-", "_") if isinstance(one, str) else one.name for one in loaded)
        self.given = self.loaded | self._given.keys()
        self.replaced = {*self._present}
        self.exports = exports_by_name(present)
        if modprobe:
            self.replaced |= self._given.keys()
            for name, found in exports_by_name(self._given.values()).items():
                self.exports[name] = self.exports.get(name, []) + found

    def module(self, name: str) -> Module | Alone | None:
        """The module that modprobe loads for a name; None where none is at hand."""
        if not self.modprobe:
            return None
        if name in self._given:
            return self._given[name]
        return self.target.modules.module(name) if self.target.modules else None

    def member(self, name: str) -> Alone | None:
        """The same, judged alone."""
        if name not in self._known:
            one = self.module(name)
            self._known[name] = self._judged(one) if isinstance(one, Module) else one
        return self._known[name]

    def at_hand(self, name: str) -> Alone | None:
        """The module of a name that is loaded already, or that modprobe loads; None where its file is not at hand."""
        return self._present.get(name) or self.member(name)

    def alone(self, one: Module | Alone) -> Alone:
        """A module that is tried, judged alone: once, if it is of the set as well."""
        if not isinstance(one, Module):
            return one
        found = self.member(one.name) if self._given.get(one.name) is one else None
        return found or self._judged(one)

    def line(self, links: Links) -> tuple[str, ...] | None:
        """What modprobe loads before an installed module, as modules.dep tells; what is loaded is passed over."""
        if links.path not in self._lines:
            modules = self.target.modules if self.modprobe else None
            order = modules.order(links.path, self._given) if modules else None
            self._lines[links.path] = order and tuple(name for name in order if name not in self.loaded)
        return self._lines[links.path]

    def real_name(self, name: str) -> str:
        """The name in struct module of the module that is loaded for a name."""
        module = self.module(name)
        return module.name if module else name

    def exporters(self, name: str) -> tuple[tuple[Export, ...], tuple[Export, ...]]:
        """Who exports a name, whoever asks: the kernel and the modules at hand; then what the tables have of others."""
        if name not in self._exporters:
            rows = self.target.symbols.find(name) if self.target.symbols else ()
            first = (*(row for row in rows if row.owner == KERNEL), *self.exports.get(name, ()))
            then = tuple(one for row in rows if row.owner not in self.replaced for one in self._installed(row))
            self._exporters[name] = first, then
        return self._exporters[name]

    def _installed(self, row: Export) -> tuple[Export, ...]:
        """What is really there of a row that a table has for a module."""
        if row.owner == KERNEL:
            return ()
        if row.owner in self.loaded or (self.modprobe and self.target.modules is None):
            return (row,)
        if not self.modprobe or row.owner not in (self.target.modules or ()):
            return ()
        module = self.module(row.owner)
        if module is None:
            return (row,)
        return tuple(export for export in module.exports if export.name == row.name)

    def declared(self, links: Links) -> dict[str, list[Export]]:
        """The exports of installed modules that a module says it needs, and that no table has."""
        names = [name for name in self._depends(links) if name not in self.replaced and not self._in_table(name)]
        return exports_by_name(found for name in names if (found := self.module(name)))

    def _depends(self, links: Links) -> tuple[str, ...]:
        return links.depends or () if self.modprobe else ()

    def _in_table(self, name: str) -> bool:
        return self.target.symbols is not None and self.target.symbols.has_owner(name)

    def opaque(self, links: Links) -> tuple[str, ...]:
        """Names that are loaded, or that modprobe would load, and that nothing at hand says the exports of."""
        names = set(self.loaded) | {name for name in self._depends(links) if self.module(name) is None}
        if self.target.modules:
            # what is not installed is not loaded either
            names -= {name for name in names - self.loaded if name not in self.target.modules}
        return tuple(sorted(name for name in names - self.replaced - {links.name} if not self._in_table(name)))


class View:
    """What one module sees when it is loaded."""

    def __init__(self, visible: Visible, links: Links) -> None:
        self.visible, self.links = visible, links

    @cached_property
    def _declared(self) -> dict[str, list[Export]]:
        return self.visible.declared(self.links)

    @cached_property
    def _there(self) -> Collection[str] | None:
        """The modules that are loaded by then; None where no modules.dep tells."""
        line = self.visible.line(self.links)
        return None if line is None else self.visible.given | {*map(self.visible.real_name, line)}

    def find(self, name: str) -> tuple[Export, ...]:
        """The exports of a name, the kernel's own first."""
        own, modules = self.links.name, self.visible.target.modules
        first, then = self.visible.exporters(name)
        if own in [one.owner for one in first + then]:
            first, then = (tuple([one for one in some if one.owner != own]) for some in (first, then))
        if self._declared or modules:
            replaced = self.visible.replaced | {own}
            more = self._declared.get(name, ()) if not then else ()
            if not (first or then or more) and modules and self.visible.modprobe:
                more = modules.outside.get(name, ())
            then += tuple([one for one in more if one.owner not in replaced])
            then = tuple([one for one in then if self._there is None or one.owner in self._there])
        return first + then

    @property
    def owners(self) -> list[str]:
        """The modules that its imports come from, in the order of first use."""
        names = self.links.wanted
        if self.links.imports is None and not self.visible.target.modules:
            names = [name for name in names if name in self.visible.exports]  # it is refused: no more is asked
        firsts = dict.fromkeys([rows[0].owner for name in names if (rows := self.find(name))])
        return [owner for owner in firsts if owner not in (KERNEL, self.links.name)]

    @property
    def opaque(self) -> tuple[str, ...]:
        """Modules that are, or will be, loaded by then, and whose exports are not known."""
        return self.visible.opaque(self.links)
