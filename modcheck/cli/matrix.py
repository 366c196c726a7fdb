"""`modcheck matrix MODULE... --target T1 --target T2 ...`: every module on every kernel.

The modules are read once; each kernel is read, judged on and let go by one process, so that memory holds as many
kernels as there are processes.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import click

from ..errors import ModcheckError
from ..loader.facts import Prediction
from ..loader.sets import predictions
from ..loader.walk import walks_of
from ..module import Module
from ..report import Assumptions
from ..report.grid import Cell, Column, Grid, Row
from .common import (
    ERROR,
    already_loaded,
    fail,
    format_option,
    loader_options,
    parse_formats,
    read_modules,
    status_of,
    style_for,
    target_from,
    worst_of,
    write_report,
)
from .pool import jobs_option, spread

FORMATS = ("text", "json", "html")


@click.command(context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110})
@click.argument("modules", nargs=-1, metavar="MODULE...", required=True, type=click.Path(path_type=str))
@click.option(
    "--target",
    "targets",
    multiple=True,
    required=True,
    type=click.Path(path_type=str),
    metavar="PATH",
    help="A kernel, as `check --target` takes it; one for each column.",
)
@loader_options
@click.option("--cmdline", metavar="STR", help="The command line of all kernels.")
@click.option("--lockdown", metavar="MODE", help="The lockdown mode of all: none, integrity or confidentiality.")
@click.option("--strict", is_flag=True, help="Exit 3 where it is unknown whether a kernel takes a module.")
@format_option(FORMATS)
@jobs_option
@click.option("-v", "--verbose", is_flag=True, help="Cut no list.")
@click.pass_context
def matrix(
    context: click.Context,
    /,
    modules: tuple[str, ...],
    targets: tuple[str, ...],
    loaded: tuple[str, ...],
    cmdline: str | None,
    lockdown: str | None,
    strict: bool,
    formats: tuple[str, ...],
    jobs: int | None,
    verbose: bool,
    **loading: Any,
) -> None:
    """Predict for each MODULE whether each kernel takes it.

    A kernel is one --target; one that several options describe is saved with `modcheck target -o` first. The modules
    are a set, as in `modcheck MODULE...`. Exit status: that of the worst pair.
    """
    outputs = parse_formats(formats, FORMATS)
    targets = tuple(dict.fromkeys(targets))
    try:
        present = already_loaded(loaded)
    except ModcheckError as error:
        fail(error)
        context.exit(ERROR)
    read = _each_once(read_modules(modules))
    given = [one for one in read if isinstance(one, Module)]
    judge = _OneTarget(given, present, loading, {"cmdline": cmdline, "lockdown": lockdown}, strict)
    columns = list(spread(judge, targets, jobs))
    grid = _grid(read, columns, loading["loader"], _options(loaded, loading, cmdline, lockdown))
    statuses = [ERROR for row in grid.rows if row.error] + [status for column in columns for status in column.statuses]
    for name, path in outputs:
        try:
            write_report(_render(name, grid, path, verbose), path)
        except ModcheckError as error:
            fail(error)
            statuses.append(ERROR)
    for subject, reason in grid.errors():
        fail(ModcheckError(subject, reason))
    context.exit(worst_of(statuses))


class _Judged(NamedTuple):
    """A column of the grid."""

    column: Column
    cells: tuple[Cell, ...]
    """one for each module that could be read"""
    statuses: frozenset[int]
    """exit statuses of its cells"""
    assumptions: Assumptions


@dataclass
class _OneTarget:
    """Judges all modules on one kernel: what a process does at a time."""

    modules: Sequence[Module]
    loaded: Sequence[Module | str]
    loading: dict[str, Any]
    boot: dict[str, Any]
    strict: bool

    def __call__(self, path: str) -> _Judged:
        from ..report.json import target_object

        try:
            target = target_from((path,), **self.boot)
            cells: dict[Cell, Cell] = {}  # most modules that load have the same
            column: list[Cell] = []
            statuses: set[int] = set()
            assumptions = Assumptions()
            target.expect(len(self.modules))
            walks = walks_of(target, until_refused=True, strict=self.strict, **self.loading)
            for one in predictions(self.modules, walks, self.loaded):
                cell = cell_of(one)
                column.append(cells.setdefault(cell, cell))
                statuses.add(status_of(one, self.strict))
                assumptions.add(one.assumed)
        except ModcheckError as error:
            return _Judged(Column(path, path, {}, error.reason), (), frozenset((ERROR,)), Assumptions())
        label = target.release or path
        return _Judged(Column(path, label, target_object(target)), tuple(column), frozenset(statuses), assumptions)


def cell_of(one: Prediction) -> Cell:
    """The values of a prediction that a matrix shows."""
    refusing = next((found for found in one.findings if found.level == "error" and not found.ignored), None)
    return Cell(
        verdict=one.verdict,
        errno=one.errno,
        message=one.message,
        insmod_message=one.insmod_message,
        rule=refusing.rule if refusing else None,
        summary=refusing.summary if refusing else "",
        log=one.log,
        first=one.first,
        earlier_unknown=one.earlier_unknown,
        failed_in=one.failed_in,
        unchecked=tuple((unknown.rule, unknown.needs) for unknown in one.unchecked),
    )


def _each_once(read: Iterator[Module | tuple[str, str]]) -> list[Module | tuple[str, str]]:
    """Each file once, also where two arguments have it."""
    found: dict[str, Module | tuple[str, str]] = {}
    for one in read:
        found.setdefault(one.path if isinstance(one, Module) else one[0], one)
    return list(found.values())


def _grid(
    read: Sequence[Module | tuple[str, str]], judged: Sequence[_Judged], loader: str, options: tuple[str, ...]
) -> Grid:
    columns = _labelled([one.column for one in judged])
    rows = []
    place = 0
    for one in read:
        if isinstance(one, Module):
            cells = tuple(column.cells[place] if column.cells else None for column in judged)
            rows.append(Row(one.path, one.name, one.error, cells))
            place += 1
        else:
            rows.append(Row(one[0], error=one[1]))
    assumptions = Assumptions()
    for column in judged:
        assumptions.merge(column.assumptions)
    return Grid(loader, columns, tuple(rows), options, tuple(assumptions.texts))


def _labelled(columns: Sequence[Column]) -> tuple[Column, ...]:
    """The columns, with the release as label where it tells them apart."""
    labels = Counter(column.label for column in columns)
    return tuple(one if labels[one.label] == 1 else one._replace(label=one.target) for one in columns)


def _options(
    loaded: Sequence[str], loading: dict[str, Any], cmdline: str | None, lockdown: str | None
) -> tuple[str, ...]:
    """The loader and boot options, as words of a command line."""
    words: list[str] = []
    given = [("--loaded", name) for name in loaded] + [("--cmdline", cmdline), ("--lockdown", lockdown)]
    if loading["loader"] != "modprobe":
        words += ["--loader", loading["loader"]]
    for option, value in given:
        words += [option, value] if value is not None else []
    words += [f"--{name.replace('_', '-')}" for name in ("force_vermagic", "force_modversion") if loading[name]]
    return tuple(words)


def _render(name: str, grid: Grid, path: str | None, verbose: bool) -> Any:
    from .. import __version__

    if name == "html":
        from ..report.html import matrix_page

        return matrix_page(grid, __version__)
    from ..report import table

    if name == "json":
        return table.matrix_document(grid, __version__)
    return table.matrix_report(grid, style_for(path), verbose=verbose)
