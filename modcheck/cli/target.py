"""`modcheck target [SOURCE...]`: what is known of a kernel, and where each fact came from."""

from __future__ import annotations

from typing import Any

import click

from ..errors import ModcheckError
from .common import (
    ERROR,
    fail_in_formats,
    format_option,
    parse_formats,
    style_for,
    target_from,
    target_options,
    write_report,
)


@click.command(context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110})
@click.argument("sources", nargs=-1, metavar="[SOURCE]...", type=click.Path(path_type=str))
@target_options
@format_option()
@click.option("-o", "--output", metavar="FILE", help="Save it as a profile, to be given for --target.")
@click.pass_context
def target(
    context: click.Context,
    /,
    sources: tuple[str, ...],
    targets: tuple[str, ...],
    formats: tuple[str, ...],
    output: str | None,
    **facts: Any,
) -> None:
    """Show what is known of a kernel; each SOURCE is a --target."""
    outputs = parse_formats(formats, ("text", "json"))
    try:
        found = target_from((*sources, *targets), **facts)
        if output is not None:
            from .. import __version__
            from ..report.json import dump, profile_document

            write_report(dump(profile_document(found, __version__)), output)
            if not formats:
                return
        for name, path in outputs:
            if name == "json":
                from ..report.json import dump, target_document

                text = dump(target_document(found))
            else:
                from ..report.show import target_report

                text = target_report(found, style_for(path))
            write_report(text, path)
    except ModcheckError as error:
        fail_in_formats(error, outputs)
        context.exit(ERROR)
