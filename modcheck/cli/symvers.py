"""`modcheck symvers SOURCE... -o Module.symvers`: a kernel's table rebuilt from its image and its modules."""

from __future__ import annotations

from typing import Any

import click

from ..errors import ModcheckError, TargetError
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
    """Rebuild Module.symvers from a kernel's image and modules directory; each SOURCE is a --target."""
    try:
        found = target_from((*sources, *targets), **facts)
        tables = found.symbols.tables if found.symbols else ()
        if not any(table.has_kernel for table in tables):
            name = next(iter((*sources, *targets)), "--kernel")
            raise TargetError(name, "no table of exports in it; give the kernel's image (--kernel FILE)")
        write_report(b"".join(table.text for table in tables).decode("utf-8", "surrogateescape"), output)
    except ModcheckError as error:
        fail(error)
        context.exit(ERROR)
    rows = sum(table.rows for table in tables)
    complete = (
        "of the kernel and its modules"
        if found.symbols and found.symbols.complete
        else ("of the kernel alone: those of its modules need --modules-dir DIR")
    )
    crcs = (
        "" if found.symbols and found.symbols.has_crcs else "; no CRCs, as a kernel without CONFIG_MODVERSIONS has none"
    )
    click.echo(f"modcheck: {rows} symbols {complete}{crcs}", err=True)
