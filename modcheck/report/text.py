"""The text report: what a developer reads at a failing gate. Verdict first, then the words to search for, then why.

One module's part fits a screen: long lists are counted and cut unless `verbose`.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from ..loader.facts import Finding, Prediction
from ..target.facts import Target
from . import Context, Result, Totals
from .style import Style
from .words import CAPTURE, CAPTURED, NEVER, SHOWN, missing, outcome, printable, said, sums, tie_lines, to_fetch, told


def entry(result: Result, context: Context) -> str:
    """What is said of one module; nothing of a file that is none, which is told on stderr."""
    if not isinstance(result, Prediction) or result.error:
        return ""
    return _module(result, context.target, context.loader, context.style, context.verbose)


def document(entries: Iterable[str], totals: Totals, context: Context) -> Iterator[str]:
    """The modules one after the other, then the target, what was assumed, and the sum."""
    if not any(totals.verdicts.values()):
        return
    for one in filter(None, entries):
        yield one + "\n"
    yield "\n".join(_tail(totals, context))


def failure(reason: str, loader: str, modcheck_version: str) -> str:
    """Nothing: stderr has it."""
    return ""


def _module(one: Prediction, target: Target, loader: str, style: Style, verbose: bool) -> str:
    lines = [_headline(one, target, style)]
    if one.verdict == "refused":
        lines += ["", *_quotes(one, loader, style, verbose)]
    elif one.log and (verbose or one.verdict == "loads"):
        lines += [_quote("dmesg says", text) if not index else _quote("", text) for index, text in enumerate(one.log)]
    lines += _causes(one, style, verbose)
    other_build = any(finding.rule == "module-layout" and finding.level == "error" for finding in one.findings)
    for finding in one.findings:
        if finding.level == "error" or verbose:
            brief = other_build and finding.rule == "symbol-version" and not verbose
            lines += _finding(finding, style, verbose, brief=brief)
        elif finding.rule in ("vermagic", "depmod"):
            lines += [""] if one.verdict == "refused" else []
            lines.append(f"  {style.rule(finding.rule)}: {finding.summary}")
    if one.needs and loader == "modprobe":
        lines.append(f"  loaded first: {', '.join(one.needs)}")
        if one.insmod_refuses:
            lines.append("  insmod alone would be refused: it does not load them (Unknown symbol in module)")
    if one.unchecked:
        lines += _open_questions(one, target)
    return "\n".join(lines) + "\n"


def _causes(one: Prediction, style: Style, verbose: bool) -> list[str]:
    """Why, on what evidence, and what to type: of the best explanation, and of those of other refusals."""
    lines: list[str] = []
    for cause in told(one, verbose=verbose):
        lines += ["", f"  why   {style.strong(printable(cause.why))} ({cause.confidence})"]
        lines += [f"        - {printable(text)}" for text in cause.evidence]
        lines += [f"  {'fix' if not index else '   '}   {printable(step)}" for index, step in enumerate(cause.fix)]
    if one.force:
        lines += ["", f"  {style.warning('note')}  {one.force}"]
    return lines


def _open_questions(one: Prediction, target: Target) -> list[str]:
    """What could not be decided, for want of what; what is decided all the same; what to fetch."""
    lines = ["", "  not decided, for want of:", *(f"    {text}" for text in missing(one))]
    if target.config:
        from ..advice.fetch import decided

        lines += ["", f"  decided by {target.config.path}:"]
        lines += [f"    {text}" for text in decided(target)]
    if one.fetch:
        lines += ["", "  to fetch from the board, the shortest list:"]
        lines += [f"    {text}" for text in to_fetch(one)]
        lines += [f"    or all at once: {CAPTURE};", f"    then {CAPTURED}"]
    return lines


def _headline(one: Prediction, target: Target, style: Style) -> str:
    return f"{one.path}: {style.verdict(one.verdict)}{outcome(one, target)}"


def _quote(who: str, text: str) -> str:
    return f"  {who:<14} {text}"


def _quotes(one: Prediction, loader: str, style: Style, verbose: bool) -> list[str]:
    """What insmod, modprobe and dmesg say."""
    path = one.path
    words = [_quote("insmod says", f"insmod: ERROR: could not insert module {path}: {one.insmod_message}")]
    if loader == "busybox":
        words = [_quote("insmod says", f"insmod: can't insert '{path}': {one.message}")]
    if loader == "modprobe":
        words.append(_quote("modprobe says", f"modprobe: ERROR: could not insert '{one.name}': {one.message}"))
    says = said(one, verbose=verbose)
    lines = [*map(style.strong, says.lines), *says.remarks]
    words += [_quote("" if index else "dmesg says", text) for index, text in enumerate(lines)]
    return words


def _finding(finding: Finding, style: Style, verbose: bool, *, brief: bool) -> list[str]:
    """A finding with its table; `brief`: the summary, for one that follows from another."""
    mark = " (ignored)" if finding.ignored else ""
    lines = ["", f"  {style.rule(finding.rule)}{mark}: {finding.summary}"]
    table = [] if brief else _table(finding, style, verbose)
    if table:
        lines += ["", *(f"    {line}" for line in table), ""]
    return lines


def _table(finding: Finding, style: Style, verbose: bool) -> list[str]:
    if finding.rule == "vermagic" and finding.details.get("target"):
        return _vermagic_table(finding, style)
    symbols = finding.symbols
    if finding.rule in ("symbol-version", "module-layout") and symbols:
        return _crc_table(finding, style, verbose)
    if finding.rule in ("unknown-symbol", "gpl-only-symbol", "namespace") and len(symbols) > 3:
        return _symbol_list(symbols, verbose)
    return []


def _vermagic_table(finding: Finding, style: Style) -> list[str]:
    """Token by token, each word of one side beside the same word of the other."""
    ours, theirs = str(finding.details["module"]).split(), str(finding.details["target"]).split()
    rows = [(ours[0] if ours else "", theirs[0] if theirs else "")]
    words = theirs[1:]
    words += [word for word in ours[1:] if word not in words]
    rows += [(word if word in ours[1:] else "-", word if word in theirs[1:] else "-") for word in words]
    compared = finding.details.get("release_compared")
    table = []
    for index, (one, other) in enumerate(rows):
        mark = "" if one == other else "!=" if index or compared else "not compared"
        table.append((mark, "release" if not index else "", style.differs(one, one != other), other))
    return tabulated(table, ("", "vermagic", "module", "kernel"))


def _crc_table(finding: Finding, style: Style, verbose: bool) -> list[str]:
    """CRCs, grouped by the module that exports the symbols."""
    symbols = sorted(finding.symbols, key=lambda symbol: (symbol["owner"] != "vmlinux", symbol["owner"] or ""))
    shown = symbols if verbose else symbols[:SHOWN]
    rows = []
    owner = None
    for symbol in shown:
        rows.append((
            symbol["owner"] if symbol["owner"] != owner else "",
            symbol["symbol"],
            style.differs(_crc(symbol["module_crc"]), True),
            _crc(symbol["target_crc"]),
        ))  # fmt: skip
        owner = symbol["owner"]
    table = tabulated(rows, ("exported by", "symbol", "module", "kernel"))
    if len(shown) < len(symbols):
        table.append(f"… and {len(symbols) - len(shown)} more (-v shows all)")
    return table


def _symbol_list(symbols: Sequence[Mapping[str, Any]], verbose: bool) -> list[str]:
    shown = symbols if verbose else symbols[:SHOWN]
    table = tabulated([(s["owner"] or "nobody", s["symbol"]) for s in shown], ("exported by", "symbol"))
    if len(shown) < len(symbols):
        table.append(f"… and {len(symbols) - len(shown)} more (-v shows all)")
    return table


def _crc(value: int | None) -> str:
    return "none" if value is None else f"0x{value:08x}"


def tabulated(rows: Sequence[Sequence[str | None]], headers: Sequence[str]) -> list[str]:
    """The lines of a table."""
    from tabulate import tabulate  # costs 15 ms: only where a table is drawn

    return tabulate(rows, headers=headers, tablefmt="simple", disable_numparse=True).splitlines()


def _tail(totals: Totals, context: Context) -> list[str]:
    """What describes the target, what was assumed, what is never predicted, and the sum."""
    lines = target_lines(context.target, context.style, verbose=context.verbose)
    if totals.assumed:
        lines.append(f"assumed: {'; '.join(totals.assumed)}")
    lines.append(NEVER)
    if totals.modules > 1:
        lines.append(sums(totals))
    return [*lines, ""]


def target_lines(target: Target, style: Style, *, verbose: bool) -> list[str]:
    """The target in a few lines, with the sources of its facts; contradictions are never left out."""
    crcs = {True: "compares CRCs", False: "no CRCs (CONFIG_MODVERSIONS is off)", None: "CRCs: unknown"}
    facts = [target.release or "release unknown", target.arch or "architecture unknown", crcs[target.modversions]]
    if target.symbols:
        facts.append(f"{target.symbols.count} symbols")
    lines = [f"kernel: {', '.join(facts)}"]
    if verbose:
        lines += [f"  {name}: {source}" for name, source in target.sources.items()]
    else:
        lines.append(f"  described by {'; '.join(_short_sources(target.sources.values()))}")
    lines += [f"  {text}" for text in tie_lines(target)]
    lines += [f"  {style.warning('note')}: {note}" for note in target.notes]
    return lines


def _short_sources(sources: Iterable[str]) -> list[str]:
    files = (source.split(" (")[0] for source in sources if not source.startswith("computed"))
    return list(dict.fromkeys(files))
