"""`modcheck show MODULE...`: what each module declares."""

from __future__ import annotations

import click

from ..errors import ModcheckError
from ..module import Module
from .common import ERROR, fail, format_option, parse_formats, read_modules, style_for, write_report


@click.command(context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110})
@click.argument("modules", nargs=-1, required=True, metavar="MODULE...", type=click.Path(path_type=str))
@format_option()
@click.option("-v", "--verbose", is_flag=True, help="Cut no list.")
@click.pass_context
def show(context: click.Context, modules: tuple[str, ...], formats: tuple[str, ...], verbose: bool) -> None:
    """Show what MODULE declares: modinfo, vermagic, CRCs, imports, exports, signature."""
    outputs = parse_formats(formats, ("text", "json"))
    read = list(read_modules(modules))
    failed = False
    for module in read:
        if not isinstance(module, Module):
            fail(ModcheckError(*module))
            failed = True
        elif module.error:
            fail(ModcheckError(module.path, module.error))
            failed = True
    try:
        for name, path in outputs:
            if name == "json":
                from ..report.json import dump, show_document

                text = dump(show_document(read))
            else:
                from ..report.show import show_report

                readable = [module for module in read if isinstance(module, Module) and not module.error]
                text = show_report(readable, style_for(path), verbose=verbose)
            write_report(text, path)
    except ModcheckError as error:
        fail(error)
        failed = True
    context.exit(ERROR if failed else 0)
