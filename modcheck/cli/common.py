"""Options and habits that the commands share: describing a target, naming modules, formats, exit status."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from dataclasses import replace
from typing import Any

import click

from ..errors import ModcheckError, TargetError
from ..files import SUFFIXES, dead_link, find_modules, is_folder, read_bytes
from ..loader import LOADERS
from ..loader.facts import Prediction
from ..module import Module, read_module
from ..report import Result
from ..report.style import Style
from ..target import Target, read_target
from ..target.kinds import kind_of

#: exit status, worst first
ERROR, REFUSED, UNKNOWN, LOADS = 2, 1, 3, 0

_PATH = click.Path(path_type=str)

_TARGET_OPTIONS: tuple[Callable[[Any], Any], ...] = (
    click.option("--target", "targets", multiple=True, type=_PATH, metavar="PATH",
                 help="The kernel's build or headers directory, image, modules directory, root file system, package, "
                 "a module of the board, or what `modcheck capture` made on the board."),
    click.option("--symvers", multiple=True, type=_PATH, metavar="FILE",
                 help="Its Module.symvers (.gz/.xz/.zst too); again for those of out-of-tree dependencies."),
    click.option("--release", metavar="STR", help="What `uname -r` prints there; @FILE: the first line of FILE."),
    click.option("--kernel-version", metavar="STR", help="Its version, where the release does not tell it."),
    click.option("--vermagic", metavar="STR", help="Its whole vermagic."),
    click.option("--config", type=_PATH, metavar="FILE", help="Its .config, or /proc/config.gz."),
    click.option("--kernel", type=_PATH, metavar="FILE", help="Its image (vmlinuz, Image, uImage, FIT, boot.img, …)."),
    click.option("--modules-dir", type=_PATH, metavar="DIR", help="Its /lib/modules/RELEASE."),
    click.option("--arch", metavar="NAME", help="Its architecture."),
    click.option("--vendor", metavar="NAME", help="Whose kernel it is: upstream, debian, …"),
    click.option("--trusted-cert", multiple=True, type=_PATH, metavar="FILE",
                 help="A certificate in its keyring, DER or PEM; may be repeated."),
    click.option("--cmdline", metavar="STR", help="Its command line (/proc/cmdline)."),
    click.option("--lockdown", metavar="MODE", help="Its lockdown mode: none, integrity or confidentiality."),
    click.option("--same-build", is_flag=True,
                 help="The given table or tree is of the very build that runs; the report lists it as assumed."),
    click.option("--running", is_flag=True, help="The kernel of this machine, by what you may read."),
)  # fmt: skip


_LOADER_OPTIONS: tuple[Callable[[Any], Any], ...] = (
    click.option("--loader", type=click.Choice(LOADERS), default="modprobe", show_default=True,
                 help="How it is loaded."),
    click.option("--loaded", multiple=True, metavar="NAME_OR_FILE", help="A module already loaded at that time."),
    click.option("--force-vermagic", is_flag=True, help="As modprobe --force-vermagic."),
    click.option("--force-modversion", is_flag=True, help="As modprobe --force-modversion."),
)  # fmt: skip


def target_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """The options that describe a target; the command gets them by name, for `target_from`."""
    for option in reversed(_TARGET_OPTIONS):
        command = option(command)
    return command


def loader_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """The options that say how a module is loaded; the command gets them by name, for `predict_all`."""
    for option in reversed(_LOADER_OPTIONS):
        command = option(command)
    return command


def format_option(known: Sequence[str] = ("text", "json")) -> Callable[[Any], Any]:
    """The option that says in which of the formats `known` to report, and where; the command gets it as `formats`."""
    told = f"{', '.join(known)}; repeatable; text by default."
    return click.option("--format", "formats", multiple=True, metavar="FORMAT[:FILE]", help=told)


def already_loaded(names: Sequence[str]) -> list[Module | str]:
    """Modules already loaded: files where a name is one's, else names as lsmod shows them.

    :raises ModcheckError: a file that is no module
    """
    found: list[Module | str] = []
    for name in names:
        if os.sep not in name and not name.endswith(SUFFIXES):
            found.append(name)
            continue
        module = read_module(name)
        if module.error:
            raise ModcheckError(name, module.error)
        found.append(module)
    return found


def worst(results: Iterable[Result], strict: bool) -> int:
    """The exit status of the worst outcome: 2 beats 1 beats 3 beats 0."""
    return worst_of(status_of(one, strict) for one in results)


def worst_of(statuses: Iterable[int]) -> int:
    """The worst of exit statuses."""
    found = set(statuses)
    return next((status for status in (ERROR, REFUSED, UNKNOWN) if status in found), LOADS)


def status_of(one: Result, strict: bool) -> int:
    """The exit status of one outcome alone."""
    if not isinstance(one, Prediction) or one.error:
        return ERROR
    if one.verdict == "unknown":
        return UNKNOWN if strict or not one.compared else LOADS
    return REFUSED if one.verdict == "refused" else LOADS


def target_from(targets: Sequence[str], **facts: Any) -> Target:
    """The target that the options describe.

    :raises ModcheckError: they are broken, or describe nothing
    """
    for name, value in (*((("target", one)) for one in targets), *facts.items()):
        if name != "cmdline" and "" in (value if isinstance(value, tuple) else (value,)):
            raise TargetError(f"--{name.replace('_', '-')}", "is empty (an unset variable?)")
    if (release := facts.get("release") or "").startswith("@"):
        facts["release"] = _first_line(release[1:])
    return read_target(*targets, **facts)


def _first_line(path: str) -> str:
    """:raises UnreadableError: the file cannot be read"""
    return read_bytes(path).decode("utf-8", "replace").partition("\n")[0]


def fail(error: ModcheckError) -> None:
    """One line on stderr."""
    click.echo(f"modcheck: {error}", err=True)


def fail_in_formats(error: ModcheckError, outputs: Sequence[tuple[str, str | None]]) -> None:
    """The same, and a document that says so where JSON goes to stdout."""
    fail(error)
    if ("json", None) in outputs:
        from ..report.json import SCHEMA, dump

        write_report(dump({"schema": SCHEMA, "error": str(error)}), None)


def expand(paths: Sequence[str]) -> Iterator[str | tuple[str, str]]:
    """The files at `paths`, folders expanded; path and reason for a folder that cannot be read, or is empty."""
    for path in paths:
        if os.path.isfile(path) or not is_folder(path):
            yield path
            continue
        unreadable: list[OSError] = []
        links = {one: dead_link(one) for one in find_modules(path, unreadable.append)}
        found = [one for one, link in links.items() if link is None]
        for one, link in links.items():
            if link is not None:
                fail(ModcheckError(one, f"{link}: passed over"))
        yield from ((error.filename, (error.strerror or str(error)).lower()) for error in unreadable)
        if not found and not unreadable:
            kind = kind_of(path)
            told = f"; it is {kind}" if kind else ""
            yield path, f"no modules below this directory (*.ko, *.ko.gz, *.ko.xz, *.ko.zst){told}"
        yield from found


def read_one(path: str, without: Collection[str] = ()) -> Module:
    """The module at `path`; of what is none, `Module.error` says what it is.

    :raises UnreadableError: it cannot be read
    """
    module = read_module(path, without=without)
    kind = kind_of(path) if module.error else None
    return replace(module, error=f"{module.error}; it is {kind}") if kind else module


def read_modules(paths: Sequence[str]) -> Iterator[Module | tuple[str, str]]:
    """The modules at `paths`, folders expanded; a pair of path and reason for one that cannot be read."""
    for one in expand(paths):
        try:
            yield read_one(one) if isinstance(one, str) else one
        except ModcheckError as error:
            yield str(one), error.reason


def parse_formats(values: Sequence[str], known: Sequence[str]) -> list[tuple[str, str | None]]:
    """`--format` values as pairs of format and file, None for stdout.

    :raises click.UsageError: an unknown format, or two to stdout
    """
    formats = []
    for value in values or ("text",):
        name, _, path = value.partition(":")
        if name not in known:
            raise click.UsageError(f"--format {name!r} is none of {', '.join(known)}")
        formats.append((name, path or None))
    if sum(path is None for _, path in formats) > 1:
        raise click.UsageError("only one --format can go to stdout; name a file for the others (json:report.json)")
    return formats


def style_for(path: str | None) -> Style:
    """Colour only where a terminal reads it, and never against NO_COLOR."""
    return Style(path is None and sys.stdout.isatty() and not os.environ.get("NO_COLOR"))


def write_report(text: str | Iterable[str], path: str | None) -> None:
    """Print `text`, whole or in pieces, or put it into the file `path`: all or nothing, where `path` is or becomes a
    regular file.

    :raises ModcheckError: the file cannot be written
    """
    pieces = (text,) if isinstance(text, str) else text
    if path is None:
        for piece in pieces:
            click.echo(piece, nl=False, color=True)
        return
    import tempfile

    path = os.path.realpath(path)
    try:
        if os.path.exists(path) and not os.path.isfile(path):
            with open(path, "w", encoding="utf-8", errors="backslashreplace") as file:
                file.writelines(pieces)
            return
        handle, temporary = tempfile.mkstemp(dir=os.path.dirname(os.path.abspath(path)), prefix=".modcheck-")
        try:
            with os.fdopen(handle, "w", encoding="utf-8", errors="backslashreplace") as file:
                file.writelines(pieces)
            os.chmod(temporary, 0o644)
            os.replace(temporary, path)
        except OSError:
            os.unlink(temporary)
            raise
    except OSError as error:
        raise ModcheckError(path, f"cannot be written: {(error.strerror or str(error)).lower()}") from None
