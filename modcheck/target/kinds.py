"""What a file or a folder is, in words, and what takes it on the command line: for one that was given in another's
place."""

from __future__ import annotations

import os
from typing import NamedTuple

from ..errors import ModcheckError
from ..files import SUFFIXES, beginning, is_file, read_plain


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
        from .tree import is_tree

        return Kind("a kernel's build or headers directory", "to --target") if is_tree(path) else None
    if not is_file(path):
        return None
    return _text_kind(path) or _archive_kind(path) or _elf_kind(path) or _image_kind(path)


def but(path: str | os.PathLike[str], place: str) -> str:
    """What to say of a file that was given `place` (`to --symvers`) and is not what belongs there; empty where nothing
    else is known of it."""
    kind = kind_of(path)
    return f", but {kind}" if kind and kind.place != place else ""


def _text_kind(path: str) -> Kind | None:
    from .kconfig import is_config
    from .symvers import is_symvers

    if is_symvers(path):
        return Kind("a Module.symvers", "to --symvers")
    if is_config(path):
        return Kind("a .config", "to --config")
    if beginning(path, 64).lstrip()[:1] == b"{" and b'"profile"' in read_plain(path):
        return Kind("a saved target", "to --target")
    return None


def _archive_kind(path: str) -> Kind | None:
    from ..archives import archive_kind, first_block
    from .sources import CAPTURE

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
