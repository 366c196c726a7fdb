"""What several formats say in the same words, without any markup: the verdict, the kernel's lines, causes, what is
missing, the sums.

Names and strings of a module may be any bytes. `printable` makes a line of them that no terminal, parser or CI obeys:
the formats for CI take all foreign text through it.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import NamedTuple

from ..loader.causes import Cause
from ..loader.facts import Finding, Prediction
from ..loader.needs import SIGNED, is_proof
from ..target.facts import Target
from . import Totals

#: how many log lines and table rows of one kind are shown without -v
SHOWN = 8
#: what gets all facts of a board at once, and what takes them then
CAPTURE = "modcheck capture > capture.sh; ssh root@BOARD sh < capture.sh > board.tar"
CAPTURED = "--target board.tar"
NEVER = "not predicted: memory, hardware, what the module's init function returns"

#: causes that may come beside another one of the same rule, and want steps of their own
_BESIDE = ("other-config", "other-cpu", "modversions")


def printable(text: str) -> str:
    """A text as one line without control characters and half characters, which are shown as \\xNN."""
    return "".join(letter if letter.isprintable() else _escaped(ord(letter)) for letter in text)


def _escaped(code: int) -> str:
    # what is no UTF-8 in a file or its name comes from the reader as U+DC80 to U+DCFF, one for each byte
    return f"\\x{code - 0xDC00 if 0xDC80 <= code <= 0xDCFF else code:02x}"


def outcome(one: Prediction, target: Target) -> str:
    """What follows the verdict in a headline: the kernel, and what insmod says."""
    tied, build = target.tied, target.build
    where = f" on {target.release}" if target.release else ""
    if build and build.standing == "built" and tied is None:
        where += f", as {build.sources[0]} builds it"
    if one.verdict == "refused":
        extra = f": {one.insmod_message}" if one.insmod_message else ""
        return f"{where}{extra} ({one.errno})"
    if one.verdict == "unknown" and tied and tied.state == "other" and not one.compared:
        other = tied.other or tied.against[0]
        return f"{where}: the table is of {other if other[0].isdigit() else f'another build, {other}'}"
    if one.verdict == "unknown" and tied and tied.state == "assumed" and _only_unproven(one):
        return f"{where}: nothing proves that {tied.table} is of the kernel that runs"
    if one.verdict == "loads" and tied and tied.state == "assumed":
        return f"{where}, if {tied.table} is of the kernel that runs"
    if one.verdict == "unknown":
        return f"{where}: nothing refuses it so far, but not everything could be checked"
    return where


def _only_unproven(one: Prediction) -> bool:
    """Whether all that is open is what `--strict` asks of a table."""
    return all(open_.ignored or open_.needs == SIGNED or is_proof(open_.needs) for open_ in one.unchecked)


def tie_lines(target: Target) -> list[str]:
    """Which build it is, and how what was built against is tied to it."""
    tied, build, built = target.tied, target.build, target.built_against
    if tied is None:
        told = "the kernel that this tree builds; what a board runs is judged by what it tells: modcheck capture"
        return [told] if build and build.standing == "built" else []
    if tied.state == "other":
        release = f" ({built.release})" if built and built.release else ""
        told = f"{tied.table}{release} is of another build than the kernel that runs, and decides nothing:"
        return [told, *(f"- {text}" for text in tied.against)]
    by = ", ".join(_EVIDENCE[kind] for kind in tied.by)
    if tied.state == "tied":
        return [f"{tied.table} is of the kernel that runs: {by}"]
    proven = f"; {len(tied.names)} of its symbols are proven" if tied.names else ""
    return [f"{tied.table} is taken to be of the kernel that runs ({by or 'nothing tells'}{proven})"]


#: kinds of evidence in words
_EVIDENCE = {
    "build-id": "the same build id", "banner": "the same line of /proc/version",
    "modules-directory": "it lies in the board's own modules directory", "stated": "--same-build says so",
    "exports": "what the kernel's image exports", "crcs": "CRCs of the board's modules",
    "config": "no option differs that makes symbols or structures", "release": "the same release",
}  # fmt: skip


class Said(NamedTuple):
    """What the kernel writes of a load."""

    lines: list[str]
    remarks: list[str]
    """what there is to say of these lines, in modcheck's words"""


def said(one: Prediction, *, verbose: bool) -> Said:
    """The kernel's lines, long logs cut unless `verbose`."""
    lines, remarks = cut(one.log, "lines", verbose=verbose)
    if not lines and one.verdict == "refused":
        silent = next(
            (found for found in one.findings if found.level == "error" and "log_known" in found.details), None
        )
        if silent:
            lines = [f"{one.name}: version magic '{silent.details['module']}' should be '…'"]
            remarks.append("(what stands for … is not known to the letter)")
        else:
            remarks.append("nothing: the kernel refuses without a word")
    if one.failed_in:
        remarks.append(f"(all of it about {one.failed_in}, which must be loaded first)")
    if not one.first:
        remarks.append(f"(or stops earlier: {', '.join(one.earlier_unknown)} could not be checked)")
    return Said(lines, remarks)


def cut(rows: Sequence[str], what: str, *, verbose: bool) -> tuple[list[str], list[str]]:
    """The rows that are shown without -v, and what tells of the rest."""
    if verbose or len(rows) <= SHOWN:
        return list(rows), []
    return list(rows[: SHOWN - 1]), [f"… and {len(rows) - SHOWN + 1} more {what} (-v shows all)"]


def refusing(one: Prediction) -> Finding | None:
    """The finding for which the kernel refuses, the first one; None where it does not."""
    if one.verdict != "refused":
        return None
    return next((finding for finding in one.findings if finding.level == "error" and not finding.ignored), None)


def told(one: Prediction, *, verbose: bool) -> list[Cause]:
    """The causes worth telling: the best explanation, and those of other refusals; all of them if `verbose`."""
    refusals = {finding.rule for finding in one.findings if finding.level == "error"}
    unexplained = set(refusals)
    steps: set[str] = set()
    found: list[Cause] = []
    for cause in one.causes:
        wanted = unexplained & set(cause.explains) or (not found and one.verdict != "loads")
        beside = cause.name in _BESIDE and not set(cause.fix) <= steps
        if verbose or wanted or (beside and refusals & set(cause.explains)):
            unexplained -= set(cause.explains)
            steps |= set(cause.fix)
            found.append(cause)
    return found


def explanation(cause: Cause) -> list[str]:
    """A cause as plain lines: why, on what evidence, and what to type."""
    lines = [f"why: {cause.why} ({cause.confidence})", *(f"- {text}" for text in cause.evidence)]
    return lines + steps(cause.fix)


def steps(fix: Sequence[str]) -> list[str]:
    """What mends it as plain lines, under a heading."""
    return ["fix:", *(f"  {step}" for step in fix)] if fix else []


def headed(finding: Finding) -> str:
    """A finding in one line, its rule first."""
    return f"{finding.rule}{' (ignored)' if finding.ignored else ''}: {finding.summary}"


def missing(one: Prediction) -> list[str]:
    """What could not be decided, for want of what: each missing fact once, behind the rules that it would decide."""
    rules: dict[str, list[str]] = {}
    for unknown in one.unchecked:
        if not unknown.ignored:
            rules.setdefault(unknown.needs, []).append(unknown.rule)
    return [f"{', '.join(names)}: {needs}" for needs, names in rules.items()]


def to_fetch(one: Prediction) -> list[str]:
    """The files of the board that would decide what is open, each with its option."""
    return [f"{found.file} ({found.option}): {', '.join(found.decides)}" for found in one.fetch]


def open_questions(one: Prediction) -> list[str]:
    """Both of them as plain lines under headings; none where nothing is open."""
    questions, files = missing(one), to_fetch(one)
    lines = ["not decided, for want of:", *(f"  {text}" for text in questions)] if questions else []
    if files:
        lines += ["to fetch from the board, the shortest list:", *(f"  {text}" for text in files)]
        lines.append(f"  or all at once: {CAPTURE}; then {CAPTURED}")
    return lines


def whole(one: Prediction, *, verbose: bool) -> str:
    """All that there is to say of a module but the headline, as plain lines, each of them printable."""
    says = said(one, verbose=verbose)
    lines = [*says.lines, *says.remarks]
    for cause in told(one, verbose=verbose):
        lines += explanation(cause)
    lines += [f"note: {one.force}"] if one.force else []
    lines += [headed(finding) for finding in one.findings if finding.level == "error" or verbose]
    return joined([*lines, *open_questions(one)])


def joined(lines: Iterable[str]) -> str:
    """Lines as one text, each of them printable."""
    return "\n".join(printable(text) for text in lines)


def sums(totals: Totals) -> str:
    """How many modules of which verdict."""
    judged = sum(totals.verdicts.values())
    counts = [f"{count} {verdict}" for verdict, count in totals.verdicts.items()]
    counts += [f"{totals.ignored} ignored"] if totals.ignored else []
    text = f"{judged} {'module' if judged == 1 else 'modules'}: {', '.join(counts)}"
    if totals.errors == 1:
        text += "; 1 file is no kernel module, or cannot be read"
    elif totals.errors:
        text += f"; {totals.errors} files are no kernel modules, or cannot be read"
    return text
