"""What is built into a kernel, as the two lists in its modules directory tell: `modules.builtin`, made by kbuild from
what could have been a module, and `modules.builtin.modinfo` (5.2 and later), with what every object declares."""

from __future__ import annotations

import os
from typing import NamedTuple

from ..errors import UnreadableError
from ..files import read_bytes


class Builtin(NamedTuple):
    """Names of what is built in, with `_` for `-`."""

    modules: frozenset[str]
    """what could have been a module"""
    declaring: frozenset[str]
    """those, and other objects, that declare anything"""
    with_parameters: frozenset[str]
    """those of `declaring` with parameters; one that nobody may read (mode 0) has no file"""
    with_version: frozenset[str]


def read_builtin(directory: str) -> Builtin | None:
    """The lists in the modules directory `directory`; None where they are not there."""
    try:
        listed = read_bytes(os.path.join(directory, "modules.builtin")).decode("utf-8", "replace")
        declared = read_bytes(os.path.join(directory, "modules.builtin.modinfo")).split(b"\0")
    except UnreadableError:
        return None
    tags = [(name, tag.partition(b"=")[0]) for name, _, tag in (entry.partition(b".") for entry in declared) if tag]
    return Builtin(
        frozenset(os.path.basename(line).removesuffix(".ko").replace("-", "_") for line in listed.split()),
        frozenset(name.decode("utf-8", "replace") for name, _ in tags),
        frozenset(name.decode("utf-8", "replace") for name, tag in tags if tag in (b"parm", b"parmtype")),
        frozenset(name.decode("utf-8", "replace") for name, tag in tags if tag == b"version"),
    )
