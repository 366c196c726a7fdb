"""`unknown-symbol`, `gpl-only-symbol`, `symbol-version`, `namespace` and their kin: resolving what the module imports.

`simplify_symbols()` and `resolve_symbol()` of kernel/module/main.c, 2.6.11 to 7.3. The whole symbol table is walked in
its order, every failure is written, and the errno is that of the last one. For a symbol that is found, its version is
judged before its namespace; a GPL-only symbol does not exist for a proprietary module.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from ...module.facts import SHN_COMMON, SHN_UNDEF, STB_WEAK, STT_REGISTER, Export, Symbol
from ...target.facts import Target
from ...target.symvers import KERNEL
from ...version import Version
from .. import needs
from ..among import LoadAmong
from ..concerns import concerns
from ..facts import Answer, Attempt, Finding, Level, Load, LogLine, RecordedVersions, Unknown, line
from .force import DEBUG_LOCKING
from .license import is_proprietary
from .versions import VersionCheck, check_version, missing_refused

UNKNOWN, GPL_ONLY, VERSION, NAMESPACE = "unknown-symbol", "gpl-only-symbol", "symbol-version", "namespace"
PROPRIETARY, COMMON, INDEX = "proprietary-taint", "common-symbol", "elf-format"

_SUMMARIES = {
    UNKNOWN: (
        "{n} symbol that the kernel does not have: {names}",
        "{n} symbols that the kernel does not have: {names}",
    ),
    GPL_ONLY: (
        "{names} is for GPL-compatible modules only; this module's licence is {license!r}",
        "{n} symbols are for GPL-compatible modules only, this module's licence is {license!r}: {names}",
    ),
    VERSION: (
        "{names} has another CRC in the kernel than the module was built against",
        "{n} symbols have other CRCs in the kernel than the module was built against: {names}",
    ),
    NAMESPACE: (
        "{names} is in a namespace that the module does not import",
        "{n} symbols are in a namespace that the module does not import: {names}",
    ),
    PROPRIETARY: ("uses a symbol of a proprietary module: {names}", "uses symbols of proprietary modules: {names}"),
    COMMON: ("{names} is a COMMON symbol: compile with -fno-common", "COMMON symbols: {names}"),
    INDEX: ("{names} has an invalid section index", "symbols with invalid section indexes: {names}"),
}


_MISSING = ("{names} has no CRC in the module", "{n} symbols have no CRC in the module: {names}")


class _Walk:
    """Findings of the walk, collected rule by rule while lines keep their order across rules."""

    def __init__(self, load: LoadAmong, recorded: RecordedVersions) -> None:
        self.load, self.recorded = load, recorded
        self.order = 0
        self.rules: dict[tuple[str, Level], tuple[list[LogLine], list[dict[str, Any]]]] = {}
        self.errnos: dict[str, str] = {}
        self.unknown: dict[tuple[str, str], None] = {}
        self.gpl_ok = not load.links.proprietary
        self.used_gpl = self.perhaps_gpl = False
        self.proprietary = not self.gpl_ok

    def add(
        self, rule: str, level: Level, errno: str | None, details: dict[str, Any], *texts: str, once: str | None = None
    ) -> None:
        """One symbol's finding with its lines."""
        lines, symbols = self.rules.setdefault((rule, level), ([], []))
        for text in texts:
            lines.append(line(text, self.order, once))
            self.order += 1
        symbols.append(details)
        if errno:
            self.errnos[rule] = errno

    def fail(self, rule: str, errno: str, name: str, details: dict[str, Any], *texts: str) -> None:
        """A symbol that could not be resolved: its own lines, then `Unknown symbol`."""
        shown = unknown_symbol_line(self.load.links.name, name, errno, self.load.version)
        if not self.load.version.since(2, 6, 36):
            errno = "ENOENT"
        self.add(rule, "error", errno, {"symbol": name, **details}, *texts, shown)

    def lacks(self, rule: str, needs_: str) -> None:
        """A symbol that cannot be judged for want of a fact."""
        self.unknown[rule, needs_] = None

    def answers(self) -> Iterator[Answer]:
        for (rule, level), (lines, symbols) in self.rules.items():
            names = [str(symbol["symbol"]) for symbol in symbols]
            missing = rule == VERSION and all(symbol["module_crc"] is None for symbol in symbols)
            one, many = _MISSING if missing else _SUMMARIES[rule]
            shown = ", ".join(names[:3]) + (f" and {len(names) - 3} more" if len(names) > 3 else "")
            license_ = self.load.links.info("license") or "unspecified"
            summary = (one if len(names) == 1 else many).format(n=len(names), names=shown, license=license_)
            errno = self.errnos.get(rule) if level == "error" else None
            yield Finding(rule, level, summary, errno, tuple(lines), {"symbols": symbols})
        for rule, needs_ in self.unknown:
            yield Unknown(rule, needs_)


_NUMBERS = {"ENOENT": -2, "EINVAL": -22, "EACCES": -13}


def unknown_symbol_line(module: str, name: str, errno: str, version: Version) -> str:
    """The kernel's line; the number in it is the error's, until 4.16 zero for a symbol that is just missing."""
    if not version.since(2, 6, 36):
        return f"{module}: Unknown symbol {name}"
    number = 0 if errno == "ENOENT" and not version.since(4, 17) else _NUMBERS[errno]
    return f"{module}: Unknown symbol {name} (err {number})"


def in_question(load: Load) -> Sequence[int]:
    """The places of the module's symbols, less those that the kernel itself exports just as the module wants them: the
    kernel's own go before all others. Nearly all, in most modules.
    """
    module, target = load.module, load.target
    names, tables, tied = module.imports, target.symbols, target.tied
    every = range(len(module.symbols))
    unproven = load.strict and tied is not None and tied.state == "assumed"
    if tables is None or unproven or module.name == KERNEL or len(names) != len(every) or not _is_compared(target):
        return every
    if target.arch == "ppc64":
        names = tuple([looked_up(load, name) or "" for name in names])
    crcs, gpl_ok = _compared(target, load.recorded), not is_proprietary(module, load.version)
    rows = map(tables.of_kernel.__getitem__, names)
    return [place for place, row in enumerate(rows) if row is None or not _as_wanted(row, crcs, gpl_ok)]


def recorded(load: Load, places: Sequence[int]) -> RecordedVersions:
    """The CRCs that this kernel reads of the module, of the symbols at these places."""
    names = [name for place in places if (name := looked_up(load, load.module.symbols[place].name))]
    basic, extended = (
        None if table is None else {name: table[name] for name in names if name in table} for table in load.recorded
    )
    return RecordedVersions(basic, extended)


def _is_compared(target: Target) -> bool:
    """Whether it is known what the CRCs of symbols are compared with, or that they are not."""
    return target.modversions is False or bool(target.modversions and target.symbols and target.symbols.has_crcs)


def _compared(target: Target, recorded: RecordedVersions) -> Mapping[str, int] | None:
    """The CRCs that the module was built against; None where this kernel compares none."""
    if not target.modversions:
        return None
    return (recorded.basic if recorded.extended is None else recorded.extended) or {}


def _as_wanted(row: Export, crcs: Mapping[str, int] | None, gpl_ok: bool) -> bool:
    """Whether there is nothing to say of a symbol: it may be used, and has the CRC that the module was built against.

    :param crcs: None where they are not compared
    """
    if row.namespace or not (gpl_ok or row.gpl is False):
        return False
    return crcs is None or (row.crc is not None and crcs.get(row.name) == row.crc)


@concerns(modules=lambda links: links.imports, others=True)
def symbols(load: LoadAmong) -> Iterator[Answer]:
    """The walk over the symbol table."""
    imports = load.links.imports
    assert imports
    walk = _Walk(load, imports.recorded)
    crcs, is_compared = _compared(load.target, imports.recorded), _is_compared(load.target)
    # a proprietary module's symbol changes what may be used behind it: then none is settled
    for place in range(len(imports.symbols)) if load.proprietary else imports.open:
        symbol = imports.symbols[place]
        if symbol.shndx == SHN_UNDEF and load.proprietary:
            _undefined(walk, symbol, in_question=place in imports.open)
        elif symbol.shndx == SHN_UNDEF:
            rows = load.view.find(symbol.name) if is_compared else ()
            if not (rows and _as_wanted(rows[0], crcs, walk.gpl_ok)):
                _undefined(walk, symbol)
        elif symbol.shndx == SHN_COMMON:
            if not symbol.name.startswith("__gnu_lto"):
                text = f"{load.links.name}: please compile with -fno-common"
                walk.add(COMMON, "error", "ENOEXEC", {"symbol": symbol.name}, text)
        else:
            _outside(walk, symbol)
    yield from walk.answers()


@concerns((6, 16), modules=lambda module: module.import_namespaces)
def imported_module_namespace(load: Load) -> Iterator[Answer]:
    """`import_ns=module:…` in modinfo: such namespaces are not for importing. Since 6.16."""
    imported = (value for tag, value in load.module.modinfo if tag == "import_ns")
    name = next((value for value in imported if value.startswith("module:")), None)
    if name is not None:
        text = f"{load.module.name}: module tries to import module namespace: {name}"
        yield Finding(NAMESPACE, "error", f"imports the namespace {name} by name", "EPERM", (line(text),))


def _outside(walk: _Walk, symbol: Symbol) -> None:
    """A section index beyond the table: refused since 7.0 (6.1.y, 6.12.y), an arbitrary address before."""
    load = walk.load
    version = load.version
    last = load.links.sections - 1
    backported = version[:2] in ((6, 1), (6, 12)) and version.since(version.major, version.minor, 100)
    if version.since(7, 0) or backported:
        text = f"{load.links.name}: Symbol {symbol.name} has an invalid section index {symbol.shndx} (max {last})"
        walk.add(INDEX, "error", "ENOEXEC", {"symbol": symbol.name}, text)


def _undefined(walk: _Walk, symbol: Symbol, *, in_question: bool = True) -> None:
    """:param in_question: not where it is known that the kernel itself exports it, with the CRC that the module has"""
    load = walk.load
    name = looked_up(load, symbol.name)
    if name is None:
        return
    if symbol.type == STT_REGISTER and (load.target.arch or "").startswith("sparc"):
        return
    rows = load.view.find(name)
    symbols = load.target.symbols
    usable = [row for row in rows if walk.gpl_ok or not row.gpl]
    if usable:
        if usable[0].gpl is None and not walk.gpl_ok:
            walk.lacks(GPL_ONLY, needs.EXPORTS)
        _found(walk, symbol, name, usable[0], in_question)
    elif not rows and not load.knows_absent:
        walk.lacks(UNKNOWN, needs.SYMVERS)
    elif not rows and load.view.opaque:
        walk.lacks(UNKNOWN, f"what {', '.join(load.view.opaque)} exports: give the .ko as well, or its Module.symvers")
    elif symbol.bind == STB_WEAK or _ignored(load, name):
        return
    elif rows:
        walk.fail(GPL_ONLY, "ENOENT", name, {"owner": rows[0].owner})
    else:
        everywhere = symbols.find(name) if symbols else ()
        walk.fail(UNKNOWN, "ENOENT", name, {"owner": everywhere[0].owner if everywhere else None})


def looked_up(load: Attempt, name: str) -> str | None:
    """The name under which an undefined symbol is looked for; None for powerpc's table of contents: nobody exports it
    (`dedotify()` of arch/powerpc/kernel/module_64.c)."""
    if load.target.arch != "ppc64":
        return name
    return None if name in (".TOC.", "TOC.") else name.removeprefix(".")


def _ignored(load: LoadAmong, name: str) -> bool:
    """x86 linkers leave this one behind."""
    return name == "_GLOBAL_OFFSET_TABLE_" and load.links.arch in ("x86_64", "i386") and load.version.since(5, 12)


def _found(walk: _Walk, symbol: Symbol, name: str, row: Export, in_question: bool) -> None:
    if row.gpl:
        walk.used_gpl = True
    walk.perhaps_gpl |= row.gpl is None
    if not in_question or not _inherits(walk, symbol, name, row):
        return
    if not _version(walk, name, row):
        return
    _namespace(walk, name, row)


def _inherits(walk: _Walk, symbol: Symbol, name: str, row: Export) -> bool:
    """Using a proprietary module's symbol: forbidden after a GPL-only one, else taints. Since 5.9 (4.19.y, 5.4.y)."""
    load = walk.load
    if row.owner not in load.proprietary or walk.proprietary or not load.version.since(5, 9):
        return True
    label = load.links.name
    shown = f" {name}" if load.version.since(5, 19) else ""
    if walk.used_gpl:
        if symbol.bind == STB_WEAK:
            return False
        text = f"{label}: module using GPL-only symbols uses symbols{shown} from proprietary module {row.owner}."
        walk.fail(PROPRIETARY, "ENOENT", name, {"owner": row.owner}, text)
        return False
    if walk.perhaps_gpl:
        walk.lacks(PROPRIETARY, needs.EXPORTS)
    text = f"{label}: module uses symbols{shown} from proprietary module {row.owner}, inheriting taint."
    walk.add(PROPRIETARY, "warning", None, {"symbol": name, "owner": row.owner}, text)
    walk.proprietary, walk.gpl_ok = True, False
    return True


def _version(walk: _Walk, name: str, row: Export) -> bool:
    """Whether the symbol's version lets it through (also where that is not known)."""
    load = walk.load
    if load.target.modversions is False:
        return True
    if load.target.modversions is None:
        walk.lacks(VERSION, f"whether CONFIG_MODVERSIONS is on: {needs.CONFIG}")
        return True
    if row.crc == 0 and load.target.symbols and not load.target.symbols.has_crcs:
        walk.lacks(VERSION, needs.CRCS)
        return True
    unknown = row.inferred and row.crc is None
    check = check_version(walk.recorded, name, -1 if unknown else row.crc)
    if unknown and check.outcome == "differs":
        walk.lacks(VERSION, needs.EXPORTS)
        return True
    details = {"module_crc": check.module_crc, "target_crc": row.crc, "owner": row.owner}
    if check.outcome == "differs":
        text = f"{load.links.label}: disagrees about version of symbol {name}"
        walk.fail(VERSION, "EINVAL", name, details, text)
        return False
    if check.outcome == "no-versions":
        return _no_versions(walk, name, details)
    if check.outcome == "missing":
        return _missing(walk, name, check, details)
    return True


def _no_versions(walk: _Walk, name: str, details: dict[str, Any]) -> bool:
    """No table at all: the same rule as for module_layout, which has spoken already."""
    load = walk.load
    if load.version.since(2, 6, 26) and load.target.option("MODULE_FORCE_LOAD") == "n":
        walk.fail(VERSION, "EINVAL", name, details)
        return False
    return True


def _missing(walk: _Walk, name: str, check: VersionCheck, details: dict[str, Any]) -> bool:
    load = walk.load
    if not load.version.since(2, 6, 26):
        texts = (f'{load.links.name}: no version for "{name}" found: kernel tainted.', DEBUG_LOCKING)
        walk.add(VERSION, "warning", None, {"symbol": name, **details}, *texts[:1], once="taint-F")
        return True
    refused = missing_refused(load, check)
    text = f"{load.links.label}: no {'extended ' if check.extended else ''}symbol version for {name}"
    if refused is None:
        walk.lacks(VERSION, needs.VENDOR)
    elif refused:
        walk.fail(VERSION, "EINVAL", name, details, text)
        return False
    else:
        walk.add(VERSION, "warning", None, {"symbol": name, **details}, text, once="no-symbol-version")
    return True


def _namespace(walk: _Walk, name: str, row: Export) -> None:
    load = walk.load
    if row.inferred and row.namespace.startswith("?"):
        if load.version.since(5, 4) and row.namespace[1:] not in load.links.namespaces:
            walk.lacks(NAMESPACE, needs.EXPORTS)
        return
    if not row.namespace or not load.version.since(5, 4) or row.namespace in load.links.namespaces:
        return
    by_name = row.namespace.startswith("module:") and load.version.since(6, 16)
    if by_name and _is_named(load.links.name, row.namespace.removeprefix("module:")):
        return
    text = f"{load.links.name}: module uses symbol ({name}) from namespace {row.namespace}, but does not import it."
    details = {"namespace": row.namespace, "owner": row.owner}
    allowed = load.target.option("MODULE_ALLOW_MISSING_NAMESPACE_IMPORTS")
    if allowed is None:
        walk.lacks(NAMESPACE, needs.CONFIG)
    elif allowed == "y":
        walk.add(NAMESPACE, "warning", None, {"symbol": name, **details}, text)
    else:
        walk.fail(NAMESPACE, "EINVAL", name, details, text)


def _is_named(module: str, names: str) -> bool:
    """Whether a `module:` namespace names this module; a `*` at an item's end matches any rest."""
    folded = module.replace("-", "_")
    for item in names.split(","):
        item = item.replace("-", "_")
        if folded == item or (item.endswith("*") and folded.startswith(item[:-1])):
            return True
    return False
