"""Markdown as GitHub and GitLab render it: a list to tick off, for a release's checklist or a merge request's comment.

Foreign text stands in code wherever it can: there, markup means nothing, and neither do `@name` and `#1`, which would
call a person or tie the comment to an issue. In sentences, what CommonMark, GFM and the two sites interpret is escaped.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence

from ..loader.causes import Cause
from ..loader.facts import Prediction
from . import Context, Result, Totals
from .style import Style
from .text import target_lines
from .words import CAPTURE, CAPTURED, NEVER, headed, missing, outcome, printable, said, sums, to_fetch, told

#: what may begin markup in the middle of a line, and the two that begin a bare address
_MARKUP = re.compile(r"[\\`*_\[\]<>|~&$@#!^]|(?<=www)\.|:(?=//)", re.IGNORECASE)
#: what begins a list, or draws a line, at a line's beginning
_OPENING = re.compile(r"^(\d*)([-+=.)])")


def entry(result: Result, context: Context) -> str:
    """One item of the list, ticked if the module loads."""
    if not isinstance(result, Prediction):
        return f"- [ ] {_code(result[0])} **error**: {_escaped(result[1])}\n"
    path = _code(result.path)
    if result.error:
        return f"- [ ] {path} **error**: {_escaped(result.error)}\n"
    told_so = _escaped(outcome(result, context.target))
    if result.verdict == "loads":
        return f"- [x] {path} loads{told_so}\n" + _indented(_warnings(result))
    return f"- [ ] {path} **{result.verdict}**{told_so}\n" + _indented(_details(result, context))


def document(entries: Iterable[str], totals: Totals, context: Context) -> Iterator[str]:
    """The sums, the kernel, the list; then what was assumed, and what is never predicted."""
    yield f"## modcheck: {_escaped(sums(totals))}\n\n"
    about = [_line(line) for line in target_lines(context.target, Style(False), verbose=False)]
    yield "\\\n".join([*about, f"loaded by {context.loader}"]) + "\n\n"
    yield from entries
    assumed = [f"assumed: {'; '.join(totals.assumed)}"] if totals.assumed else []
    yield "\n" + "\\\n".join(map(_line, [*assumed, NEVER, f"modcheck {context.modcheck_version}"])) + "\n"


def failure(reason: str, loader: str, modcheck_version: str) -> str:
    """A headline, and why nothing was judged."""
    return f"## modcheck: no module could be judged\n\n{_code(reason)}\n"


def _details(one: Prediction, context: Context) -> Iterator[str]:
    """What the kernel says, why, what to type, what else was found, and what is missing."""
    says = said(one, verbose=context.verbose)
    yield from _block(says.lines)
    if says.remarks:
        yield "\\\n".join(map(_line, says.remarks))
    for cause in told(one, verbose=context.verbose):
        yield from _cause(cause)
    if one.force:
        yield f"\n**note**: {_escaped(one.force)}"
    if warnings := list(_warnings(one)):
        yield from ("\n**also**:", *warnings)
    questions, files = missing(one), to_fetch(one)
    if questions:
        yield from ("\n**not decided, for want of**:", *(f"- {_line(text)}" for text in questions))
    if files:
        yield from ("\n**to fetch from the board**, the shortest list:", *(f"- {_line(text)}" for text in files))
        yield f"- or all at once: {_code(CAPTURE)}, then {_code(CAPTURED)}"


def _cause(cause: Cause) -> Iterator[str]:
    yield f"\n**why**: {_escaped(cause.why)} ({cause.confidence})"
    yield from (f"- {_line(text)}" for text in cause.evidence)
    if cause.fix:
        yield "\n**fix**:"
        yield from _block(cause.fix)


def _warnings(one: Prediction) -> Iterator[str]:
    """Findings for which the kernel does not refuse, but complains; and those that were told not to decide."""
    for finding in one.findings:
        if finding.level == "warning" or finding.ignored:
            yield f"- {_escaped(headed(finding))}"


def _indented(lines: Iterable[str]) -> str:
    """Lines as a part of an item of the list."""
    text = "\n".join(lines)
    return "".join(f"  {line}\n" if line else "\n" for line in text.split("\n")) if text else ""


def _block(rows: Sequence[str]) -> list[str]:
    """Lines as they are, in a fence that none of them can close."""
    if not rows:
        return []
    rows = [printable(row) for row in rows]
    fence = "`" * max(3, _ticks(*rows) + 1)
    return [fence + "text", *rows, fence]


def _code(text: str) -> str:
    """A text as it is, within a line."""
    text = printable(text)
    fence = "`" * (_ticks(text) + 1)
    # one space at either side is taken off again, where both are there and the text is not only spaces
    pad = " " if text.strip(" ") and (text[0] in "` " or text[-1] in "` ") else ""
    return f"{fence}{pad}{text}{pad}{fence}" if text else ""


def _ticks(*texts: str) -> int:
    """The longest run of backticks."""
    return max((len(run) for text in texts for run in re.findall("`+", text)), default=0)


def _line(text: str) -> str:
    """A text that begins a paragraph, an item of a list, or a line. Never empty: an item without text draws a line
    below what stands before it."""
    return _OPENING.sub(r"\1\\\2", _escaped(text).lstrip(" ")) or "&nbsp;"


def _escaped(text: str) -> str:
    """A text that is part of a sentence. No letter stands behind `@` and `#`: GitHub looks for names and numbers when
    backslashes are gone already."""
    return re.sub(r"\\([@#])", "\\\\\\1&#8203;", _MARKUP.sub(r"\\\g<0>", printable(text)))
