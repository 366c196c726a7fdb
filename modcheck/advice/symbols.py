"""Causes of symbols that the kernel does not have (not loaded, trimmed away, renamed, switched off), or not for this
module (licence, namespace)."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from difflib import SequenceMatcher
from functools import lru_cache

from ..loader.causes import Cause
from ..loader.stages.license import GPL_COMPATIBLE
from ..target.facts import Symbols
from ..target.kconfig import Config
from ..target.made_symbols import options_of
from .case import Case, some
from .crcs import extra_symbols

#: how much of two names must agree for one to be told as another's likely new name
_ALIKE = 0.78
#: symbols of which similar names are looked for, and names that are looked at for each
_LOOKED_UP, _LOOKED_AT = 3, 100


def made_by_option(case: Case) -> Iterator[Cause]:
    """Symbols that an option of the module's tree puts into it, and that the kernel was built without."""
    own, kernels = _tree_config(case), case.target.config
    if own is None or kernels is None:
        return
    finding = case.found("unknown-symbol")
    names = [str(one["symbol"]) for one in finding.symbols] if finding else list(case.module.imports)
    rules = ("unknown-symbol",) if finding or case.lacks("unknown-symbol") else ()
    made: dict[str, list[str]] = {}
    for name in names if rules else ():
        for option in options_of(name, case.module.arch):
            if own.get(option) != kernels.get(option):
                made.setdefault(option, []).append(name)
    for option, symbols in made.items():
        state = f"{own.get(option)} in {own.path}, {kernels.get(option)} in {kernels.path}"
        yield Cause(
            "made-by-option",
            "certain" if finding else "likely",
            f"CONFIG_{option} puts {some(symbols)} into the module, and is not the same in the kernel",
            (f"CONFIG_{option}: {state}",),
            (*case.take_config(), case.prepare, *case.rebuild()),
            rules,
        )


def _tree_config(case: Case) -> Config | None:
    """The .config of the tree that the module was built in, or else of the one that was given."""
    built = case.target.built_against
    return case.own_config or (built.config if built else None)


def unknown_symbols(case: Case) -> Iterator[Cause]:
    """What exports it is there and not loaded; or nothing is."""
    finding = case.found("unknown-symbol")
    if finding is None:
        return
    symbols = finding.details["symbols"]
    owners = list(dict.fromkeys(symbol["owner"] for symbol in symbols if symbol["owner"]))
    absent = [str(symbol["symbol"]) for symbol in symbols if not symbol["owner"]]
    if owners:
        names = [str(symbol["symbol"]) for symbol in symbols if symbol["owner"]]
        depends = case.module.depends
        order = [name for name in depends or () if name not in owners]
        yield Cause(
            "dependency-not-loaded",
            "certain",
            f"exported by {some(owners)}, which {'is' if len(owners) == 1 else 'are'} not loaded by then",
            (
                f"{some(names)}: exported by {some(owners)} ({case.source('symbols')})",
                *((f"depends={','.join(depends)} in .modinfo",) if depends else ()),
            ),
            (
                f"modprobe {case.module.name}    # loads first what it needs",
                f"or by hand: {'; '.join(f'modprobe {name}' for name in (*order, *owners))}; insmod {case.path}",
            ),
            ("unknown-symbol",),
        )
    if not absent:
        return
    where = case.source("symbols")
    evidence = [f"in no table that was given: {some(absent)} ({where})"]
    if case.target.option("TRIM_UNUSED_KSYMS") == "y":
        listed = case.target.option("UNUSED_KSYMS_WHITELIST") or ""
        yield Cause(
            "trimmed",
            "likely",
            "the kernel was built to export only what its own modules use (CONFIG_TRIM_UNUSED_KSYMS)",
            (*evidence, f"CONFIG_TRIM_UNUSED_KSYMS=y ({case.source('config')})"),
            (
                f"put {some(absent)} on the list that CONFIG_UNUSED_KSYMS_WHITELIST names ({listed or 'none yet'}), "
                "and build the kernel again",
                f"or: {case.scripts_config('-d TRIM_UNUSED_KSYMS')}, and build the kernel again",
            ),
            ("unknown-symbol",),
        )
        return
    symbols_known = case.target.symbols
    alike = {name: _names(symbols_known).like(name) for name in absent[:_LOOKED_UP]} if symbols_known else {}
    evidence += [f"like {name}: {', '.join(found)}" for name, found in alike.items() if found]
    if any(alike.values()):
        yield Cause(
            "renamed",
            "possible",
            "the kernel has no such symbol, and has one of a similar name: renamed, or replaced, in this version",
            tuple(evidence),
            ("use what this kernel has, by `#if LINUX_VERSION_CODE` where the driver is for several versions",
             "or take a version of the driver that knows this kernel"),
            ("unknown-symbol",),
        )  # fmt: skip
        return
    yield Cause(
        "not-exported",
        "likely",
        "neither the kernel nor a module that is known exports it: an option that is off, another version's symbol, or "
        "a module that was not given",
        tuple(evidence),
        (
            "if another module exports it: give its .ko in the same call, or --symvers with its Module.symvers",
            f"if an option of the kernel is off: grep -rn 'EXPORT_SYMBOL.*({absent[0]})' in its source shows the file, "
            "and the Makefile there the option",
        ),
        ("unknown-symbol",),
    )


class _Names:
    """The names of all symbols, to be found by the words that they are made of."""

    def __init__(self, symbols: Symbols) -> None:
        self.names = [name for table in symbols.tables for name in table.names]
        self.words: dict[str, list[int]] = {}
        self._alike: dict[str, list[str]] = {}  # the modules of a tree lack the same ones
        for place, name in enumerate(self.names):
            for word in name.split("_"):
                self.words.setdefault(word, []).append(place)

    def like(self, name: str) -> list[str]:
        """The three names most like `name`; none where none is."""
        if name not in self._alike:
            self._alike[name] = self._like(name)
        return self._alike[name]

    def _like(self, name: str) -> list[str]:
        shared: Counter[int] = Counter()
        for word in filter(None, name.split("_")):
            shared.update(self.words.get(word, ()))
        matcher = SequenceMatcher(a="", b=name, autojunk=False)
        found = []
        for place, _ in shared.most_common(_LOOKED_AT):
            matcher.set_seq1(self.names[place])
            same = self.names[place].strip("_") == name.strip("_")
            if same or matcher.ratio() >= _ALIKE:
                found.append((1.0 if same else matcher.ratio(), self.names[place]))
        return [other for _, other in sorted(found, reverse=True)[:3]]


@lru_cache(maxsize=2)
def _names(symbols: Symbols) -> _Names:
    return _Names(symbols)


def gpl_only(case: Case) -> Iterator[Cause]:
    """The licence."""
    finding = case.found("gpl-only-symbol")
    if finding is None:
        return
    stated = case.module.info("license")
    names = [str(symbol["symbol"]) for symbol in finding.details["symbols"]]
    yield Cause(
        "licence",
        "certain",
        "for a module whose licence is not GPL-compatible, to the letter, GPL-only symbols do not exist",
        (f"license={stated}" if stated is not None else "no license in .modinfo", f"GPL-only: {some(names)}"),
        (
            f"MODULE_LICENSE must be one of {', '.join(GPL_COMPATIBLE)}, if that is its licence",
            "otherwise do without these symbols",
        ),
        ("gpl-only-symbol",),
    )


def namespace(case: Case) -> Iterator[Cause]:
    """A namespace that is not imported."""
    finding = case.found("namespace", "error", "warning")
    if finding is None or not finding.details.get("symbols"):
        return
    names = sorted({str(symbol["namespace"]) for symbol in finding.details["symbols"]})
    quoted = case.target.version is not None and case.target.version.since(6, 13)
    imports = [f'MODULE_IMPORT_NS("{name}");' if quoted else f"MODULE_IMPORT_NS({name});" for name in names]
    held = [name for name in names if name.startswith("module:")]
    if held:
        yield Cause(
            "namespace",
            "certain",
            "these symbols are exported for named modules alone, and this is none of them",
            tuple(f"{symbol['symbol']} is in {symbol['namespace']}" for symbol in finding.details["symbols"][:5]),
            ("do without them, or have the exporter name this module (EXPORT_SYMBOL_FOR_MODULES)",),
            ("namespace",),
        )
        return
    yield Cause(
        "namespace",
        "certain",
        "the source does not import the namespace of these symbols",
        (
            *(f"{symbol['symbol']} is in {symbol['namespace']}" for symbol in finding.details["symbols"][:5]),
            f"imported: {', '.join(sorted(case.module.import_namespaces)) or 'none'}",
        ),
        (
            f"# add to the source: {' '.join(imports)}    (make nsdeps does it, with coccinelle)",
            *case.rebuild(behind=extra_symbols(case, [str(one["owner"]) for one in finding.details["symbols"]])),
        ),
        ("namespace",),
    )
