"""Causes of CRCs that differ or are missing: where the module's came from, how many differ, and whose symbols."""

from __future__ import annotations

import shlex
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from ..loader import needs
from ..loader.causes import Cause, Confidence
from ..loader.facts import Prediction
from ..target.built import Table
from ..target.symvers import KERNEL
from .case import Case, date, some
from .releases import headers

Symbol = Mapping[str, Any]
_RULES = ("module-layout", "symbol-version")
#: so many of the CRCs that were compared, in hundredths, are another kernel's and no single change
_MANY = 30


def differing_symbols(prediction: Prediction) -> list[str]:
    """The symbols of which both sides have a CRC, and not the same; module_layout first."""
    return [str(symbol["symbol"]) for symbol in _differing(prediction)]


def _differing(prediction: Prediction) -> list[Symbol]:
    errors = [one for one in prediction.findings if one.level == "error" and one.rule in _RULES]
    found = [symbol for finding in errors for symbol in finding.symbols]
    return [symbol for symbol in found if symbol["module_crc"] is not None and symbol["target_crc"] is not None]


def _missing(case: Case) -> list[Symbol]:
    """The symbols of which the module has no CRC, refused or not."""
    told = [one for one in case.prediction.findings if one.rule in _RULES]
    return [symbol for finding in told for symbol in finding.symbols if symbol["module_crc"] is None]


def _rules(case: Case) -> tuple[str, ...]:
    return case.refuses(*_RULES)


def _kernels_table(case: Case) -> str | None:
    """The path of the kernel's own Module.symvers, where it is a file."""
    tables = case.target.symbols.tables if case.target.symbols else ()
    return next((shlex.quote(one.path) for one in tables if one.has_kernel and one.whole and not one.inferred), None)


def put_table(case: Case) -> tuple[str, ...]:
    """The command that brings the kernel's Module.symvers into the tree, where it is not there."""
    path, tree = _kernels_table(case), case.built.tree
    if path is not None and tree and tree.table and shlex.quote(tree.table.path) == path:
        return ()
    return (_copy_table(case, path),)


def _copy_table(case: Case, path: str | None) -> str:
    if path is None:
        return f"modcheck symvers ROOTFS -o {case.kdir}/Module.symvers    # with the board's image and modules"
    if path.endswith((".xz", ".gz", ".zst")):
        return f"modcheck symvers {path} -o {case.kdir}/Module.symvers"
    return f"cp {path} {case.kdir}/Module.symvers"


def stale_table(case: Case) -> Iterator[Cause]:
    """The table that the module's CRCs came from is at hand, and is another build's."""
    differing = _differing(case.prediction)
    if not differing:
        return
    for table, remedy in _tables(case):
        known = [(row, symbol) for symbol in differing if (row := table.symvers.get(str(symbol["symbol"])))]
        if not known or any(row.crc != symbol["module_crc"] for row, symbol in known):
            continue
        names = [row.name for row, _ in known]
        evidence = [
            f"{table.path}, written {date(table.time)}, has the module's CRCs of {some(names)}",
            f"the kernel has others ({case.source('symbols')})",
        ]
        yield Cause(
            "stale-symvers",
            "certain",
            f"the CRCs came from {table.path}, which is not of this kernel's build",
            (*evidence, *_newer(case)),
            (remedy, *put_table(case), *case.rebuild()),
            _rules(case),
        )
        return
    tree = case.target.tree
    if _newer(case) and tree and case.source("symbols").startswith(tree):
        yield Cause(
            "stale-symvers",
            "likely",
            f"{case.source('symbols')} is of what the tree was before: release or options have changed since",
            _newer(case),
            (case.make(kdir=shlex.quote(tree)) + "    # a whole build writes it anew", *case.rebuild()),
            _rules(case),
        )


def _tables(case: Case) -> Iterator[tuple[Table, str]]:
    """Tables other than the target's that kbuild may have read, each with what to do about it."""
    kernels = case.source("symbols")
    beside, tree = case.built.beside, case.built.tree
    if beside and beside.path not in kernels:
        yield beside, f"rm {shlex.quote(beside.path)}    # older kbuild reads it before the kernel's own"
    if tree and tree.table and tree.table.path not in kernels:
        yield tree.table, "# the tree is of another build than the kernel:"


def _newer(case: Case) -> tuple[str, ...]:
    """What says that a tree's table is older than the tree."""
    tree = case.built.tree
    if tree is None or tree.stale is None or tree.table is None:
        return ()
    path, time = tree.stale
    release = f", which says {tree.release}" if path == tree.release_file else ""
    return (f"{tree.table.path} was written {date(tree.table.time)}, {path} {date(time)}{release}",)


def no_crcs_in_module(case: Case) -> Iterator[Cause]:
    """The table that should have given CRCs was not there when the module was built."""
    missing = _missing(case)
    no_versions = case.module.versions is None and case.found("module-layout") is not None
    undecided = [one.rule for one in case.prediction.unchecked if one.needs == needs.VENDOR]
    if not (missing or no_versions or undecided):
        return
    told = [one.rule for one in case.prediction.findings if one.rule in _RULES]
    rules = tuple(dict.fromkeys((*told, *undecided)))
    recorded = {name for name, _ in case.module.versions or ()}
    if no_versions and "modversions" not in (case.module.vermagic or "").split():
        yield _without_modversions(case, rules)
        return
    evidence = [f"{len(recorded)} CRCs in __versions of {case.module.path}"]
    taken = "it refuses a module without such a CRC" if _rules(case) else "it takes the module, with a line in its log"
    vendor = [f"whose kernel it is: {case.target.vendor}; {taken}"] if case.target.vendor else []
    if no_versions or "module_layout" not in recorded:
        known, tree = headers(case.releases[1]), case.built.tree
        evidence.append("module_layout is not among them")
        evidence += [f"no Module.symvers in {tree.path}: it was only prepared"] if tree and tree.table is None else []
        why = "the tree had no Module.symvers when the module was built: `make modules_prepare` makes none"
        rebuild = case.rebuild(behind="    # without KBUILD_MODPOST_WARN; or a whole `make` in the tree")
        fix = (*([known.install] if known else []), *put_table(case), *rebuild)
        yield Cause("no-symvers", "certain", why, (*evidence, *vendor), fix, rules)
        return
    owners = list(dict.fromkeys(str(symbol.get("owner") or KERNEL) for symbol in missing))
    names = [str(symbol["symbol"]) for symbol in missing]
    evidence += [f"none of {some(names)}"] if names else []
    why = f"the Module.symvers of {some(owners) or 'an exporter'} was not given when the module was built"
    rebuild = case.rebuild(behind=extra_symbols(case, owners))
    confidence: Confidence = "certain" if missing else "likely"
    yield Cause("no-extra-symvers", confidence, why, (*evidence, *vendor), rebuild, rules)


def _without_modversions(case: Case, rules: tuple[str, ...]) -> Cause:
    why = "CONFIG_MODVERSIONS is on in the kernel, and off in the module's tree"
    evidence = (
        case.sides("MODVERSIONS", "n", "y"),
        f"no CRCs (no __versions) in {case.module.path}, and no `modversions` in its vermagic",
    )
    fix = (*case.take_config(), case.prepare, *put_table(case), *case.rebuild())
    return Cause("modversions", "certain", why, evidence, fix, (*rules, *case.refuses("vermagic")))


def extra_symbols(case: Case, owners: Sequence[str]) -> str:
    """` KBUILD_EXTRA_SYMBOLS=…` with the tables of modules, as far as they were given; empty for the kernel's own."""
    others = [owner for owner in dict.fromkeys(owners) if owner != KERNEL]
    tables = case.target.symbols.tables if case.target.symbols else ()
    for table in tables:
        if not table.has_kernel and any(owner in table.owners for owner in others):
            here = "" if table.path.startswith("/") else '"$PWD"/'  # make runs elsewhere
            return f" KBUILD_EXTRA_SYMBOLS={here}{shlex.quote(table.path)}"
    if not others:
        return ""
    return f' KBUILD_EXTRA_SYMBOLS="$EXPORTER"/Module.symvers    # EXPORTER: the folder of {some(others)}'


def differing_crcs(case: Case) -> Iterator[Cause]:
    """Many CRCs: another kernel. Those of one exporter alone: it was built elsewhere. A few: one structure."""
    differing = _differing(case.prediction)
    if not differing:
        return
    owners = [owner for owner in dict.fromkeys(symbol["owner"] or "" for symbol in differing) if owner]
    layout = differing[0]["symbol"] in ("module_layout", "struct_module")
    compared = max(len(case.module.versions_ext or case.module.versions or ()), len(differing))
    names = [str(symbol["symbol"]) for symbol in differing]
    evidence = [
        f"{len(differing)} of {compared} CRCs differ, module_layout {'among them' if layout else 'is the same'}"
    ]
    if case.module.vermagic == case.target.vermagic:
        evidence.append(f"vermagic is the same: {case.module.vermagic!r}")
    for one in case.types:
        way = f", by way of {one.by_way_of}," if one.by_way_of else ""
        evidence.append(f"{one.type}{way} {one.change} (explains {some(one.symbols, 3)})")
    if KERNEL not in owners:
        evidence.append(f"all of them are exported by {some(owners)}: {some(names)}")
        yield _elsewhere(case, some(owners), owners, tuple(evidence))
    elif layout or len(differing) * 100 > compared * _MANY:
        why = "built against another kernel: other options, another source or another Module.symvers than this one's"
        evidence += case.option_lines()
        yield Cause("other-kernel", "certain", why, tuple(evidence), _with_kernels(case), _rules(case), case.types)
    else:
        yield _changed(case, names, (*evidence, some(names), *case.option_lines()))


def _elsewhere(case: Case, who: str, owners: list[str], evidence: tuple[str, ...]) -> Cause:
    why = f"{who} of this kernel was built from another source than the {who} that the module was built against"
    fix = (
        *case.rebuild(behind=extra_symbols(case, owners)),
        f"or load the {who} that the module was built against",
    )
    return Cause("dependency-built-elsewhere", "certain", why, evidence, fix, _rules(case), case.types)


def _changed(case: Case, names: list[str], evidence: tuple[str, ...]) -> Cause:
    what = case.types[0].type if case.types else "one structure or prototype"
    why = f"{what} is not what it was when the module was built: a patch, or an option that it depends on"
    look = (
        f"to see which: {case.make('KBUILD_SYMTYPES=1 FILE.o')} in both trees (FILE exports {names[0]}), "
        "then modcheck --symtypes THIS_TREE --symtypes THE_KERNELS_TREE"
    )
    fix = _with_kernels(case) if case.types else (*_with_kernels(case), look)
    confidence: Confidence = "certain" if case.types and not case.types[0].by_way_of else "likely"
    return Cause("changed-structure", confidence, why, evidence, fix, _rules(case), case.types)


def _with_kernels(case: Case) -> tuple[str, ...]:
    known = headers(case.releases[1])
    if case.kernels_kdir or known:
        return case.with_headers(known)
    rebuild = case.rebuild(behind="    # with the source that the kernel was built from")
    return *case.take_config(), case.prepare, *put_table(case), *rebuild
