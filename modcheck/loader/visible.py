"""What a module sees when it is loaded: the kernel's exports, and those of modules that are loaded by then.

Under insmod and busybox those are what `--loaded` names. modprobe loads first what the module needs, from the modules
given with it, and from the target's modules directory or, where none is known, from what the target's tables name.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from functools import cache

from ..module.facts import Export, Module, exports_by_name
from ..target.facts import Target
from ..target.symvers import KERNEL


class Visible:
    """The modules of one set and one target, by name.

    :ivar loaded: names of the modules already loaded
    """

    def __init__(
        self, target: Target, modules: Sequence[Module], loaded: Collection[Module | str], modprobe: bool
    ) -> None:
        self.target, self.modprobe = target, modprobe
        self._given = {module.name: module for module in modules if module.name and not module.error}
        present = [one for one in loaded if not isinstance(one, str)]
        self.loaded = frozenset(one.replace("-", "_") if isinstance(one, str) else one.name for one in loaded)
        if modprobe:
            present += list(self._given.values())
        self.replaced = {module.name for module in present}
        self._exports = exports_by_name(present)

    def module(self, name: str) -> Module | None:
        """The module that modprobe loads for a name; None where none is at hand."""
        if not self.modprobe:
            return None
        if name in self._given:
            return self._given[name]
        return self.target.modules.module(name) if self.target.modules else None

    def line(self, module: Module) -> tuple[str, ...] | None:
        """What modprobe loads before an installed module, as modules.dep tells; what is loaded is passed over."""
        modules = self.target.modules if self.modprobe else None
        order = modules.order(module.path, self._given) if modules else None
        return None if order is None else tuple(name for name in order if name not in self.loaded)

    def find_for(self, module: Module) -> Callable[[str], tuple[Export, ...]]:
        """A function that tells the exports of a name that are there for `module`, the kernel's own first."""
        replaced = self.replaced | {module.name}
        symbols = self.target.symbols
        modules = self.target.modules
        declared = self._declared(module)
        line = self.line(module)
        there = None if line is None else self.loaded | self._given.keys() | {*map(self._real_name, line)}

        @cache
        def find(name: str) -> tuple[Export, ...]:
            rows = symbols.find(name) if symbols else ()
            kernel = tuple(row for row in rows if row.owner == KERNEL)
            given = tuple(export for export in self._exports.get(name, ()) if export.owner != module.name)
            others = tuple(found for row in rows if row.owner not in replaced for found in self._installed(row))
            more = declared.get(name, ()) if not others else ()
            if not (kernel or given or others or more) and self.modprobe and modules:
                more = modules.outside.get(name, ())
            others += tuple(export for export in more if export.owner not in replaced)
            return kernel + given + tuple(one for one in others if there is None or one.owner in there)

        return find

    def _real_name(self, name: str) -> str:
        """The name in struct module of the module that is loaded for a name."""
        module = self.module(name)
        return module.name if module else name

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

    def _declared(self, module: Module) -> dict[str, list[Export]]:
        """The exports of installed modules that `module` says it needs, and that no table has."""
        names = [name for name in self._depends(module) if name not in self.replaced and not self._in_table(name)]
        return exports_by_name(found for name in names if (found := self.module(name)))

    def _depends(self, module: Module) -> list[str]:
        if not self.modprobe:
            return []
        return list(module.depends or ())

    def _in_table(self, name: str) -> bool:
        return self.target.symbols is not None and self.target.symbols.has_owner(name)

    def opaque(self, module: Module) -> tuple[str, ...]:
        """Names that are loaded, or that modprobe would load, and that nothing at hand says the exports of."""
        names = set(self.loaded) | {name for name in self._depends(module) if self.module(name) is None}
        if self.target.modules:
            # what is not installed is not loaded either
            names -= {name for name in names - self.loaded if name not in self.target.modules}
        return tuple(sorted(name for name in names - self.replaced - {module.name} if not self._in_table(name)))
