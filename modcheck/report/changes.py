"""The report of `diff`: two kernels, and the modules judged on both, as text and as JSON."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any, NamedTuple

from ..advice.releases import headers
from ..loader.causes import TypeChange
from ..loader.facts import Prediction
from ..module.facts import Export
from ..target.difference import SymbolChange, SymbolDifference
from ..target.facts import Target
from .json import SCHEMA, crc, export_object, target_object, type_change
from .style import Style
from .text import tabulated, target_lines
from .words import SHOWN

if TYPE_CHECKING:
    from ..advice.options import OptionChange, OptionChanges


class Judged(NamedTuple):
    """One module on both kernels."""

    old: Prediction
    new: Prediction

    @property
    def breaks(self) -> bool:
        """Whether the new kernel refuses it, and the old one does not."""
        return self.new.verdict == "refused" and self.old.verdict != "refused"

    @property
    def symbols(self) -> list[str]:
        """The symbols for which the new kernel refuses it."""
        found: dict[str, None] = {}
        for finding in self.new.findings:
            if finding.level == "error" and not finding.ignored:
                found.update(dict.fromkeys(str(symbol["symbol"]) for symbol in finding.symbols))
        return list(found)


class Update(NamedTuple):
    """All that `diff` found."""

    old: Target
    new: Target
    protected: str | None
    """the list of symbols that it was restricted to"""
    symbols: SymbolDifference
    types: tuple[TypeChange, ...]
    options: OptionChanges | None
    modules: tuple[Judged | tuple[str, str], ...]


def diff_document(update: Update, modcheck_version: str) -> dict[str, Any]:
    """What `diff` prints as JSON, schema 1."""
    symbols, options = update.symbols, update.options
    judged = [one for one in update.modules if isinstance(one, Judged)]
    return {
        "schema": SCHEMA,
        "modcheck": modcheck_version,
        "old": target_object(update.old),
        "new": target_object(update.new),
        "stablelist": update.protected,
        "notes": list(symbols.notes),
        "summary": {
            "compared": symbols.compared,
            "removed": len(symbols.removed),
            "added": len(symbols.added),
            "changed": len(symbols.changed),
            "unknown": len(symbols.unknown),
            "modules": len(update.modules),
            "break": sum(one.breaks for one in judged),
        },
        "symbols": {
            "removed": [_export(row) for row in symbols.removed],
            "added": [_export(row) for row in symbols.added],
            "changed": [
                {"name": one.new.name, "what": list(one.what), "old": _export(one.old), "new": _export(one.new)}
                for one in symbols.changed
            ],
            "unknown": list(symbols.unknown),
        },
        "types": [type_change(one) for one in update.types],
        "options": [_option(one) for one in (*options.mattering, *options.others)] if options else [],
        "modules": [_module(one) for one in update.modules],
    }


def _export(row: Export) -> dict[str, Any]:
    return {**export_object(row), "owner": row.owner}


def _option(one: OptionChange) -> dict[str, Any]:
    return {
        "option": one.option,
        "old": one.old,
        "new": one.new,
        "touches": list(one.touches),
        "structures": list(one.structures),
    }


def _module(one: Judged | tuple[str, str]) -> dict[str, Any]:
    if not isinstance(one, Judged):
        return {"path": one[0], "error": f"{one[0]}: {one[1]}"}
    new = one.new
    entry: dict[str, Any] = {"path": new.path, "name": new.name}
    if new.error:
        entry["error"] = f"{new.path}: {new.error}"
    return {
        **entry,
        "old": one.old.verdict,
        "new": one.new.verdict,
        "breaks": one.breaks,
        "errno": one.new.errno,
        "log": list(one.new.log),
        "rules": list(dict.fromkeys(finding.rule for finding in one.new.findings if finding.level == "error")),
        "symbols": one.symbols,
        "unchecked": [{"rule": unknown.rule, "needs": unknown.needs} for unknown in one.new.unchecked],
    }


def diff_report(update: Update, style: Style, *, verbose: bool) -> str:
    """What `diff` prints as text: what decides first, the lists behind it."""
    symbols = update.symbols
    lines = [f"{_name(update.old)} -> {style.strong(_name(update.new))}", ""]
    lines += _modules(update, style, verbose)
    if not symbols.compared and symbols.notes:
        lines += [*symbols.notes, "", *_options(update, verbose), ""]
        return "\n".join(lines)
    where = f" of {update.protected}" if update.protected is not None else ""
    unsure = set(symbols.unknown) - {one.new.name for one in symbols.changed}
    kept = symbols.compared - len(symbols.removed) - len(symbols.changed) - len(unsure)
    unknown = f", {len(unsure)} not known" if unsure else ""
    lines.append(
        f"symbols{where}: {len(symbols.removed)} removed, {len(symbols.changed)} changed, {len(symbols.added)} added, "
        f"{kept} as they were{unknown}"
    )
    lines += _list("removed", symbols.removed, style, verbose)
    lines += _changed(symbols.changed, style, verbose)
    lines += _list("added", symbols.added, style, verbose)
    lines += [f"  {style.warning('note')}: {note}" for note in symbols.notes]
    if update.types:
        explained = sum(len(one.symbols) for one in update.types)
        differing = sum("crc" in one.what for one in symbols.changed)
        lines += ["", f"types behind the CRCs (of {explained} of {differing} symbols):"]
        shown = update.types if verbose else update.types[:SHOWN]
        for one in shown:
            way = f", by way of {one.by_way_of}," if one.by_way_of else ""
            lines.append(f"  {style.strong(one.type)}{way} {one.change}: {len(one.symbols)} of them")
        if rest := len(update.types) - len(shown):
            lines.append(f"  … and {rest} more (-v shows all)")
    lines += ["", *_options(update, verbose), ""]
    for target in (update.old, update.new):
        lines += target_lines(replace(target, build=None), style, verbose=verbose)
    return "\n".join(lines) + "\n"


def _name(target: Target) -> str:
    files = (source.removesuffix(" (header)") for source in target.sources.values())
    return target.release or next(files, "a kernel")


def _modules(update: Update, style: Style, verbose: bool) -> list[str]:
    judged = [one for one in update.modules if isinstance(one, Judged) and not one.new.error]
    if not judged:
        return []
    breaking = [one for one in judged if one.breaks]
    refused = [one for one in judged if one.new.verdict == "refused" and not one.breaks]
    unknown = [one for one in judged if one.new.verdict == "unknown"]
    mended = [one for one in judged if one.old.verdict == "refused" and one.new.verdict != "refused"]
    counts = [f"{len(refused)} are refused by both"] if refused else []
    counts += [f"{len(unknown)} are unknown"] if unknown else []
    lines = [", ".join([f"modules: {len(breaking)} of {len(judged)} break", *counts])]
    folder = _folder_of([one.new.path for one in judged])
    if folder:
        lines[0] += f" (all below {folder})"
    shown = breaking if verbose else breaking[: 2 * SHOWN]
    for one in shown:
        names = one.symbols
        listed = ", ".join(names if verbose else names[:4]) + (" …" if len(names) > 4 and not verbose else "")
        rules = ", ".join(dict.fromkeys(finding.rule for finding in one.new.findings if finding.level == "error"))
        rules += f" ({one.new.failed_in})" if one.new.failed_in else ""
        why = f"{rules}: {listed}" if names else rules
        path = one.new.path.removeprefix(folder).lstrip("/") if folder else one.new.path
        lines.append(f"  {path}: {style.verdict('refused')} ({one.new.errno}), {why}")
    lines += [f"  … and {len(breaking) - len(shown)} more (-v shows all)"] if len(shown) < len(breaking) else []
    if breaking:
        known = headers(update.new.release or "")
        against = f"the headers of {update.new.release or 'the new kernel'}" + (f" ({known.install})" if known else "")
        lines.append(f"  build these again, against {against}")
    others = (
        ("refused by both", refused),
        ("unknown on the new one", unknown),
        ("refused by the old one, not by the new (are OLD and NEW swapped?)", mended),
    )
    for what, found in others:
        if found:
            shown = found if verbose else found[:SHOWN]
            paths = [one.new.path.removeprefix(folder).lstrip("/" if folder else "") for one in shown]
            rest = len(found) - len(paths)
            lines.append(f"  {what}: {', '.join(paths)}" + (f" and {rest} more" if rest else ""))
    return [*lines, ""]


def _folder_of(paths: Sequence[str]) -> str:
    """The folder that all of many files lie below, so as not to say it each time; empty where there is none."""
    if len(paths) < 4 or len({os.path.isabs(path) for path in paths}) > 1:
        return ""
    return os.path.commonpath([os.path.dirname(path) for path in paths])


def _list(what: str, rows: Sequence[Export], style: Style, verbose: bool) -> list[str]:
    if not rows:
        return []
    shown = rows if verbose else rows[:SHOWN]
    rest = f" and {len(rows) - len(shown)} more (-v shows all)" if len(shown) < len(rows) else ""
    return [f"  {style.rule(what)}: {', '.join(f'{row.name} ({row.owner})' for row in shown)}{rest}"]


def _changed(changes: Sequence[SymbolChange], style: Style, verbose: bool) -> list[str]:
    if not changes:
        return []
    shown = changes if verbose else changes[:SHOWN]
    rows = [(one.new.owner, one.new.name, ", ".join(_words(one))) for one in shown]
    lines = [f"    {line}" for line in tabulated(rows, ("exported by", "symbol", "old -> new"))]
    lines += [f"    … and {len(changes) - len(shown)} more (-v shows all)"] if len(shown) < len(changes) else []
    return [f"  {style.rule('changed')}:", "", *lines, ""]


def _words(one: SymbolChange) -> list[str]:
    old, new = one.old, one.new
    kinds = {True: "GPL-only", False: "for all", None: "?"}
    words = {
        "crc": f"{crc(old.crc)} -> {crc(new.crc)}",
        "gpl": f"{kinds[old.gpl]} -> {kinds[new.gpl]}",
        "namespace": f"namespace {old.namespace or 'none'} -> {new.namespace or 'none'}",
        "owner": f"{old.owner} -> {new.owner}",
    }
    return [words[what] for what in one.what]


def _options(update: Update, verbose: bool) -> list[str]:
    options = update.options
    if options is None:
        return ["options: not compared, since the .config of one of them is not known"]
    if not verbose:
        old, new = (target.config.path if target.config else "" for target in (update.old, update.new))
        return list(options.lines(old, new))
    lines = [f"options: {len(options.mattering)} that matter differ, and {len(options.others)} others"]
    lines += [f"  {', '.join(one.touches)}: {one}" for one in options.mattering]
    return [*lines, f"  others: {', '.join(one.option for one in options.others)}"]
