"""A build's types as a graph: one node a type, by number, 0 for `void`."""

from __future__ import annotations

from functools import cached_property
from typing import NamedTuple

#: kinds that have parts and can be named
AGGREGATES = ("struct", "union", "enum")
#: kinds that only stand in front of another type
QUALIFIERS = ("const", "volatile", "restrict", "tag")
_IN_FRONT = frozenset({"typedef", "[]", *QUALIFIERS})


class Part(NamedTuple):
    """A member, a parameter, or a constant of an enum."""

    name: str
    offset: int
    """bits from the structure's start; an enum's constant: its value"""
    bits: int
    """width of a bit-field, 0 for others"""
    type: int


class Types:
    """The nodes, column by column; a type is the place of its row.

    :ivar kinds: `int` (any base type), `*`, `[]`, `struct`, `union`, `enum`, `declared`, `typedef`, `const` …, `()`;
        `tag` is nothing but what it refers to
    :ivar names: empty for one without
    :ivar sizes: in bytes; of an array the number of elements; of one that is only `declared` 0
    :ivar parts: members, parameters, constants
    :ivar to: what it points to, consists of, stands for or returns
    :ivar symbols: functions and variables by name: the types of their declarations
    """

    def __init__(self) -> None:
        self.kinds: list[str] = ["int"]
        self.names: list[str] = ["void"]
        self.sizes: list[int] = [0]
        self.parts: list[tuple[Part, ...]] = [()]
        self.to: list[int] = [0]
        self.symbols: dict[str, int] = {}
        self._spelled: dict[int, str] = {}

    def add(self, kind: str, name: str = "", size: int = 0, parts: tuple[Part, ...] = (), to: int = 0) -> int:
        """Add a row, and return its place."""
        self.kinds.append(kind)
        self.names.append(name)
        self.sizes.append(size)
        self.parts.append(parts)
        self.to.append(to)
        return len(self.kinds) - 1

    @cached_property
    def aggregates(self) -> dict[str, int]:
        """Structures, unions and enums that are defined, by their names in C; of several of a name the first."""
        found: dict[str, int] = {}
        for place, kind in enumerate(self.kinds):
            if kind in AGGREGATES and self.names[place]:
                found.setdefault(f"{kind} {self.names[place]}", place)
        return found

    def bare(self, place: int) -> int:
        """The type itself, without typedefs, qualifiers and dimensions."""
        for _ in range(64):  # damaged data may go round in a circle
            if self.kinds[place] not in _IN_FRONT:
                break
            place = self.to[place]
        return place

    def size(self, place: int) -> int:
        """Bytes of a type, 0 where that is not known; pointers count 0."""
        count = 1
        for _ in range(64):
            kind = self.kinds[place]
            if kind == "[]":
                count *= self.sizes[place]
            elif kind not in ("typedef", *QUALIFIERS):
                break
            place = self.to[place]
        return count * self.sizes[place]

    def spelled(self, place: int, depth: int = 0) -> str:
        """The type in C's words; what stands inside of one without a name is left out."""
        if place not in self._spelled:
            self._spelled[place] = self._spell(place, depth) if depth < 24 else "…"
        return self._spelled[place]

    def _spell(self, place: int, depth: int) -> str:
        kind, name = self.kinds[place], self.names[place]
        if kind == "*":
            inner = self.spelled(self.to[place], depth + 1)
            return (
                inner.replace("(", "(*", 1) if self.kinds[self.to[place]] == "()" else f"{inner} *".replace("* *", "**")
            )
        if kind == "[]":  # BTF has one of several dimensions as one of all elements
            count, element = self.sizes[place], self.to[place]
            while self.kinds[element] == "[]" and depth < 24:
                count, element, depth = count * self.sizes[element], self.to[element], depth + 1
            return f"{self.spelled(element, depth + 1)}[{count or ''}]"
        if kind == "()":
            parameters = ", ".join(self.spelled(part.type, depth + 1) for part in self.parts[place])
            return f"{self.spelled(self.to[place], depth + 1)} ()({parameters})"
        if kind in QUALIFIERS:
            inner = self.spelled(self.to[place], depth + 1)
            return inner if kind == "tag" else f"{kind} {inner}"
        if kind in AGGREGATES:
            return f"{kind} {name or '{…}'}"
        return name

    def edges(self, place: int) -> list[int]:
        """The types that one reaches directly."""
        return [part.type for part in self.parts[place]] + ([self.to[place]] if self.to[place] else [])
