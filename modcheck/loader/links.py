"""What is left of a module that has been judged alone: what others need to know of it, and what the stages that look at
others ask. A few kB: the tables of its file are let go.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from ..module.facts import Export, Parameter, Symbol
from .facts import Answer, RecordedVersions


class Imports(NamedTuple):
    """What a module wants of others."""

    symbols: Sequence[Symbol]
    """all that the loader looks up or refuses, in the order of the symbol table"""
    open: Sequence[int]
    """the places of those that the kernel's own exports do not settle"""
    recorded: RecordedVersions
    """the CRCs that it was built against, of those alone"""


class Links(NamedTuple):
    """A module as one kernel reads it, as far as other modules and the stages that look at others ask."""

    path: str
    name: str
    error: str | None
    """why the file is no kernel module at all"""
    label: str
    """`Load.label`"""
    arch: str | None
    bits: int
    sections: int
    """how many its table has"""
    modinfo: tuple[tuple[str, str], ...]
    """what it tells those who load modules"""
    depends: tuple[str, ...] | None
    """the modules that it says it needs; None where it does not say"""
    wanted: Sequence[str]
    """the names of the symbols that are in question: others may export them"""
    imports: Imports | None
    """None where none is, or where the module is refused before they are looked up, and no more is asked"""
    exports: tuple[Export, ...]
    parameters: tuple[Parameter, ...] | None
    """None where they are laid out as before 4.2"""
    has_versions: bool
    """whether it has `__versions`"""
    proprietary: bool
    """whether its licence makes it count as such"""
    own_build: bool
    """`Load.own_build`"""
    signed: bool
    """whether a key signed it that is known to be the kernel's"""
    decoded: bool
    """whether the kernel can read the file just as it lies there, compressed or not"""

    @property
    def namespaces(self) -> list[str]:
        """Those that it imports."""
        return [value for tag, value in self.modinfo if tag == "import_ns"]

    def info(self, tag: str) -> str | None:
        """The first value of modinfo's `tag`; None when there is none."""
        return next((value for name, value in self.modinfo if name == tag), None)


class Own(NamedTuple):
    """What a kernel of one version makes of a module alone."""

    links: Links
    answers: Mapping[int, tuple[Answer, ...]]
    """by their places in the walk, of the stages that found anything"""
    assumed: tuple[str, ...]


class Alone:
    """A module judged alone: all that is needed to judge it, and others, together.

    :ivar by_version: one; where the kernel's version is not known, one for each shape of the load path
    """

    __slots__ = ("by_version",)

    def __init__(self, by_version: tuple[Own, ...]) -> None:
        self.by_version = by_version

    @property
    def links(self) -> Links:
        """As user space reads it."""
        return self.by_version[0].links

    @property
    def name(self) -> str:
        return self.links.name

    @property
    def error(self) -> str | None:
        return self.links.error

    @property
    def exports(self) -> tuple[Export, ...]:
        return self.links.exports
