"""`.symtypes`: what genksyms wrote of the types behind each symbol (KBUILD_SYMTYPES=1), and SUSE's one file of all.

scripts/genksyms/genksyms.c, 6.1 to 7.3; scripts/gendwarfksyms, 6.14 and later, whose lines have the same form. A type
that one source file defines may be unknown in another, so each file is a world of its own.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Iterator
from functools import cached_property

from ..errors import TargetError
from ..files import is_folder, read_plain
from .compare import Difference

_SECTION = re.compile(r"/\* (\S+) \*/$")
_REFERENCE = re.compile(r"(?<!\S)[stueE]#(?:'[^']*'|\S+)")
_KINDS = {"s": "struct ", "u": "union ", "e": "enum ", "t": "", "E": ""}

_ENDS = (".symtypes", ".symtypes.gz", ".symtypes.xz", ".symtypes.zst")

#: the types of one source file: their name (`s#cdev`, or a symbol's), and what stands behind it
World = dict[str, str]


class Symtypes:
    """The `.symtypes` of a build, by the source file that they are of.

    :ivar path: the file or folder that they were read from
    """

    def __init__(self, path: str, worlds: dict[str, World]) -> None:
        self.path, self.worlds = path, worlds

    @cached_property
    def _worlds_of(self) -> dict[str, World]:
        return {name: world for world in self.worlds.values() for name in world if "#" not in name}

    def reached(self, symbol: str) -> World:
        """All that the symbol's declaration reaches, itself first, then the nearest. Empty where it is not there."""
        world = self._worlds_of.get(symbol)
        if world is None:
            return {}
        found = {symbol: world[symbol]}
        queue = [symbol]
        for name in queue:
            for other in _REFERENCE.findall(found[name]):
                if other not in found and other in world:
                    found[other] = world[other]
                    queue.append(other)
        return found


def read_symtypes(path: str) -> Symtypes:
    """Read a `.symtypes` file, a file of SUSE's with those of a whole kernel, or all `*.symtypes` below a folder.

    :raises UnreadableError: it cannot be read
    :raises TargetError: there is none
    """
    worlds: dict[str, World] = {}
    for file in _files(path):
        last: World = {}
        world = worlds.setdefault(file, {})
        for line in read_plain(file).decode("utf-8", "replace").splitlines():
            if section := _SECTION.fullmatch(line.strip()):
                world = worlds.setdefault(section[1], dict(last))
                continue
            name, _, body = line.removeprefix("override ").partition(" ")
            if body:
                opaque = name.replace("##", "#", 1)
                world[opaque] = body.strip()
                if opaque == name and "#" in name:
                    last[name] = world[name]
            elif name.startswith(("s##", "u##", "e##")):
                world[name.replace("##", "#", 1)] = f"{_KINDS[name[0]]}{name[3:]} {{ UNKNOWN }}"
    if not any(worlds.values()):
        raise TargetError(path, "no .symtypes (make KBUILD_SYMTYPES=1 writes them beside the objects)")
    return Symtypes(path, worlds)


def _files(path: str) -> Iterator[str]:
    if not is_folder(path):
        yield path
        return
    for folder, _, names in sorted(os.walk(path)):
        yield from (os.path.join(folder, name) for name in sorted(names) if name.endswith(_ENDS))


def changed(old: Symtypes, new: Symtypes, symbol: str, sides: tuple[str, str]) -> Difference | None:
    """The nearest type that two builds write differently of one symbol.

    :returns: None where one of them does not have the symbol, or they agree
    """
    ours, theirs = old.reached(symbol), new.reached(symbol)
    for name, body in theirs.items():
        other = ours.get(name)
        if other is not None and other != body:
            own = "UNKNOWN" in other or "UNKNOWN" in body
            if own and name != symbol:
                known = sides["UNKNOWN" in other]
                change = f"is known to that source file in {known} alone (an #include was added, or taken away)"
                return Difference(_label(name), "", change)
            return Difference(_label(name), *_first_difference(other, body, sides))
    return None


def shared(types: Symtypes, differing: Iterable[str], agreeing: Iterable[str]) -> list[str]:
    """The types that all of `differing` reach and none of `agreeing` does, as they stand there, nearest first: one of
    them is behind the difference."""
    worlds = [found for symbol in differing if (found := types.reached(symbol))]
    if not worlds:
        return []
    common = set.intersection(*(set(world.items()) for world in worlds))
    for symbol in agreeing:
        common -= types.reached(symbol).items()
    return [_label(name) for name, body in worlds[0].items() if "#" in name and (name, body) in common]


def _label(name: str) -> str:
    """`struct cdev` of `s#cdev`; a symbol with `()`."""
    return _KINDS[name[0]] + name[2:].strip("'") if name[1:2] == "#" else f"{name}()"


def _first_difference(old: str, new: str, sides: tuple[str, str]) -> tuple[str, str]:
    """The first declaration in which two bodies differ: the member's name, and the change in words."""
    ours, theirs = (_pieces(body) for body in (old, new))
    for place in range(max(len(ours), len(theirs))):
        one = ours[place] if place < len(ours) else ""
        other = theirs[place] if place < len(theirs) else ""
        if one == other:
            continue
        if other not in ours and one in theirs:
            return _member(other), f"has `{other}` in {sides[1]}, and not in {sides[0]}"
        if one not in theirs and other in ours:
            return _member(one), f"has `{one}` in {sides[0]}, and not in {sides[1]}"
        return _member(other or one), f"has `{one}` in {sides[0]}, `{other}` in {sides[1]}"
    return "", "is written differently"


def _pieces(body: str) -> list[str]:
    """The declarations of a structure, the constants of an enum, or all of what is neither."""
    inner = body[body.find("{") + 1 : body.rfind("}")] if "{" in body else body
    mark = "," if body.startswith("enum ") else ";"
    return [
        _REFERENCE.sub(lambda one: _label(one[0]), piece.strip()) for piece in inner.split(f" {mark} ") if piece.strip()
    ]


def _member(piece: str) -> str:
    found = re.findall(r"[A-Za-z_]\w*", piece.partition(" [")[0].partition(" :")[0].partition(" =")[0])
    return found[-1] if found else ""
