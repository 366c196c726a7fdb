"""The reports of `matrix` as text and as JSON; the page is html.py's."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator, Mapping
from typing import Any

from .grid import Cell, Column, Grid, Row
from .json import SCHEMA
from .style import Style
from .text import tabulated
from .words import NEVER, printable

#: so many targets have a column of words each; more get a letter
_IN_WORDS = 4
_MARKS = {"loads": "+", "refused": "-", "unknown": "?"}
_NOT_JUDGED = "·"


def matrix_document(grid: Grid, modcheck_version: str) -> Iterator[str]:
    """What `matrix` prints as JSON, schema 1, in pieces: a result for each pair, module by module."""
    head = {
        "schema": SCHEMA,
        "modcheck": modcheck_version,
        "loader": grid.loader,
        "options": list(grid.options),
        "assumed": list(grid.assumed),
        "summary": {
            "modules": len(grid.rows),
            "targets": len(grid.columns),
            **grid.verdicts(),
            "errors": len(grid.errors()),
        },
        "targets": [_target(column) for column in grid.columns],
        "modules": [_module(row) for row in grid.rows],
    }
    yield json.dumps(head, indent=1).removesuffix("\n}") + ',\n "results": ['
    separator = "\n"
    for row in grid.rows:
        for column, cell in zip(grid.columns, row.cells):
            if cell:
                yield f"{separator}  {json.dumps(_result(row, column, cell))}"
                separator = ",\n"
    yield "\n ]\n}\n"


def _target(column: Column) -> dict[str, Any]:
    entry = {"target": column.target, "label": column.label, **column.facts}
    return {**entry, "error": f"{column.target}: {column.error}"} if column.error else entry


def _module(row: Row) -> dict[str, Any]:
    entry = {"path": row.path, "name": row.name or None}
    return {**entry, "error": f"{row.path}: {row.error}"} if row.error else entry


def _result(row: Row, column: Column, cell: Cell) -> dict[str, Any]:
    found: dict[str, Any] = {"module": row.path, "target": column.target, "verdict": cell.verdict, "first": cell.first}
    if cell.earlier_unknown:
        found["earlier_unknown"] = list(cell.earlier_unknown)
    found.update(errno=cell.errno, message=cell.message, insmod_message=cell.insmod_message)
    found.update(rule=cell.rule, summary=cell.summary, log=list(cell.log))
    if cell.failed_in:
        found["failed_in"] = cell.failed_in
    found["unchecked"] = [{"rule": rule, "needs": needs} for rule, needs in cell.unchecked]
    return found


def matrix_report(grid: Grid, style: Style, *, verbose: bool) -> Iterator[str]:
    """What `matrix` prints as text: the table, why modules are refused and what is not known, the sums."""
    judged = [row for row in grid.rows if row.cells]
    if not judged:
        return
    yield from _table(grid, judged, style) if len(grid.columns) <= _IN_WORDS else _marks(grid, judged, style)
    yield from _reasons(grid, judged, style, verbose)
    yield from (f"{printable(text)}\n" for text in grid.ties())
    if grid.assumed:
        yield f"assumed: {'; '.join(grid.assumed)}\n"
    yield NEVER + "\n"
    yield f"{len(judged)} modules on {len(grid.columns)} kernels: {_counted(grid.verdicts())}\n"


def _table(grid: Grid, rows: list[Row], style: Style) -> Iterator[str]:
    """A column of words for each kernel."""
    headers = ("module", *(printable(column.label) for column in grid.columns))
    table = [[printable(row.path), *(_words(cell, style) for cell in row.cells)] for row in rows]
    yield "\n".join(tabulated(table, headers)) + "\n\n"


def _words(cell: Cell | None, style: Style) -> str:
    if cell is None:
        return "not judged"
    rules = [cell.rule] if cell.rule else list(dict.fromkeys(rule for rule, _ in cell.unchecked))
    told = f" ({rules[0]}{', …' if len(rules) > 1 else ''})" if rules and cell.verdict != "loads" else ""
    return style.verdict(cell.verdict) + told


def _marks(grid: Grid, rows: list[Row], style: Style) -> Iterator[str]:
    """The kernels by number with their sums, then a mark for each pair."""
    numbers = [str(number) for number in range(1, len(grid.columns) + 1)]
    table = []
    for place, column in enumerate(grid.columns):
        verdicts: Counter[str] = Counter(cell.verdict for row in rows if (cell := row.cells[place]))
        table.append((numbers[place], printable(column.label), "not read" if column.error else _counted(verdicts)))
    yield "\n".join(tabulated(table, ("", "kernel", "modules"))) + "\n\n"
    yield f"{', '.join(f'{mark} {verdict}' for verdict, mark in _MARKS.items())}, {_NOT_JUDGED} not judged\n\n"
    height = len(numbers[-1])
    for digit in range(height):
        yield "".join(number.rjust(height)[digit] for number in numbers) + "\n"
    for row in rows:
        marks = "".join(style.mark(cell.verdict, _MARKS[cell.verdict]) if cell else _NOT_JUDGED for cell in row.cells)
        yield f"{marks}  {printable(row.path)}\n"
    yield "\n"


def _reasons(grid: Grid, rows: list[Row], style: Style, verbose: bool) -> Iterator[str]:
    """Why, by rule: how many pairs, and the first of them."""
    found: dict[tuple[str, str], list[str]] = {}
    for row in rows:
        for column, cell in zip(grid.columns, row.cells):
            if cell is None or cell.verdict == "loads":
                continue
            pair = f"{printable(row.path)} on {printable(column.label)}"
            if cell.rule:
                why = f"{cell.rule} ({cell.errno})"
                found.setdefault((cell.verdict, why), []).append(f"{pair}: {printable(cell.summary)}")
            else:
                for rule, needs in dict.fromkeys(cell.unchecked):
                    found.setdefault((cell.verdict, f"{rule}: {needs}"), []).append(pair)
    for (verdict, why), pairs in sorted(found.items(), key=lambda one: -len(one[1])):
        count = f"{len(pairs)} pair{'s' if len(pairs) > 1 else ''}"
        yield f"{style.verdict(verdict)}, {printable(why)}: {count}\n"
        shown = pairs if verbose else pairs[:1]
        yield from (f"  {'' if verbose else 'such as '}{pair}\n" for pair in shown)
    yield "\n" if found else ""


def _counted(verdicts: Mapping[str, int]) -> str:
    return ", ".join(f"{verdicts[verdict]} {verdict}" for verdict in _MARKS if verdicts.get(verdict)) or "none"
