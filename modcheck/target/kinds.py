"""Reading the files that an option takes; of one that was given in another's place, what it is, and what takes it.

The readers themselves know one kind of file each: this is above them all.
"""

from __future__ import annotations

import os
from typing import NamedTuple

from ..errors import ModcheckError, TargetError
from ..files import SUFFIXES, beginning, is_file, read_plain
from .kconfig import Config, is_config
from .symvers import Symvers, is_symvers
from .tree import is_tree


class Kind(NamedTuple):
    """`what` it is, and how it is given: an option, or `as MODULE`."""

    what: str
    place: str

    def __str__(self) -> str:
        return f"{self.what}: give it {self.place}"


def kind_of(path: str | os.PathLike[str]) -> Kind | None:
    """What lies at `path`; None where it is nothing that modcheck takes, or cannot be read."""
    path = os.fspath(path)
    if os.path.isdir(path):
        return Kind("a kernel's build or headers directory", "to --target") if is_tree(path) else None
    if not is_file(path):
        return None
    return _text_kind(path) or _archive_kind(path) or _elf_kind(path) or _image_kind(path)


def read_symvers(path: str | os.PathLike[str]) -> Symvers:
    """Read a Module.symvers, plain or `.gz`, `.xz`, `.zst`.

    :raises UnreadableError: the file cannot be read or decompressed
    :raises TargetError: a line that is none of a Module.symvers; the line number is named
    """
    if os.path.isdir(path):
        _refuse_misplaced(path, "not a Module.symvers", "to --symvers")
    data = read_plain(path)
    try:
        return Symvers(data, os.fspath(path))
    except TargetError:
        _refuse_misplaced(path, "not a Module.symvers", "to --symvers")
        raise


def read_config(path: str | os.PathLike[str]) -> Config:
    """Read a `.config`, plain or compressed (`/proc/config.gz`).

    :raises UnreadableError: the file cannot be read or decompressed
    :raises TargetError: it is no `.config`
    """
    if os.path.isdir(path):
        _refuse_misplaced(path, "no kernel .config", "to --config")
    data = read_plain(path)
    if b"\0" in data[:512]:  # a tar has the text of what is in it
        data = b""
    try:
        return Config(data.decode("utf-8", "replace"), os.fspath(path))
    except TargetError:
        if b"CONFIG_" not in data:
            _refuse_misplaced(path, "no kernel .config", "to --config")
        raise


def _refuse_misplaced(path: str | os.PathLike[str], refused: str, place: str) -> None:
    """:raises TargetError: what was given `place` (`to --symvers`) is known to belong elsewhere"""
    kind = kind_of(path)
    if kind and kind.place != place:
        raise TargetError(path, f"{refused}, but {kind}") from None


def without_modules(path: str) -> str:
    """What to say of a modules directory in which there are none: also what it is instead, if that is known."""
    from ..archives import is_archive
    from .modules_dir import only_trees

    kind = kind_of(path)
    hint = "an archive goes to --target" if is_archive(path) else f"it is {kind}" if kind else only_trees(path)
    return f"no modules below this directory (*.ko, *.ko.gz, *.ko.xz, *.ko.zst){f'; {hint}' if hint else ''}"


def _text_kind(path: str) -> Kind | None:
    if is_symvers(path):
        return Kind("a Module.symvers", "to --symvers")
    if is_config(path):
        return Kind("a .config", "to --config")
    if beginning(path, 64).lstrip()[:1] == b"{" and b'"profile"' in read_plain(path):
        return Kind("a saved target", "to --target")
    return None


def _archive_kind(path: str) -> Kind | None:
    from ..archives import archive_kind, first_block
    from .board import CAPTURE

    start = first_block(path)
    if start.startswith(CAPTURE.encode() + b"\0"):
        return Kind("what `modcheck capture` made on a board", "to --target")
    kind = archive_kind(start)
    return Kind(kind, "to --target") if kind else None


def _elf_kind(path: str) -> Kind | None:
    from .sources import is_relocatable

    if not is_relocatable(path):
        return None
    from ..module import read_module

    return None if read_module(path).error else Kind("a kernel module", "as MODULE")


def _image_kind(path: str) -> Kind | None:
    """Searching for a kernel takes a while: not in what has a module's name."""
    if path.endswith(SUFFIXES):
        return None
    from .image import Image

    try:
        Image(path)
    except ModcheckError:
        return None
    return Kind("a kernel image", "to --target")
