"""`modcheck MODULE...`: predict, report, and exit with the outcome."""

from __future__ import annotations

import os
from typing import Any

import click

from .. import __version__
from ..errors import ModcheckError, TargetError
from ..files import SUFFIXES
from ..report import FORMATS, Context, format_named
from ..target.kinds import kind_of
from ..target.sources import is_relocatable
from . import COMMANDS
from .adviser import Adviser
from .common import (
    ERROR,
    already_loaded,
    expand,
    fail,
    format_option,
    loader_options,
    parse_formats,
    style_for,
    target_from,
    target_options,
    worst_of,
    write_report,
)
from .many import Answers, Question, answer
from .pool import jobs_option

_EPILOG = (
    "\b\nExit status: 0 all load; 1 one is refused; 2 bad usage or input; 3 one is unknown (with --strict, or when "
    "neither\nversions nor vermagic could be compared).\n\n\b\nCommands:\n"
    + "\n".join(f"  modcheck {name:<7} {purpose}" for name, purpose in COMMANDS.items())
    + "\n\nmodcheck COMMAND --help shows a command's options."
)


@click.command(context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110}, epilog=_EPILOG)
@click.argument("modules", nargs=-1, metavar="MODULE...", type=click.Path(path_type=str))
@target_options
@loader_options
@click.option("--parameters", default="", metavar="STR", help="Given to MODULE: `debug=1 irq=5,7`.")
@click.option("--strict", is_flag=True, help="Exit 3 for unknown: the gate passes only what is known to load.")
@click.option("--ignore", multiple=True, metavar="RULE", help="Report this rule, but do not let it decide.")
@click.option(
    "--symtypes",
    multiple=True,
    type=click.Path(path_type=str),
    metavar="PATH",
    help="The kernel's .symtypes, to explain CRCs; before it those of what the module was built against.",
)
@format_option(FORMATS)
@jobs_option
@click.option("-v", "--verbose", is_flag=True, help="Cut no list.")
@click.version_option(__version__, prog_name="modcheck")
@click.pass_context
def check(
    context: click.Context,
    /,
    modules: tuple[str, ...],
    loader: str,
    loaded: tuple[str, ...],
    force_vermagic: bool,
    force_modversion: bool,
    parameters: str,
    strict: bool,
    ignore: tuple[str, ...],
    symtypes: tuple[str, ...],
    formats: tuple[str, ...],
    jobs: int | None,
    verbose: bool,
    **facts: Any,
) -> None:
    """Predict whether a Linux kernel takes MODULE (a .ko, .ko.gz, .ko.xz, .ko.zst, or a directory of them)."""
    if not modules:
        raise click.UsageError("no MODULE given (a .ko file, or a directory of them)")
    if os.sep not in modules[0] and not os.path.exists(modules[0]):
        _is_it_a_command(modules[0])
    outputs = parse_formats(formats, FORMATS)
    try:
        _refuse_itself(modules, facts["targets"])
        target = target_from(**facts)
        present = already_loaded(loaded)
        adviser = Adviser(target, symtypes)
    except ModcheckError as error:
        _no_target(error, outputs, loader)
        for given in modules:
            if not given.endswith(SUFFIXES) and (kind := kind_of(given)):
                fail(ModcheckError(given, f"no module, but {kind}"))
        context.exit(ERROR)
    contexts = [(name, Context(target, loader, __version__, style_for(path), verbose)) for name, path in outputs]
    loading = {
        "loader": loader,
        "force_vermagic": force_vermagic,
        "force_modversion": force_modversion,
        "arguments": parameters,
        "ignore": ignore,
        "strict": strict,
    }
    question = Question(target, adviser, loading, present, contexts)
    try:
        answers = answer(question, list(expand(modules)), jobs)
    except ModcheckError as error:  # a broken row of a table, met when its symbol is looked up
        _no_target(error, outputs, loader)
        context.exit(ERROR)
    sums = answers.sums
    for place, ((name, path), (_, around)) in enumerate(zip(outputs, contexts)):
        try:
            write_report(format_named(name).document(answers.parts(place), sums.totals, around), path)
        except ModcheckError as error:
            fail(error)
            sums.statuses.add(ERROR)
    _diagnostics(answers, ignore)
    context.exit(worst_of(sums.statuses))


def _is_it_a_command(word: str) -> None:
    """:raises click.UsageError: it is nearly one"""
    from difflib import get_close_matches

    if meant := get_close_matches(word, COMMANDS, 1):
        raise click.UsageError(f"{word!r} is no file; is the command `{meant[0]}` meant?")


def _refuse_itself(modules: tuple[str, ...], targets: tuple[str, ...]) -> None:
    """:raises TargetError: one of the modules is to tell what the kernel is that it is tried on"""
    for target in filter(os.path.isfile, targets):
        real = os.path.realpath(target)
        if is_relocatable(target) and any(f"{real}/".startswith(f"{os.path.realpath(one)}/") for one in modules):
            raise TargetError(target, "the module itself tells nothing of a board; give one that the board has loaded")


def _no_target(error: ModcheckError, outputs: list[tuple[str, str | None]], loader: str) -> None:
    fail(error)
    for name, path in outputs:
        if text := format_named(name).failure(str(error), loader, __version__):
            try:
                write_report(text, path)
            except ModcheckError as unwritable:
                fail(unwritable)


def _diagnostics(answers: Answers, ignore: tuple[str, ...]) -> None:
    """What goes to stderr: files that are no modules, names given twice, ignores that matched nothing."""
    names: dict[str, str] = {}
    for path, name, error in answers.fates:
        if error:
            fail(ModcheckError(path, error))
        elif name in names:
            fail(ModcheckError(path, f"the same name as {names[name]} ({name}); each is judged alone"))
        names.setdefault(name, path)
    for rule in ignore:
        if rule not in answers.sums.rules:
            fail(ModcheckError(f"--ignore {rule}", "matched nothing"))
