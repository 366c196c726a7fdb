"""The rooms of the package lie one above the other, and no file needs one that needs it: imports within functions, and
those for types alone, count as well."""

from __future__ import annotations

import ast
import re
from graphlib import CycleError, TopologicalSorter
from itertools import pairwise
from pathlib import Path

import modcheck

PACKAGE = Path(modcheck.__file__).parent

#: from the bottom; "" is the package itself, which offers what lies in the rooms before it
ROOMS = ("base", "module", "target", "loader", "", "types", "advice", "report", "cli", "__main__")
BASE = ("arch", "archives", "btf", "errors", "files", "roots", "version")

#: a line of docs/house.md that says which files a file imports, of those that have such a line
_ROW = re.compile(r"(?m)^(\S+\.py) +→ ?(.*)$")

#: each file by its dotted name, a package by that of its `__init__`
FILES = {
    ".".join(path.relative_to(PACKAGE.parent).with_suffix("").parts).removesuffix(".__init__"): path
    for path in PACKAGE.rglob("*.py")
}


def imported(name: str) -> set[str]:
    """The files of the package that one of them imports, wherever in it that stands."""
    path = FILES[name]
    package = name.split(".") if path.name == "__init__.py" else name.split(".")[:-1]
    found: set[str] = set()
    for node in ast.walk(ast.parse(path.read_bytes())):
        if isinstance(node, ast.Import):
            found.update(alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            above = package[: len(package) + 1 - node.level] if node.level else []
            whole = ".".join([*above, *([node.module] if node.module else [])])
            inside = (f"{whole}.{alias.name}" for alias in node.names)
            found.update(one if one in FILES else whole for one in inside)
    return found & FILES.keys()


def circle(graph: dict[str, set[str]]) -> list[str]:
    """One way through the graph that comes back to where it begins; empty where there is none."""
    try:
        TopologicalSorter(graph).prepare()
    except CycleError as error:
        return list(reversed(error.args[1]))  # graphlib names the imported one first
    return []


def arrows_up(graph: dict[str, set[str]]) -> list[str]:
    """The imports that lead from a room to one above it."""
    return [f"{one} imports {other}" for one in graph for other in graph[one] if _floor(other) > _floor(one)]


def _floor(name: str) -> int:
    room = name.split(".")[1] if "." in name else ""
    return ROOMS.index("base" if room in BASE else room)


GRAPH = {name: imported(name) for name in FILES}


def test_no_file_needs_one_that_needs_it() -> None:
    assert not (found := circle(GRAPH)), " imports ".join(found)


def test_no_room_needs_one_above_it() -> None:
    assert arrows_up(GRAPH) == []


def test_imports_are_found_wherever_they_stand() -> None:
    assert {"modcheck.errors", "modcheck.loader", "modcheck.target"} <= GRAPH["modcheck"]  # for types alone
    assert "modcheck.target.ksymtab_flat" in GRAPH["modcheck.target.ksymtab"]  # in a function
    assert "modcheck.loader.stages.signature" in GRAPH["modcheck.loader.alone"]  # in a room within a room


def test_the_page_shows_these_rooms_and_imports() -> None:
    page = (PACKAGE.parent / "docs/house.md").read_text()
    assert "  <  ".join(("single files", *(room for room in ROOMS[1:-1] if room))) in page
    drawn = {_dotted(file): set(map(_dotted, found.split(", "))) - {""} for file, found in _ROW.findall(page)}
    assert drawn == {file: GRAPH[file] & drawn.keys() for file in drawn}


def _dotted(file: str) -> str:
    return file and "modcheck." + file.removesuffix(".py").removesuffix("/__init__").replace("/", ".")


def test_circles_and_arrows_up_are_found() -> None:
    way = circle({"a": {"b"}, "b": {"c"}, "c": {"a"}, "d": {"a"}})
    assert sorted(map("".join, pairwise(way))) == ["ab", "bc", "ca"]
    assert circle({"a": {"b", "c"}, "b": {"c"}}) == []
    up = {"modcheck.files": {"modcheck.target.tree", "modcheck.roots"}, "modcheck.cli": {"modcheck"}}
    assert arrows_up(up) == ["modcheck.files imports modcheck.target.tree"]
