"""`modcheck symvers SOURCE... -o Module.symvers`: a kernel's table rebuilt from its image and its modules."""

from __future__ import annotations

from typing import Any

import click

from ..errors import ModcheckError, TargetError
from ..report.words import tie_lines
from ..target import Symbols, Target
from ..target.symvers import render
from .common import ERROR, fail, target_from, target_options, write_report


@click.command(context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110})
@click.argument("sources", nargs=-1, metavar="[SOURCE]...", type=click.Path(path_type=str))
@target_options
@click.option("-o", "--output", metavar="FILE", help="Where to write it; without it, to standard output.")
@click.pass_context
def symvers(
    context: click.Context,
    /,
    sources: tuple[str, ...],
    targets: tuple[str, ...],
    output: str | None,
    **facts: Any,
) -> None:
    """Rebuild Module.symvers from a kernel's image and modules directory; each SOURCE is a --target.

    How complete it is goes to standard error.
    """
    try:
        found = target_from((*sources, *targets), **facts)
        symbols = found.symbols
        if found.tied and found.tied.state == "other":
            raise TargetError(found.tied.table, f"of another build than what else is given: {found.tied.against[0]}")
        if symbols is None or not (symbols.has_kernel or symbols.inferred):
            name = next(iter((*sources, *targets)), "--kernel")
            missing = "no table of exports in it; give the kernel's image (--kernel FILE)"
            raise TargetError(name, "; ".join((missing, *found.notes)))
        text = _table(found, symbols).decode("utf-8", "surrogateescape")
        write_report(text, output)
    except ModcheckError as error:
        fail(error)
        context.exit(ERROR)
    click.echo(f"modcheck: {text.count(chr(10))} symbols; {_completeness(found, symbols)}", err=True)
    for note in (*tie_lines(found), *found.notes) if found.tied else found.notes:
        click.echo(f"modcheck: {note}", err=True)


def _table(target: Target, symbols: Symbols) -> bytes:
    """The rows of all tables; what is not known of one is left open, as kbuild takes it.

    One of which the CRC is needed, and not known, is left out: a build then says that it lacks the symbol.
    """
    needs_crcs = target.modversions is not False
    parts = [
        table.text
        if not table.inferred
        else render(
            row._replace(gpl=bool(row.gpl), namespace=row.namespace.partition("?")[0])
            for row in table
            if row.crc is not None or not needs_crcs
        )
        for table in symbols.tables
    ]
    return b"".join(parts)


def _completeness(target: Target, symbols: Symbols) -> str:
    """How much of the kernel's exports the table has, and why not all."""
    inferred = [table for table in symbols.tables if table.inferred]
    kernels = sum(table.rows for table in symbols.tables if table.has_kernel or table.inferred)
    if inferred:
        known = sum(row.crc is not None or target.modversions is False for table in inferred for row in table)
        those = f"{known} of {kernels}" if symbols.has_kernel else str(known)
        told = f"not complete: the kernel's own {those} that its modules use; its image (--kernel FILE) has them all"
    elif symbols.cut:
        told = "not complete: the table that it is made from is cut"
    elif symbols.complete:
        told = "complete: the kernel's own, and those of its modules"
    else:
        told = "not complete: the kernel's own; those of its modules need --modules-dir DIR"
    if target.modversions is False:
        told += "; without CRCs, as the kernel is built without CONFIG_MODVERSIONS"
    return told
