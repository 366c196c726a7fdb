"""Module.symvers: the symbols that a kernel build exports, one per line (`scripts/mod/modpost.c`, 2.6.0 to 7.3).

2.6.0 - 2.6.15   crc, symbol, module
2.6.16 - 5.3     crc, symbol, module, export
5.4, 5.5         crc, symbol, namespace, module, export
since 5.6        crc, symbol, module, export, namespace
"""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Collection, Iterable, Iterator
from functools import cached_property

from ..errors import TargetError
from ..files import beginning
from ..module.facts import Export

KERNEL = "vmlinux"

_LINE = rb"0x[0-9a-fA-F]{8}\t[^\t]+(?:\t[^\t]*){1,3}"
_KERNEL_ROW = rb"(?m)^0x[0-9a-fA-F]{8}\t[^\t\n]+\t(?:[^\t\n]*\t)?vmlinux[\t\r\n]"
#: what a row may be whose end is missing
_BEGINNING = re.compile(rb"0(?:x(?:[0-9a-fA-F]{0,8}|[0-9a-fA-F]{8}\t.*))?")
_NO_CRC = b"0x00000000\t"
#: in tables of modcheck's own, where it is not known who may use a symbol
_UNKNOWN_KIND = "(unknown)"
_KINDS = {False: "EXPORT_SYMBOL", True: "EXPORT_SYMBOL_GPL", None: _UNKNOWN_KIND}
_NOT_TAB_OR_NEWLINE = bytes(set(range(256)) - {9, 10})
_CRCS = re.compile("(?:0x[0-9a-fA-F]{8})*")
_MODERN_KINDS = frozenset(("EXPORT_SYMBOL", "EXPORT_SYMBOL_GPL"))
#: so many symbols are searched for in the text before an index of all is worth its cost
_SEARCHES = 100


class Columns:
    """A table by columns.

    :ivar owners: whose the symbols are
    :ivar are_names_apart: whether each is there once
    """

    def __init__(
        self, crcs: list[str], names: list[str], paths: list[str], kinds: list[str], namespaces: list[str]
    ) -> None:
        owners = {path: owner_name(path) for path in set(paths)}
        self._crcs, self._names, self._namespaces = crcs, names, namespaces
        self._owners, self._gpl = [owners[path] for path in paths], bytes([kind == _KINDS[True] for kind in kinds])
        self._places = dict(zip(names, range(len(names))))
        self.owners = frozenset(owners.values())
        self.are_names_apart = len(self._places) == len(names)

    def get(self, name: str) -> Export | None:
        """The row of a symbol."""
        at = self._places.get(name)
        if at is None:
            return None
        return Export(name, int(self._crcs[at], 16), bool(self._gpl[at]), self._namespaces[at], self._owners[at])

    @property
    def kernel_crcs(self) -> dict[str, int | None]:
        """`Symvers.kernel_crcs`."""
        rows = zip(self._names, self._crcs, self._owners)
        return {sys.intern(name): int(crc, 16) for name, crc, owner in rows if owner == KERNEL}

    @property
    def kernel_kinds(self) -> dict[str, tuple[bool | None, str]]:
        """`Symvers.kernel_kinds`."""
        rows = zip(self._names, self._owners, self._gpl, self._namespaces)
        return {sys.intern(name): (bool(gpl), namespace) for name, owner, gpl, namespace in rows if owner == KERNEL}


class Symvers:
    """One Module.symvers. Rows are found in the text: a check needs a few dozen of some 25,000.

    :ivar path: the file it was read from
    :ivar rows: how many symbols it has
    :ivar whole: whether it has the symbols of modules as well: a kernel's image knows but its own
    :ivar inferred: whether it is put together from what names symbols, and knows of some but the name
    :ivar cut: whether its end is missing: kbuild ends each row with a newline, and gives all as many columns
    """

    def __init__(
        self,
        data: bytes,
        path: str,
        *,
        whole: bool = True,
        inferred: bool = False,
        names_all: bool = False,
        cut: bool = False,
    ) -> None:
        """:param names_all: of an inferred one, whether it names all that the kernel exports"""
        self.path, self.whole, self.inferred, self._names_all = path, whole, inferred, names_all
        data, ends_early = _without_cut_row(data)
        self.cut = cut or ends_early
        rows = _regular_rows(data)
        self._data = data if rows is not None else b"".join(line + b"\n" for line in _checked(data, path))
        self.rows = self._data.count(b"\n") if rows is None else rows
        self._searches = 0

    @cached_property
    def _index(self) -> dict[bytes, bytes]:
        return {line.split(b"\t", 2)[1]: line for line in reversed(self._data.splitlines())}

    @cached_property
    def has_kernel(self) -> bool:
        """Whether it is a kernel's table, and not only some module's, or of some of its symbols."""
        if self.inferred:
            return self._names_all
        return re.search(_KERNEL_ROW, self._data) is not None

    @cached_property
    def has_crcs(self) -> bool:
        """Whether any CRC differs from zero; a kernel without CONFIG_MODVERSIONS has none."""
        if not self._data.startswith(_NO_CRC):
            return self.rows > 0
        return self._data.count(b"\n" + _NO_CRC) + 1 != self.rows

    @cached_property
    def owners(self) -> frozenset[str]:
        """The names of all modules that export something, `vmlinux` among them."""
        if columns := self._taken_apart:
            return columns.owners
        rows = (line.split(b"\t") for line in self._data.splitlines())
        paths = {row[_owner_column(row)] for row in rows}
        return frozenset(owner_name(path.decode("utf-8", "replace")) for path in paths)

    @cached_property
    def columns(self) -> Columns | None:
        """All rows at once, the first of each name; None where lines are not all of the form that kbuild writes now, or
        say more than they mean."""
        cells = self._data.decode("utf-8", "replace").replace("\n", "\t").split("\t")
        width = (len(cells) - 1) // (self.rows or 1)
        if self.inferred or width < 4 or len(cells) != width * self.rows + 1 or b"\r" in self._data:
            return None
        crcs, names, paths, kinds = (cells[place : len(cells) - 1 : width] for place in range(4))
        # what is no CRC is told with its line, when its symbol is looked up
        if not _MODERN_KINDS.issuperset(kinds) or not _CRCS.fullmatch("".join(crcs)) or {*map(len, crcs)} != {10}:
            return None
        found = Columns(crcs, names, paths, kinds, cells[4::width] if width == 5 else [""] * self.rows)
        return found if found.are_names_apart else None

    @property
    def _taken_apart(self) -> Columns | None:
        """`columns`, if they were asked for: of a few symbols it is quicker to search the text."""
        return self.__dict__.get("columns")

    @cached_property
    def kernel_crcs(self) -> dict[str, int | None]:
        """The kernel's own symbols with their CRCs."""
        columns = self.columns
        if columns is None:
            return {row.name: row.crc for row in self if row.owner == KERNEL}
        return columns.kernel_crcs

    @cached_property
    def kernel_kinds(self) -> dict[str, tuple[bool | None, str]]:
        """The kernel's own symbols: whether they are for GPL-compatible modules alone, and their namespaces."""
        columns = self.columns
        if columns is None:
            return {row.name: (row.gpl, row.namespace) for row in self if row.owner == KERNEL}
        return columns.kernel_kinds

    def only(self, names: Collection[str]) -> Symvers:
        """Those of its rows, by what a CRC proves: nothing of the licence, and nothing of other symbols."""
        rows = (row._replace(gpl=None) for name in sorted(names) if (row := self.get(name)))
        return Symvers(render(rows), self.path, whole=False, inferred=True)

    def owner_path(self, name: str) -> str:
        """The path of the module that exports a symbol, as the table has it; empty where it has none."""
        line = self._line(name.encode("utf-8", "surrogateescape"))
        columns = line.split(b"\t") if line else []
        return columns[_owner_column(columns)].decode("utf-8", "replace").removesuffix(".ko") if columns else ""

    @property
    def names(self) -> list[str]:
        """The names of all its symbols, in its order."""
        return [line.split(b"\t", 2)[1].decode("utf-8", "replace") for line in self._data.splitlines()]

    def _line(self, name: bytes) -> bytes | None:
        self._searches += 1
        if self._searches > _SEARCHES:
            return self._index.get(name)
        needle = b"\t" + name + b"\t"
        at = self._data.find(needle)
        while at >= 0:
            start = self._data.rfind(b"\n", 0, at) + 1
            if self._data.find(b"\t", start) == at:  # the symbol's column
                return self._data[start : self._data.index(b"\n", at)].rstrip(b"\r")
            at = self._data.find(needle, at + 1)
        return None

    def get(self, name: str) -> Export | None:
        """The row of the symbol `name`.

        :raises TargetError: its CRC is none
        """
        if columns := self._taken_apart:
            return columns.get(name)
        line = self._line(name.encode("utf-8", "surrogateescape"))
        return None if line is None else self._row(line)

    @property
    def text(self) -> bytes:
        """The table as it was read, or made."""
        return self._data

    def __iter__(self) -> Iterator[Export]:
        return map(self._row, self._data.splitlines())

    def _row(self, line: bytes) -> Export:
        if not re.fullmatch(_LINE, line):
            _checked(self._data, self.path)
        columns = line.split(b"\t")
        owner = _owner_column(columns)
        kind, namespace = b"", b""
        if len(columns) == 5:
            kind, namespace = (columns[3], columns[4]) if owner == 2 else (columns[4], columns[2])
        elif len(columns) == 4:
            kind = columns[3]
        crc, inferred = int(columns[0], 16), self.inferred
        return Export(
            name=columns[1].decode("utf-8", "replace"),
            crc=None if inferred and not crc else crc,
            gpl=None
            if inferred and kind == _UNKNOWN_KIND.encode()
            else kind in (b"EXPORT_SYMBOL_GPL", b"EXPORT_UNUSED_SYMBOL_GPL"),
            namespace=namespace.decode("utf-8", "replace"),
            owner=owner_name(columns[owner].decode("utf-8", "replace")),
            inferred=inferred,
        )


def render(exports: Iterable[Export]) -> bytes:
    """A Module.symvers with these rows, as kbuild has written it since 5.6; an owner is the path of its module."""
    return render_rows((row.crc or 0, row.name, row.owner, _KINDS[row.gpl], row.namespace) for row in exports)


def render_rows(rows: Iterable[tuple[int, str, str, str, str]]) -> bytes:
    """The same of rows with CRC, name, owner, one of `EXPORT_SYMBOL…`, namespace: faster where there are no Exports."""
    return "".join(map("0x%08x\t%s\t%s\t%s\t%s\n".__mod__, rows)).encode("utf-8", "surrogateescape")


def _without_cut_row(data: bytes) -> tuple[bytes, bool]:
    """The table with a newline at its end, less a last row that is short, and whether its end is missing."""
    if not data.strip():
        return data, False
    start = data.rstrip().rfind(b"\n") + 1
    columns, before = (line.count(b"\t") for line in (data[start:], data[data.rfind(b"\n", 0, start - 1) + 1 : start]))
    if start and columns < before and _BEGINNING.fullmatch(data[start:].rstrip(b"\r\n")):
        return data[:start], True
    return (data, False) if data.endswith(b"\n") else (data + b"\n", True)


def _regular_rows(data: bytes) -> int | None:
    """How many lines there are, if each begins like a CRC and has as many columns as the others; the digits are read
    with the row."""
    shape = data.translate(None, _NOT_TAB_OR_NEWLINE)
    tabs = shape.count(b"\t")
    rows = len(shape) - tabs
    columns = tabs // (rows or 1)
    if columns not in (2, 3, 4) or shape != (b"\t" * columns + b"\n") * rows:
        return None
    return rows if data.startswith(b"0x") and data.count(b"\n0x") == rows - 1 else None


def _checked(data: bytes, path: str) -> list[bytes]:
    """The lines that are not blank.

    :raises TargetError: one is broken; it is named with its number
    """
    lines = data.splitlines()
    for number, line in enumerate(lines, 1):
        if line.strip() and not re.fullmatch(_LINE, line):
            if line.startswith((b"#", b"CONFIG_")):
                raise TargetError(path, "not a Module.symvers, but a .config (--config)")
            shown = line[:60].decode("utf-8", "replace").strip()
            raise TargetError(f"{path}:{number}", f"not a line of a Module.symvers: {shown!r}")
    return [line for line in lines if line.strip()]


def _owner_column(columns: list[bytes]) -> int:
    """Which column of a row is its module: the third, in 5.4 and 5.5, with the namespace before it, the fourth."""
    return 3 if len(columns) == 5 and not columns[3].startswith((b"EXPORT_", b"(unknown)")) else 2


def owner_name(path: str) -> str:
    """The name under which the exporter at `path` is loaded: `drivers/net/usb-net` is usb_net; vmlinux stays."""
    name = os.path.basename(path)
    return name if name == KERNEL else name.removesuffix(".ko").removesuffix(".o").replace("-", "_")


def is_symvers(path: str) -> bool:
    """Whether the file `path` begins like a Module.symvers, compressed or not."""
    return re.match(rb"0x[0-9a-fA-F]{8}\t", beginning(path, 64, "symvers")) is not None
