"""The page of `matrix`: modules by kernels in one HTML file that needs neither network nor server.

What a script shows of a cell lies in the page as data (`packed`): each text once, with a module's name and a kernel's
vermagic cut out of it, and a number a cell. What is read without a script, and on paper, is plain HTML: which reason
holds where, the kernels, the modules.
"""

from __future__ import annotations

import hashlib
import json
import re
import shlex
from base64 import b64encode
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from html import escape
from importlib.resources import files
from typing import Any, NamedTuple

from ..advice.rules import RULES
from .grid import Cell, Column, Grid, Row

#: log lines of a cell that the page holds; it counts the others
SHOWN = 8
#: verdicts as numbers, the words after a count, and the mark of each; the last: the file or the kernel is unreadable
VERDICTS = ("loads", "refused", "unknown", "not judged")
_COUNTED = ("load", "refused", "unknown", "not judged")
_MARKS = ("✓", "×", "?", "–")
_CLASSES = "lrue"
#: a table of so many columns fits on paper; one of more cells would only slow the script down
_PAPER_COLUMNS, _PAPER_CELLS = 24, 6000
#: of more distinct reasons only rule and errno are told apart in the list of them
_TOLD_APART = 60
#: so many names stand in a list before numbers take their place
_NAMED = 6
#: so many lines of modules and kernels stand open on the screen; on paper all do
_OPEN = 12


def matrix_page(grid: Grid, modcheck_version: str) -> Iterator[str]:
    """The whole page in pieces; all of them can be encoded as UTF-8, whatever the names in the grid are."""
    folder = files(__package__)
    style, script = (folder.joinpath(name).read_text("utf-8") for name in ("page.css", "page.js"))
    data = packed(grid)
    sums = _sums(number for row in grid.rows for number in _verdicts(grid, row))
    title = f"{_count(grid.rows, 'module')} × {_count(grid.columns, 'kernel')}: {_told(sums)}"
    yield f"""<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; style-src '{_hash(style)}'; \
script-src '{_hash(script)}'; base-uri 'none'; form-action 'none'">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<meta name="generator" content="modcheck {_html(modcheck_version)}">
<title>{title} – modcheck matrix</title>
<style>{style}</style>
</head>
<body>
<main>
<header>
<p class="eyebrow">modcheck matrix</p>
<h1>{title}</h1>
{_bar(sums)}
</header>
{_app(sums)}
"""
    yield from _table(grid)
    yield from _reasons(grid, data)
    yield from _kernels(grid)
    yield from _modules(grid)
    yield from _notes(grid, modcheck_version)
    # no script can end here: `<` is not in it, and all but ASCII is escaped
    packed_text = json.dumps(data, separators=(",", ":")).replace("<", "\\u003c")
    yield f"""</main>
<div id="panel" role="dialog" aria-labelledby="what" tabindex="-1" hidden><h2 id="what"></h2></div>
<script type="application/json" id="data">{packed_text}</script>
<script>{script}</script>
</body>
</html>
"""


def packed(grid: Grid) -> dict[str, Any]:
    """The grid as the script reads it.

    `texts` holds each text once. In it `~~` is a tilde; `~n` and `~p` stand for the name and the path of the row's
    module, `~v`, `~r`, `~t` for the vermagic, the release and the name of the column's target. `reasons`: verdict
    (a number in `VERDICTS`), errno, message, insmod's message, rule, summary, the first lines of the log, how many
    it has, whether it is the first refusal, unknown checks before it, the dependency that is refused, and the checks
    that are open. `rows`: path, name, error, path as a shell's word, and a reason a cell, -1 for none. `columns`:
    target, label, error, target as a word, facts.
    """
    texts: dict[str, int] = {}
    reasons: dict[tuple[Any, ...], int] = {}

    def whole(text: str | None) -> int | None:
        return None if text is None else texts.setdefault(_escaped(text), len(texts))

    columns = [
        [
            whole(column.target), whole(column.label), whole(column.error), whole(_path_word(column.target)),
            [[whole(name), whole(value)] for name, value in _facts(column)],
        ]
        for column in grid.columns
    ]  # fmt: skip
    cuts = [_Cut.of(v=_fact(one, "vermagic"), r=_fact(one, "release"), t=one.target) for one in grid.columns]
    rows = []
    for row in grid.rows:
        cut = _Cut.of(n=row.name, p=row.path)
        cells = []
        for cell, other in zip(_cells(grid, row), cuts):
            if cell is None:
                cells.append(-1)
                continue

            def short(text: str | None, other: _Cut = other, cut: _Cut = cut) -> int | None:
                return None if text is None else texts.setdefault(other(cut(_escaped(text))), len(texts))

            reason = (
                VERDICTS.index(cell.verdict), whole(cell.errno), short(cell.message), short(cell.insmod_message),
                whole(cell.rule), short(cell.summary), tuple(map(short, cell.log[:SHOWN])), len(cell.log),
                int(cell.first), tuple(map(whole, cell.earlier_unknown)), short(cell.failed_in),
                tuple((whole(rule), short(needs)) for rule, needs in cell.unchecked),
            )  # fmt: skip
            cells.append(reasons.setdefault(reason, len(reasons)))
        rows.append([row.path, row.name, row.error, _path_word(row.path), cells])
    met = {cell.rule for row in grid.rows for cell in row.cells if cell}
    return {
        "texts": list(texts),
        "reasons": list(reasons),
        "rows": rows,
        "columns": columns,
        "rules": {rule: [RULES[rule].does, RULES[rule].mend] for rule in RULES if rule in met},
        "options": " ".join(map(_word, grid.options)),
    }


class _Cut(NamedTuple):
    """Cuts a module's or a kernel's own words out of texts, and remembers what it cut."""

    pattern: re.Pattern[str] | None
    marks: dict[str, str]
    known: dict[str, str]

    @classmethod
    def of(cls, **words: str) -> _Cut:
        # a word with a tilde could be found across a mark; one that is short is not worth it
        marks = {word: f"~{mark}" for mark, word in words.items() if len(word) > 2 and "~" not in word}
        longest = sorted(marks, key=len, reverse=True)
        found = rf"(?<![\w.~-])(?:{'|'.join(map(re.escape, longest))})(?![\w.-])"
        return cls(re.compile(found) if marks else None, marks, {})

    def __call__(self, text: str) -> str:
        if text not in self.known:
            pattern = self.pattern
            self.known[text] = pattern.sub(lambda found: self.marks[found[0]], text) if pattern else text
        return self.known[text]


def _escaped(text: str) -> str:
    return text.replace("~", "~~")


def _fact(column: Column, name: str) -> str:
    value = column.facts.get(name)
    return value if isinstance(value, str) else ""


def _facts(column: Column) -> Iterator[tuple[str, str]]:
    """What is known of a target, in words; its notes, and where each fact is from, last."""
    for name, value in column.facts.items():
        if value is not None and name not in ("sources", "notes"):
            yield name.replace("_", " "), ("no", "yes")[value] if isinstance(value, bool) else str(value)
    for note in column.facts.get("notes", ()):
        yield "note", note
    for name, source in column.facts.get("sources", {}).items():
        yield f"{name.replace('_', ' ')} from", source


def _path_word(path: str) -> str:
    """A path as a word of a command line, where it is taken for no option and no command."""
    return _word(path if "/" in path or ("." in path and path[0] != "-") else f"./{path}")


def _word(text: str) -> str:
    """A text as a word of a shell's command line; what cannot be typed in bash's way, $'…'."""
    if _shown(text) == text:
        return shlex.quote(text)
    quoted = (f"\\{letter}" if letter in "\\'" else _shown(letter, octets=True) for letter in text)
    return f"$'{''.join(quoted)}'"


def _shown(text: str, octets: bool = False) -> str:
    """A text without what a browser would obey or turn around: control characters, marks of direction, stray bytes.

    :param octets: write them all as bytes, as a shell knows them
    """
    if text.isprintable():
        return text
    return "".join(letter if letter.isprintable() else _code(letter, octets) for letter in text)


def _code(letter: str, octets: bool) -> str:
    code = ord(letter)
    if 0xDC80 <= code <= 0xDCFF:
        return f"\\x{code - 0xDC00:02x}"
    if octets:
        return "".join(f"\\x{one:02x}" for one in letter.encode("utf-8", "surrogatepass"))
    return f"\\x{code:02x}" if code < 0x100 else f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"


def _html(text: str) -> str:
    return escape(_shown(text))


def _hash(text: str) -> str:
    return f"sha256-{b64encode(hashlib.sha256(text.encode()).digest()).decode()}"


def _cells(grid: Grid, row: Row) -> Sequence[Cell | None]:
    return row.cells or (None,) * len(grid.columns)


def _verdicts(grid: Grid, row: Row) -> list[int]:
    """The verdicts of a row, as numbers in `VERDICTS`."""
    return [VERDICTS.index(cell.verdict) if cell else 3 for cell in _cells(grid, row)]


def _sums(verdicts: Iterable[int]) -> list[int]:
    counted = Counter(verdicts)
    return [counted[number] for number in range(4)]


def _count(things: Sequence[Any], word: str) -> str:
    return f"{len(things):,} {word}{'s' * (len(things) != 1)}"


def _told(sums: Sequence[int]) -> str:
    """`3 load, 8 refused, 1 unknown`; what could not be judged only where there is such."""
    words = (_COUNTED[0] + "s" * (sums[0] == 1), *_COUNTED[1:])
    return ", ".join(
        f"{count:,} {word}" for number, (count, word) in enumerate(zip(sums, words)) if count or number < 3
    )


def _mark(number: int) -> str:
    return f'<span class="mark {_CLASSES[number]}">{_MARKS[number]}</span>'


def _bar(sums: Sequence[int]) -> str:
    """The sums as one bar: a drawing, since the policy of the page allows no style in an element."""
    whole, left, parts = max(sum(sums), 1), 0.0, []
    for count, name in zip(sums, _CLASSES):
        width = 1000 * count / whole
        if count:
            parts.append(f'<rect class="{name}" x="{left:.2f}" width="{width:.2f}" height="10"/>')
        left += width
    return (
        f'<svg class="bar" viewBox="0 0 1000 10" preserveAspectRatio="none" aria-hidden="true">{"".join(parts)}</svg>'
    )


def _app(sums: Sequence[int]) -> str:
    """The frame that the script fills: filters, and the grid."""
    boxes = "".join(
        f'<label class="chip"><input type="checkbox" name="verdict" value="{name}" checked> {_mark(number)} '
        f"{sums[number]:,} {_COUNTED[number]}</label>"
        for number, name in enumerate(_CLASSES)
        if sums[number] or number < 3
    )
    return f"""<div id="app" hidden>
<form id="filters" role="search" aria-label="Filters">
<details><summary>Filters</summary><div class="fields">
<label class="field">Module <input type="search" name="module" autocomplete="off" spellcheck="false"></label>
<label class="field">Kernel <input type="search" name="kernel" autocomplete="off" spellcheck="false"></label>
<label class="field">Reason <select name="reason"><option value="">any</option></select></label>
<fieldset><legend>Verdict</legend>{boxes}</fieldset>
<fieldset><legend>Hide</legend>
<label class="chip"><input type="checkbox" name="same"> modules alike on all kernels</label>
<label class="chip"><input type="checkbox" name="fine"> rows and columns that all load</label></fieldset>
<button type="reset">Show all</button>
</div></details>
</form>
<p class="status"><output id="count" for="filters"></output></p>
<div id="scroller"><div id="grid" role="grid" aria-label="Verdict of each module on each kernel"></div></div>
<p id="told" aria-hidden="true"></p>
</div>
"""


def _table(grid: Grid) -> Iterator[str]:
    """All verdicts as a plain table, for those without a script, and for paper where it fits there."""
    fits = len(grid.columns) <= _PAPER_COLUMNS and len(grid.rows) * len(grid.columns) <= _PAPER_CELLS
    yield '<section class="plain">\n' if fits else '<noscript><section class="plain wide">\n'
    yield "<h2>Verdicts</h2>\n<p>"
    yield ", ".join(f"{_mark(number)} {word}" for number, word in enumerate(VERDICTS))
    yield '</p>\n<div class="across"><table class="verdicts">\n<thead><tr><th scope="col">Module</th>'
    yield "".join(f'<th scope="col"><span>{_html(column.label)}</span></th>' for column in grid.columns)
    yield "</tr></thead>\n<tbody>\n"
    # ninety thousand times a class would be a megabyte; the marks say it too
    marks = [f'<td class="{name}">{mark}' if fits else f"<td>{mark}" for name, mark in zip(_CLASSES, _MARKS)]
    for row in grid.rows:
        cells = "".join(marks[number] for number in _verdicts(grid, row))
        yield f'<tr><th scope="row">{_html(row.path)}</th>{cells}\n'
    yield "</tbody></table></div>\n</section>\n" + "</noscript>\n" * (not fits)


def _reasons(grid: Grid, data: dict[str, Any]) -> Iterator[str]:
    """Which reason holds for which modules on which kernels: the verdicts in short, and what is printed of them."""
    apart = len(data["reasons"]) <= _TOLD_APART
    found: dict[Any, list[tuple[int, int]]] = {}
    for r, row in enumerate(grid.rows):
        for c, cell in enumerate(row.cells):
            if cell:
                open_checks = tuple(rule for rule, _ in cell.unchecked) if cell.verdict == "unknown" else ()
                coarse = (cell.verdict, cell.rule, cell.errno, open_checks)
                found.setdefault(data["rows"][r][4][c] if apart else coarse, []).append((r, c))
    modules = [row.path for row in grid.rows]
    kernels = [column.label for column in grid.columns]
    yield '<section class="reasons">\n<h2>Reasons</h2>\n'
    if not apart:
        yield "<p>By rule and errno; the numbers are those of the tables below.</p>\n"
    for places in sorted(found.values(), key=len, reverse=True):
        r, c = places[0]
        cell = grid.rows[r].cells[c]
        assert cell is not None
        yield f"<article>\n<h3>{_mark(VERDICTS.index(cell.verdict))} {cell.verdict}"
        if cell.rule:
            yield f" by <code>{_html(cell.rule)}</code>"
        if cell.errno:
            yield f", {_html(cell.errno)}"
        yield f' <span class="of">{len(places):,} of {len(modules) * len(kernels):,}</span></h3>\n'
        if cell.rule in RULES:
            does = re.sub("`([^`]*)`", r"<code>\1</code>", _html(RULES[cell.rule].does))
            yield f"<p>{does}</p>\n"
        if cell.unchecked and cell.verdict == "unknown":
            needs: dict[str, list[str]] = {}
            for rule, need in cell.unchecked:
                needs.setdefault(need, []).append(rule)
            told = "".join(f"<li>{_html(', '.join(rules))}: {_html(need)}</li>" for need, rules in needs.items())
            yield f"<p>Not decided, for want of:</p><ul>{told}</ul>\n"
        words = [cell.summary] * bool(cell.summary) + [*cell.log[:SHOWN]]
        words += [f"… and {len(cell.log) - SHOWN} more lines"] * (len(cell.log) > SHOWN)
        if words:
            if len(places) > 1:
                yield f"<p>For example {_html(modules[r])} on {_html(kernels[c])}:</p>\n"
            yield "<p>" + _html(words.pop(0)) + "</p>\n" if cell.summary else ""
            yield "<pre>" + "\n".join(map(_html, words)) + "</pre>\n" if words else ""
        blocks = _blocks(places)
        long = len(blocks) > _OPEN
        yield f"<details><summary>Where: {len(blocks)} lines</summary>\n" * long + "<ul>\n"
        for some, where in blocks:
            yield f"<li>{_named(some, modules, 'module')} <b>on</b> {_named(where, kernels, 'kernel')}</li>\n"
        yield "</ul>\n" + "</details>\n" * long + "</article>\n"
    yield "</section>\n"


def _blocks(places: Iterable[tuple[int, int]]) -> list[tuple[Sequence[int], Sequence[int]]]:
    """Cells as few blocks of rows and columns, whole rows or whole columns at a time."""
    rows: dict[int, list[int]] = {}
    columns: dict[int, list[int]] = {}
    for r, c in places:
        rows.setdefault(r, []).append(c)
        columns.setdefault(c, []).append(r)
    alike: list[dict[tuple[int, ...], list[int]]] = [{}, {}]
    for way, lines in zip(alike, (rows, columns)):
        for line, crossed in lines.items():
            way.setdefault(tuple(crossed), []).append(line)
    by_row, by_column = alike
    if len(by_row) <= len(by_column):
        return [(some, where) for where, some in by_row.items()]
    return [(some, where) for some, where in by_column.items()]


def _named(some: Sequence[int], names: Sequence[str], word: str) -> str:
    """`all 9 modules`, a few names, or ranges of numbers."""
    if len(some) == len(names) > 1:
        return f"all {len(names)} {word}s"
    if len(some) <= _NAMED:
        return ", ".join(f"<code>{_html(names[one])}</code>" for one in some)
    left = sorted(set(range(len(names))).difference(some))
    if len(left) <= _NAMED:
        return f"all {word}s but " + ", ".join(f"<code>{_html(names[one])}</code>" for one in left)
    ranges: list[list[int]] = []
    for one in sorted(some):
        if ranges and ranges[-1][1] == one:
            ranges[-1][1] = one + 1
        else:
            ranges.append([one + 1, one + 1])
    told = ", ".join(str(first) if first == last else f"{first}–{last}" for first, last in ranges)
    return f"{len(some)} {word}s ({told})"


def _kernels(grid: Grid) -> Iterator[str]:
    verdicts = [_verdicts(grid, row) for row in grid.rows]
    yield '<section>\n<h2>Kernels</h2>\n<div class="across"><table>\n<thead><tr><th scope="col">No.</th>'
    yield '<th scope="col">Kernel</th><th scope="col">Given as</th><th scope="col">Version</th>'
    yield f'<th scope="col">Architecture</th>{_SUM_HEADS}</tr></thead>\n<tbody>\n'
    for c, column in enumerate(grid.columns):
        yield f'<tr><td class="n">{c + 1}</td><th scope="row">{_html(column.label)}</th>'
        yield f"<td><code>{_html(column.target)}</code></td>"
        if column.error:
            yield f'<td colspan="5">{_mark(3)} {_html(column.error)}</td></tr>\n'
            continue
        yield f"<td>{_html(_fact(column, 'version'))}</td><td>{_html(_fact(column, 'arch'))}</td>"
        yield _sum_cells(line[c] for line in verdicts) + "</tr>\n"
    yield "</tbody></table></div>\n</section>\n"


def _modules(grid: Grid) -> Iterator[str]:
    yield '<section>\n<h2>Modules</h2>\n<div class="across"><table>\n<thead><tr><th scope="col">No.</th>'
    yield f'<th scope="col">Module</th>{_SUM_HEADS}</tr></thead>\n<tbody>\n'
    for r, row in enumerate(grid.rows):
        yield f'<tr><td class="n">{r + 1}</td><th scope="row">{_html(row.path)}</th>'
        sums = f'<td colspan="3">{_mark(3)} {_html(row.error)}</td>' if row.error else ""
        yield (sums if row.error and not row.cells else _sum_cells(_verdicts(grid, row))) + "</tr>\n"
    yield "</tbody></table></div>\n</section>\n"


_SUM_HEADS = "".join(f'<th scope="col" class="n">{_MARKS[n]} {_COUNTED[n]}</th>' for n in range(3))


def _sum_cells(verdicts: Iterable[int]) -> str:
    return "".join(f'<td class="n">{count}</td>' for count in _sums(verdicts)[:3])


def _notes(grid: Grid, modcheck_version: str) -> Iterator[str]:
    yield "<footer>\n<p>Each cell is what that kernel does with that module up to the call of its init function"
    yield f", loaded by {_html(grid.loader)}"
    if grid.options:
        yield f" with <code>{_html(' '.join(map(_word, grid.options)))}</code>"
    yield ".</p>\n"
    yield from (f"<p>{_html(text)}.</p>\n" for text in grid.ties())
    if grid.assumed:
        yield f"<p>Assumed: {_html('; '.join(grid.assumed))}.</p>\n"
    yield f"<p>Made by modcheck {_html(modcheck_version)}. Printed, the page lists all, whatever is filtered.</p>\n"
    yield "</footer>\n"
