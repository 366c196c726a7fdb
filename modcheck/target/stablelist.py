"""Lists of protected symbols (kABI): what a vendor promises not to change.

Forms: one symbol a line, with `[sections]` and indented or not (Red Hat's kabi_stablelist, Android's abi_symbol_list);
lines of a Module.symvers (Red Hat's Module.kabi, Debian's abi); a folder with a file for each symbol (Red Hat's
kabi-module); SUSE's kabi/severities, whose first pattern that fits says `PASS` (not protected) or `FAIL`.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import NamedTuple

from ..errors import TargetError
from ..files import is_folder, list_folder, read_plain
from ..module.facts import Export
from .symvers import KERNEL

_SEVERITY = re.compile(r"(?:(MODULE|NAMESPACE|SYMBOL)\s+)?(\S+)\s+(PASS|FAIL)$")
_ROW = re.compile(r"0x[0-9a-fA-F]{8}\s+(\S+)\s")
_SYMBOL = re.compile(r"[A-Za-z_.$][\w.$]*$")


class Rule(NamedTuple):
    """One line of SUSE's severities."""

    kind: str
    pattern: re.Pattern[str]
    protects: bool


class Stablelist:
    """The symbols that are protected: those named, or by rules.

    :ivar path: where the list was read from
    """

    def __init__(self, path: str, names: frozenset[str], rules: tuple[Rule, ...]) -> None:
        self.path, self.names, self.rules = path, names, rules

    def covers(self, row: Export, owner_path: str) -> bool:
        """Whether an export is protected.

        :param owner_path: its module's path in the source tree, without `.ko`
        """
        if not self.rules:
            return row.name in self.names
        values = {"MODULE": owner_path, "NAMESPACE": row.namespace, "SYMBOL": row.name}
        return next((rule.protects for rule in self.rules if rule.pattern.fullmatch(values[rule.kind])), True)


def read_stablelist(path: str) -> Stablelist:
    """Read a list of protected symbols in any of its forms.

    :raises UnreadableError: it cannot be read
    :raises TargetError: a line is in none of the forms, or there is no symbol in it
    """
    if is_folder(path):
        return Stablelist(path, frozenset(name for name in list_folder(path) if _SYMBOL.match(name)), ())
    data = read_plain(path)
    if b"\0" in data:
        raise TargetError(path, "a binary file, no list of symbols")
    lines = list(_lines(data.decode("utf-8-sig", "replace")))
    severities = [_SEVERITY.fullmatch(line) for _, line in lines]
    if lines and all(severities):
        return Stablelist(path, frozenset(), tuple(_rule(*found.groups("")) for found in severities if found))
    names: set[str] = set()
    for number, line in lines:
        found = _ROW.match(line)
        if not found and not _SYMBOL.match(line):
            raise TargetError(f"{path}:{number}", f"neither a symbol nor a row of a list of symbols: {line[:60]!r}")
        names.add(found[1] if found else line)
    if not names:
        raise TargetError(path, "no symbol in it")
    return Stablelist(path, frozenset(names), ())


def _lines(text: str) -> Iterator[tuple[int, str]]:
    """The lines that say something: no comments, no heads of sections."""
    for number, line in enumerate(text.splitlines(), 1):
        line = line.partition("#")[0].strip()
        if line and not line.startswith("["):
            yield number, line


def _rule(kind: str, pattern: str, verdict: str) -> Rule:
    """A line of severities: of what kind a pattern is shows in it, where no word says so."""
    if not kind:
        module = "/" in pattern or pattern == KERNEL
        kind = "MODULE" if module else "NAMESPACE" if pattern == pattern.upper() else "SYMBOL"
    glob = "".join({"*": ".*", "?": "."}.get(letter, re.escape(letter)) for letter in pattern)
    return Rule(kind, re.compile(glob), verdict == "FAIL")
