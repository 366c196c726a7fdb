"""Where the types of two builds differ, and which of the differences is behind a symbol's CRC."""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Iterable
from typing import NamedTuple

from .graph import AGGREGATES, Part, Types


class Difference(NamedTuple):
    """A type that two builds have in different forms."""

    type: str
    """`struct cdev`; for a function its name and `()`"""
    member: str
    """the first member that differs; empty where it is the whole"""
    change: str
    """in words"""


class Reason(NamedTuple):
    """A difference, and the symbols that it explains."""

    difference: Difference
    by_way_of: str
    """the aggregate through which the first of them reaches it; empty where it stands in its signature"""
    symbols: tuple[str, ...]


#: for so many differences it is looked up what reaches them
_MOST_REACHED = 4
#: how BTF has a function whose parameters it does not know
_ASSEMBLY = "void ()()"
#: in words, whose the two sides are
Sides = tuple[str, str]


def differences(old: Types, new: Types, symbols: Iterable[str], sides: Sides) -> list[Reason]:
    """What lies behind the CRCs of `symbols`, best explanation first; symbols of which nothing is found are left out.

    :param old: one build's types; a symbol's signature is looked for in `new` first, then here
    :param sides: what the two are called, as in `in the module`, `in the kernel`
    """
    comparison = _Comparison(old, new, sides)
    nearest = {symbol: reason for symbol in symbols if (reason := comparison.nearest(symbol))}
    counted = Counter(difference for difference, _ in nearest.values())
    left = dict(nearest)
    found: list[Reason] = []
    for difference, _ in counted.most_common():
        # what explains many is rather behind a symbol that reaches it than what lies nearer and explains few
        reaching = comparison.reaching(difference) if len(found) < _MOST_REACHED and len(counted) > 1 else frozenset()
        names = [name for name, (own, _) in left.items() if own == difference or new.symbols.get(name) in reaching]
        if names:
            ways = [nearest[name][1] for name in names if nearest[name][0] == difference]
            found.append(Reason(difference, ways[0] if ways else "", tuple(names)))
        for name in names:
            del left[name]
    return sorted(found, key=lambda one: -len(one.symbols))


class _Comparison:
    """Two graphs, and the aggregates that differ between them."""

    def __init__(self, old: Types, new: Types, sides: Sides) -> None:
        self.old, self.new, self.sides = old, new, sides
        #: aggregates by name, each with its difference, if it has one of its own
        self.known: dict[str, Difference | None] = {}
        self._steps = self._towards_differences()

    def nearest(self, symbol: str) -> tuple[Difference, str] | None:
        """The difference that the symbol's signature reaches in the fewest steps, and the aggregate it goes through."""
        start = self.new.symbols.get(symbol)
        if start is None:
            return self._by_old_signature(symbol)
        own = self._signature(symbol, start)
        if own:
            return own, ""
        way: list[str] = []
        place: int | None = start
        while place is not None:
            name = self._aggregate(place)
            if name and (difference := self.known.get(name)):
                return difference, way[0] if way else ""
            way += [name] if name else []
            place = self._steps.get(place)
        return None

    def _by_old_signature(self, symbol: str) -> tuple[Difference, str] | None:
        """The same of a symbol that the new build's types do not have, as BTF has few variables: by the old ones."""
        old = self.old
        if symbol not in old.symbols:
            return None
        first: dict[int, str] = {old.symbols[symbol]: ""}
        queue = deque(first)
        while queue:
            place = queue.popleft()
            name = f"{old.kinds[place]} {old.names[place]}"
            if difference := self.known.get(name):
                return difference, first[place] if first[place] != name else ""
            for to in old.edges(place):
                if to not in first:
                    first[to] = first[place] or (name if name in old.aggregates else "")
                    queue.append(to)
        return None

    def _signature(self, symbol: str, start: int) -> Difference | None:
        """A prototype that differs as it is written."""
        other = self.old.symbols.get(symbol)
        if other is None:
            return None
        ours, theirs = self.old.spelled(other), self.new.spelled(start)
        if ours == theirs or _ASSEMBLY in (ours, theirs):
            return None
        change = f"is {ours!r} in {self.sides[0]}, {theirs!r} in {self.sides[1]}"
        return Difference(f"{symbol}()" if self.new.kinds[start] == "()" else symbol, "", change)

    def _aggregate(self, place: int) -> str | None:
        kind = self.new.kinds[place]
        return f"{kind} {self.new.names[place]}" if kind in AGGREGATES and self.new.names[place] else None

    def _towards_differences(self) -> dict[int, int]:
        """For each type that reaches an aggregate with a difference the next step on the shortest way there."""
        new = self.new
        for name, place in new.aggregates.items():
            if name in self.old.aggregates:
                found = self._compare(self.old.aggregates[name], place, name)
                self.known[name] = found if found and found.type == name else None
        self._users: dict[int, list[int]] = {}
        for place in range(len(new.kinds)):
            for to in new.edges(place):
                self._users.setdefault(to, []).append(place)
        return self._ways([new.aggregates[name] for name, found in self.known.items() if found])

    def _ways(self, sources: Iterable[int]) -> dict[int, int]:
        """For each type that reaches one of `sources` the next step on the shortest way there."""
        steps: dict[int, int] = {}
        queue = deque(sources)
        seen = set(queue)
        while queue:
            place = queue.popleft()
            for user in self._users.get(place, ()):
                if user not in seen:
                    seen.add(user)
                    steps[user] = place
                    queue.append(user)
        return steps

    def reaching(self, difference: Difference) -> frozenset[int]:
        """The types that reach the aggregate that the difference is of."""
        place = self.new.aggregates.get(difference.type)
        return frozenset(self._ways([place])) if place is not None else frozenset()

    def _compare(self, one: int, other: int, name: str, depth: int = 0) -> Difference | None:
        """The first difference of two aggregates; it may be that of one which they contain."""
        old, new = self.old, self.new
        ours, theirs = old.parts[one], new.parts[other]
        if new.kinds[other] == "enum":
            return self._constants(name, ours, theirs, 64 if new.sizes[other] > 4 else 32)
        if bool(ours) != bool(theirs):  # .BTF.base has structures without their members
            return self._size(one, other, name)
        names = [{part.name for part in parts} for parts in (ours, theirs)]
        for mine, its in zip(ours, theirs):
            if mine.name != its.name:
                return self._other_member(name, mine, its, names)
            if found := self._member(name, mine, its, depth):
                return found
        if len(ours) != len(theirs):
            longer, graph, side = (ours, old, 0) if len(ours) > len(theirs) else (theirs, new, 1)
            part = longer[min(len(ours), len(theirs))]
            return Difference(name, part.name, self._only(graph, part, side))
        return self._size(one, other, name)

    def _size(self, one: int, other: int, name: str) -> Difference | None:
        sizes = self.old.sizes[one], self.new.sizes[other]
        if sizes[0] == sizes[1]:
            return None
        return Difference(name, "", f"has {sizes[0]} bytes in {self.sides[0]}, {sizes[1]} in {self.sides[1]}")

    def _only(self, graph: Types, part: Part, side: int) -> str:
        what = f"`{_declared(graph, part)}` at byte {part.offset // 8}" if part.name else "an unnamed member"
        return f"has {what} in {self.sides[side]}, and not in {self.sides[1 - side]}"

    def _other_member(self, name: str, mine: Part, its: Part, names: list[set[str]]) -> Difference:
        if its.name not in names[0]:
            change = self._only(self.new, its, 1)
            if mine.name not in names[1]:
                change = (
                    f"has `{_declared(self.old, mine)}` in {self.sides[0]} where it has "
                    f"`{_declared(self.new, its)}` in {self.sides[1]}, at byte {its.offset // 8}"
                )
            return Difference(name, its.name or mine.name, change)
        if mine.name not in names[1]:
            return Difference(name, mine.name, self._only(self.old, mine, 0))
        return Difference(name, its.name, f"has `{mine.name}` and `{its.name}` in another order")

    def _member(self, name: str, mine: Part, its: Part, depth: int) -> Difference | None:
        old, new = self.old, self.new
        sides = self.sides
        label = its.name or "(unnamed)"
        ours, theirs = old.spelled(mine.type), new.spelled(its.type)
        if ours != theirs or mine.bits != its.bits:
            change = f"has `{_declared(old, mine)}` in {sides[0]}, `{_declared(new, its)}` in {sides[1]}"
            return Difference(name, label, change)
        one, other = old.bare(mine.type), new.bare(its.type)
        kind = new.kinds[other]
        if mine.offset == its.offset and kind in ("struct", "union") and old.kinds[one] == kind and depth < 12:
            inner = f"{kind} {new.names[other]}" if new.names[other] else name
            if not new.names[other] or old.size(mine.type) != new.size(its.type):
                found = self._compare(one, other, inner, depth + 1)
                if found:
                    return found
        if mine.offset != its.offset:
            where = f"at byte {mine.offset // 8} in {sides[0]}, {its.offset // 8} in {sides[1]}"
            return Difference(name, label, f"has `{label}` {where}")
        return None

    def _constants(self, name: str, ours: tuple[Part, ...], theirs: tuple[Part, ...], bits: int) -> Difference | None:
        if not ours or not theirs:
            return None
        # BTF has negative ones without their sign
        values = [{part.name: part.offset % (1 << bits) for part in parts} for parts in (ours, theirs)]
        for constant in (*values[1], *values[0]):
            one, other = values[0].get(constant), values[1].get(constant)
            if one is None or other is None:
                side = 0 if other is None else 1
                return Difference(
                    name, constant, f"has {constant} in {self.sides[side]}, not in {self.sides[1 - side]}"
                )
            if one != other:
                return Difference(
                    name, constant, f"has {constant} = {one} in {self.sides[0]}, {other} in {self.sides[1]}"
                )
        return None


def _declared(graph: Types, part: Part) -> str:
    """A member as its declaration reads."""
    text = f"{graph.spelled(part.type)} {part.name}".strip().replace("* ", "*").replace("*)", "*)")
    return f"{text} : {part.bits}" if part.bits else text
