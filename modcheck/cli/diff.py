"""`modcheck diff OLD NEW [MODULE...]`: what a kernel's update changes for modules, and which of them it breaks."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import click

from ..errors import ModcheckError, TargetError
from ..loader.sets import predictions
from ..loader.walk import walks_of
from ..module import Module
from ..report.changes import Judged, Update
from ..target import Target
from ..target.difference import SymbolDifference, compare_symbols
from .common import (
    ERROR,
    LOADS,
    REFUSED,
    UNKNOWN,
    already_loaded,
    fail,
    fail_in_formats,
    format_option,
    loader_options,
    parse_formats,
    read_modules,
    style_for,
    target_from,
    worst,
    write_report,
)


@click.command(context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110})
@click.argument("old", type=click.Path(path_type=str))
@click.argument("new", type=click.Path(path_type=str))
@click.argument("modules", nargs=-1, metavar="[MODULE]...", type=click.Path(path_type=str))
@loader_options
@click.option("--cmdline", metavar="STR", help="The command line of both.")
@click.option("--lockdown", metavar="MODE", help="The lockdown mode of both: none, integrity or confidentiality.")
@click.option(
    "--stablelist",
    type=click.Path(path_type=str),
    metavar="FILE",
    help="Compare but these symbols (kABI): one a line, Red Hat's or SUSE's lists, a Module.symvers.",
)
@click.option(
    "--symtypes",
    multiple=True,
    type=click.Path(path_type=str),
    metavar="PATH",
    help="The .symtypes of OLD, then those of NEW, to explain CRCs.",
)
@click.option("--strict", is_flag=True, help="Exit 3 where it is unknown whether NEW takes a module.")
@format_option()
@click.option("-v", "--verbose", is_flag=True, help="Cut no list.")
@click.pass_context
def diff(
    context: click.Context,
    /,
    old: str,
    new: str,
    modules: tuple[str, ...],
    loaded: tuple[str, ...],
    cmdline: str | None,
    lockdown: str | None,
    stablelist: str | None,
    symtypes: tuple[str, ...],
    strict: bool,
    formats: tuple[str, ...],
    verbose: bool,
    **loading: Any,
) -> None:
    """Compare two kernels: symbols removed, added, changed; options; which MODULE breaks when NEW replaces OLD.

    OLD and NEW are each what --target takes, or a Module.symvers. Exit status: 1 where NEW refuses a MODULE, or a
    symbol of --stablelist is gone, has another CRC or is for fewer users; 3 where one of these cannot be judged.
    """
    outputs = parse_formats(formats, ("text", "json"))
    try:
        targets = [target_from((path,), cmdline=cmdline, lockdown=lockdown) for path in (old, new)]
        update = _compared(targets, stablelist, symtypes)
        read = list(read_modules(modules))
        given = [one for one in read if isinstance(one, Module)]
        present = already_loaded(loaded)
        asked = [walks_of(target, strict=strict, **loading) for target in targets]
        before, after = (iter(predictions(given, walks, present)) for walks in asked)
        judged: list[Judged | tuple[str, str]] = [
            Judged(next(before), next(after)) if isinstance(one, Module) else one for one in read
        ]
    except ModcheckError as error:
        fail_in_formats(error, outputs)
        context.exit(ERROR)
    update = update._replace(modules=tuple(judged))
    status = LOADS
    try:
        for name, path in outputs:
            write_report(_render(name, update, style_for(path), verbose), path)
    except ModcheckError as error:
        fail(error)
        status = ERROR
    for one in judged:
        if not isinstance(one, Judged):
            fail(ModcheckError(*one))
        elif one.new.error:
            fail(ModcheckError(one.new.path, one.new.error))
    context.exit(status or _status(update, strict))


def _compared(targets: Sequence[Target], stablelist: str | None, symtypes: Sequence[str]) -> Update:
    """The two kernels without modules.

    :raises ModcheckError: a list that cannot be read, or nothing that could be compared
    """
    from ..target.stablelist import read_stablelist

    old, new = targets
    protected = read_stablelist(stablelist) if stablelist is not None else None
    symbols = compare_symbols(old, new, protected)
    options = None
    if old.config and new.config:
        from ..advice.options import compare

        options = compare(old.config, new.config)
    if options is None and not symbols.compared:
        raise TargetError("diff", "neither the exports nor the .config of both kernels are known")
    return Update(old, new, stablelist, symbols, _types(old, new, symbols, symtypes), options, ())


def _types(old: Target, new: Target, symbols: SymbolDifference, symtypes: Sequence[str]) -> Any:
    """The types behind the CRCs that differ, where both sides have type information."""
    from ..types.symtypes import read_symtypes

    written = [read_symtypes(path) for path in symtypes]
    names = [one.new.name for one in symbols.changed if "crc" in one.what]
    if not names:
        return ()
    from ..types.read import kernel_types
    from ..types.reasons import type_changes, written_changes

    sides = ("the old kernel", "the new one")
    before = kernel_types(old, names)
    found = type_changes(before, before and kernel_types(new, names), names, sides)
    return found or written_changes(written, names, (), sides)


def _render(name: str, update: Update, style: Any, verbose: bool) -> str:
    if name == "json":
        from .. import __version__
        from ..report.changes import diff_document
        from ..report.json import dump

        return dump(diff_document(update, __version__))
    from ..report.changes import diff_report

    return diff_report(update, style, verbose=verbose)


def _status(update: Update, strict: bool) -> int:
    """As `check` of the modules on the new kernel; and 1 where what is protected breaks."""
    status = worst([one.new if isinstance(one, Judged) else one for one in update.modules], strict)
    if update.protected is None or status in (ERROR, REFUSED):
        return status
    symbols = update.symbols
    return REFUSED if symbols.breaking else UNKNOWN if symbols.unknown or not symbols.compared else status
