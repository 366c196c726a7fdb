"""What a module sees when it is loaded: the kernel's exports, and those of modules that are loaded by then.

Under insmod and busybox those are what `--loaded` names. modprobe loads first what the module needs, from the modules
given with it, and from the target's modules directory or, where none is known, from what the target's tables name.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from functools import cached_property
from operator import eq
from weakref import proxy

from ..module.facts import Export, Module, exports_by_name
from ..target.facts import Rows, Target
from ..target.symvers import KERNEL


class Firsts:
    """What is exported first under each name, by names: whose it is, its CRC (None in a namespace), and which names
    several export."""

    def __init__(self, exports: Mapping[str, Sequence[Export]]) -> None:
        self.owners: dict[str, str | None] = {name: found[0].owner for name, found in exports.items()}
        self.crcs = {name: None if found[0].namespace else found[0].crc for name, found in exports.items()}
        self.several = {name for name, found in exports.items() if len(found) > 1}


class ModuleSet:
    """Modules that are given together, by name; of two of one name the last counts.

    :ivar exports: what they export, by symbol
    """

    def __init__(self, modules: Iterable[Module] = ()) -> None:
        self._modules = {module.name: module for module in modules if module.name and not module.error}
        self.exports = exports_by_name(self._modules.values())
        self._served: dict[str, tuple[tuple[str, ...], Sequence[str]]] = {}

    @property
    def names(self) -> Collection[str]:
        return self._modules.keys()

    def module(self, name: str) -> Module | None:
        """The module of a name; None where it is not in the set."""
        return self._modules.get(name)

    @cached_property
    def firsts(self) -> Firsts:
        """What they export, for `Visible.plain`."""
        return Firsts(self.exports)

    def served(self, module: Module) -> Sequence[str]:
        """The imports of `module` that any of them exports: the same on every kernel."""
        imports, found = self._served.get(module.path, (None, ()))
        if imports is not module.imports:  # not known, or of another module at that path
            exports = self.exports
            some = not exports.keys().isdisjoint(module.imports)
            found = [name for name in module.imports if name in exports] if some else ()
            self._served[module.path] = module.imports, found
        return found


#: of so many modules, or in a set of so many, symbols are looked up one by one
ONE_BY_ONE = 100


class Plain:
    """What `View.find` tells first of a name, of many names at once: only what does not depend on who asks.

    It is what the target's tables say, but for what one set of modules changes: the target's part is worked out once.
    """

    def __init__(
        self, rows: Rows, changed: dict[str, str | None], crcs: Mapping[str, int | None], several: set[str]
    ) -> None:
        """:param changed: whose the symbols are that the set has; None for those that it takes away
        :param crcs: their CRCs; None too for those in a namespace
        """
        self._rows, self._changed, self._crcs, self._several = rows, changed, crcs, several
        theirs = rows.of_modules
        self._moved = dict(changed)
        for name in changed.keys() & theirs.keys():
            if changed[name] == theirs[name]:
                del self._moved[name]

    def agrees(self, module: Module) -> bool:
        """Whether all that a module imports is the kernel's own, in no namespace, with the CRCs that it was built
        against."""
        ours = module.crcs_of_imports
        return bool(ours) and None not in ours and all(map(eq, map(self._rows.kernel_crcs.get, module.imports), ours))

    def needed(self, names: Sequence[str]) -> list[str]:
        """The modules that these symbols come from, in the order of first use, but not the kernel."""
        of_modules, moved = self._rows.of_modules, self._moved
        if moved.keys().isdisjoint(names):
            found = dict.fromkeys(map(of_modules.get, names))
        else:
            found = dict.fromkeys([moved[name] if name in moved else of_modules.get(name) for name in names])
        return [name for name in found if name is not None]

    def has_all(self, names: Sequence[str]) -> bool:
        """Whether somebody exports each of them."""
        return None not in self.owners(names)

    def owners(self, names: Sequence[str]) -> list[str | None]:
        """The module that each symbol comes from; None where nobody exports it."""
        found: list[str | None] = list(map(self._rows.owners.get, names))
        for place, name in self._changed_in(names):
            found[place] = self._changed[name]
        return found

    def crcs(self, names: Sequence[str]) -> list[int | None]:
        """The CRC of each; None where there is none, or it is in a namespace."""
        found = list(map(self._rows.crcs.get, names))
        for place, name in self._changed_in(names):
            found[place] = self._crcs.get(name)
        return found

    def _changed_in(self, names: Sequence[str]) -> list[tuple[int, str]]:
        """Those of the names, with their places, of which the set says something else than the tables: mostly none."""
        if self._changed.keys().isdisjoint(names):
            return []
        return [(place, name) for place, name in enumerate(names) if name in self._changed]

    def is_only_of_kernel(self, name: str) -> bool:
        """Whether the kernel exports it, and nobody else."""
        return name not in self._changed and self._rows.owners.get(name) == KERNEL and not self.has_several(name)

    def has_several(self, name: str) -> bool:
        """Whether more than one exports it."""
        return name in self._several or name in self._rows.several


class Visible:
    """The modules of one set and one target, by name.

    :ivar loaded: names of the modules already loaded
    :ivar given: those, and the modules of the set
    :ivar replaced: names of which the tables are not asked, since the modules are at hand
    :ivar exports: by symbol, what the modules at hand export
    """

    def __init__(self, target: Target, modules: ModuleSet, loaded: Collection[Module | str], modprobe: bool) -> None:
        self.target, self.modprobe = target, modprobe
        self._given = modules
        present = [one for one in loaded if not isinstance(one, str)]
        self.loaded = frozenset(one.replace("-", "_") if isinstance(one, str) else one.name for one in loaded)
        self.replaced = {module.name for module in present}
        first, then = exports_by_name(present), modules.exports if modprobe else {}
        self.exports = (
            {**then, **{name: found + then.get(name, []) for name, found in first.items()}} if first else then
        )
        self.given = self.loaded | set(modules.names)
        if modprobe:
            self.replaced |= set(modules.names)
        self._providers: dict[str, Sequence[str]] = {}
        #: for so many more modules symbols are looked up one by one
        self._one_by_one = 0 if len(modules.names) > ONE_BY_ONE else ONE_BY_ONE
        self._last: View | None = None

    def module(self, name: str) -> Module | None:
        """The module that modprobe loads for a name; None where none is at hand."""
        if not self.modprobe:
            return None
        if name in self._given.names:
            return self._given.module(name)
        return self.target.modules.module(name) if self.target.modules else None

    def has(self, name: str) -> bool:
        """Whether the set has a module of that name."""
        return name in self._given.names

    def served(self, module: Module) -> Sequence[str]:
        """The imports of a module for which modprobe may load another of the set."""
        return self._given.served(module) if self.modprobe else ()

    def providers(self, module: Module) -> Sequence[str]:
        """The modules of the set that a module needs, in the order of first use, less what is loaded already."""
        if module.path not in self._providers:
            self._providers[module.path] = self._provided(module)
        return self._providers[module.path]

    def _provided(self, module: Module) -> Sequence[str]:
        owners: dict[str | None, None] = {}
        for name in self.served(module):
            rows = self.target.symbols.find(name) if self.target.symbols and module.name != KERNEL else ()
            if not rows or rows[0].owner != KERNEL:
                owners[next((one.owner for one in self.exports[name] if one.owner != module.name), None)] = None
        return [name for name in owners if name not in (None, KERNEL) and name not in self.loaded]

    def line(self, module: Module) -> tuple[str, ...] | None:
        """What modprobe loads before an installed module, as modules.dep tells; what is loaded is passed over."""
        modules = self.target.modules if self.modprobe else None
        order = modules.order(module.path, self._given.names) if modules else None
        return None if order is None else tuple(name for name in order if name not in self.loaded)

    def prepare(self) -> None:
        """Get ready for many modules."""
        self._one_by_one = 0
        _ = self.plain

    @cached_property
    def plain(self) -> Plain | None:
        """None where tables and modules have too much to say of the same symbols."""
        known = self.target.symbols.rows if self.target.symbols else Rows()
        if known is None:
            return None
        absent = known.by_module.keys() & self.replaced
        if not self.modprobe or self.target.modules is not None:
            absent = known.by_module.keys() - (self.loaded - self.replaced)
        gone = [name for owner in absent for name in known.by_module[owner] if known.owners[name] == owner]
        if not known.several.isdisjoint(gone):
            return None
        firsts = self._given.firsts if self.exports is self._given.exports else Firsts(self.exports)
        both = (firsts.owners.keys() & known.owners.keys()).difference(gone)
        changed = {**dict.fromkeys(gone), **firsts.owners}
        for name in both:
            if known.owners[name] == KERNEL:
                del changed[name]
        return Plain(known, changed, firsts.crcs, both | firsts.several)

    def view_of(self, module: Module) -> View:
        """What `module` sees.

        Of the first few the symbols are looked up one by one: that takes less than to go through whole tables.
        """
        if self._last is None or self._last.module is not module:
            self._last = View(self, module, None if self._one_by_one else self.plain)
            self._one_by_one = max(0, self._one_by_one - 1)
        return self._last

    def real_name(self, name: str) -> str:
        """The name in struct module of the module that is loaded for a name."""
        module = self.module(name)
        return module.name if module else name

    def installed(self, row: Export) -> tuple[Export, ...]:
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

    def declared(self, module: Module) -> dict[str, list[Export]]:
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


class View:
    """What one module sees when it is loaded.

    :ivar agrees: whether all that it imports is the kernel's own, in no namespace, with the CRCs of its `__versions`
    :ivar needed: the modules that its imports come from, as far as `plain` tells, in the order of first use
    :ivar complete: whether a name that `plain` does not have is exported by nobody
    :ivar plain: what holds for all names at once; None where what the module exports itself is among its imports
    """

    __slots__ = ("_found", "_known", "agrees", "complete", "module", "needed", "plain", "visible")

    def __init__(self, visible: Visible, module: Module, plain: Plain | None) -> None:
        # not a cycle: a kernel's tables are let go with the last that judges by them
        self.visible: Visible = proxy(visible)
        self.module = module
        plain = None if module.name == KERNEL else plain
        self.agrees = plain is not None and plain.agrees(module)
        self.needed = plain.needed(module.imports) if plain and not self.agrees else []
        self.plain = None if module.name in self.needed else plain
        # of installed modules `plain` knows nothing
        self.complete = self.plain is not None and visible.target.modules is None
        self._found: dict[str, tuple[Export, ...]] = {}
        self._known: tuple[dict[str, list[Export]], Collection[str] | None] | None = None

    @property
    def from_kernel(self) -> bool:
        """Whether all that it imports is the kernel's own, or nobody's, for certain."""
        return self.complete and not self.needed

    def find(self, name: str) -> tuple[Export, ...]:
        """The exports of a name, the kernel's own first."""
        if name not in self._found:
            plain, symbols = self.plain if self.complete else None, self.visible.target.symbols
            if plain and plain.owners((name,)) == [None]:
                self._found[name] = ()
            elif symbols and plain and plain.is_only_of_kernel(name):
                self._found[name] = symbols.find(name)
            else:
                self._found[name] = self._find(name)
        return self._found[name]

    def _find(self, name: str) -> tuple[Export, ...]:
        visible, own = self.visible, self.module.name
        if self._known is None:  # most modules are judged without it
            line = visible.line(self.module)
            names = None if line is None else visible.given | {*map(visible.real_name, line)}
            self._known = visible.declared(self.module), names
        declared, there = self._known
        symbols, modules = visible.target.symbols, visible.target.modules
        rows = [row for row in symbols.find(name) if row.owner != own] if symbols else []
        kernel = tuple(row for row in rows if row.owner == KERNEL)
        given = tuple(export for export in visible.exports.get(name, ()) if export.owner != own)
        others = tuple(found for row in rows if row.owner not in visible.replaced for found in visible.installed(row))
        more = declared.get(name, ()) if not others else ()
        if not (kernel or given or others or more) and visible.modprobe and modules:
            more = modules.outside.get(name, ())
        others += tuple(export for export in more if export.owner not in visible.replaced and export.owner != own)
        return kernel + given + tuple(one for one in others if there is None or one.owner in there)

    @property
    def opaque(self) -> tuple[str, ...]:
        """Modules that are, or will be, loaded by then, and whose exports are not known."""
        return self.visible.opaque(self.module)

    @property
    def clashing(self) -> list[Export]:
        """The module's own exports of which `find` may have another's."""
        exports, plain, own = self.module.exports, self.plain, self.module.name
        if plain is None or not self.complete or not exports:
            return list(exports)
        owners = plain.owners([export.name for export in exports])
        return [
            export
            for export, owner in zip(exports, owners)
            if owner not in (own, None) or plain.has_several(export.name)
        ]
