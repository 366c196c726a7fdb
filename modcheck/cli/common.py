"""Options and habits that the commands share: describing a target, naming modules, formats, exit status."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import click

from ..errors import ModcheckError, TargetError
from ..files import find_modules
from ..module import Module, read_module
from ..report.style import Style
from ..target import Target, read_target

#: exit status, worst first
ERROR, REFUSED, UNKNOWN, LOADS = 2, 1, 3, 0

_PATH = click.Path(path_type=str)

_TARGET_OPTIONS: tuple[Callable[[Any], Any], ...] = (
    click.option("--target", "targets", multiple=True, type=_PATH, metavar="PATH",
                 help="The kernel's build or headers directory, image, modules directory, root file system, package, "
                 "or what `modcheck capture` made on the board."),
    click.option("--symvers", multiple=True, type=_PATH, metavar="FILE",
                 help="Its Module.symvers (.gz/.xz/.zst too); again for those of out-of-tree dependencies."),
    click.option("--release", metavar="STR", help="What `uname -r` prints there."),
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
    click.option("--running", is_flag=True, help="The kernel of this machine, by what you may read."),
)  # fmt: skip


def target_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """The options that describe a target; the command gets them by name, for `target_from`."""
    for option in reversed(_TARGET_OPTIONS):
        command = option(command)
    return command


def target_from(targets: Sequence[str], **facts: Any) -> Target:
    """The target that the options describe.

    :raises ModcheckError: they are broken, or describe nothing
    """
    for name, value in (*((("target", one)) for one in targets), *facts.items()):
        if name != "cmdline" and "" in (value if isinstance(value, tuple) else (value,)):
            raise TargetError(f"--{name.replace('_', '-')}", "is empty (an unset variable?)")
    return read_target(*targets, **facts)


def fail(error: ModcheckError) -> None:
    """One line on stderr."""
    click.echo(f"modcheck: {error}", err=True)


def read_modules(paths: Sequence[str]) -> Iterator[Module | tuple[str, str]]:
    """The modules at `paths`, folders expanded; a pair of path and reason for one that cannot be read."""
    for path in paths:
        found: Sequence[str] = (path,)
        if os.path.isdir(path):
            unreadable: list[OSError] = []
            found = find_modules(path, unreadable.append)
            yield from ((error.filename, (error.strerror or str(error)).lower()) for error in unreadable)
            if not found and not unreadable:
                yield path, "no modules below this directory (*.ko, *.ko.gz, *.ko.xz, *.ko.zst)"
        for one in found:
            try:
                yield read_module(one)
            except ModcheckError as error:
                yield one, error.reason


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


def write_report(text: str, path: str | None) -> None:
    """Print `text`, or put it into the file `path`: whole or not at all, where `path` is or becomes a regular file.

    :raises ModcheckError: the file cannot be written
    """
    if path is None:
        click.echo(text, nl=False, color=True)
        return
    import tempfile

    path = os.path.realpath(path)
    try:
        if os.path.exists(path) and not os.path.isfile(path):
            with open(path, "w", encoding="utf-8", errors="backslashreplace") as file:
                file.write(text)
            return
        handle, temporary = tempfile.mkstemp(dir=os.path.dirname(os.path.abspath(path)), prefix=".modcheck-")
        try:
            with os.fdopen(handle, "w", encoding="utf-8", errors="backslashreplace") as file:
                file.write(text)
            os.chmod(temporary, 0o644)
            os.replace(temporary, path)
        except OSError:
            os.unlink(temporary)
            raise
    except OSError as error:
        raise ModcheckError(path, f"cannot be written: {(error.strerror or str(error)).lower()}") from None
