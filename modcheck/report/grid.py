"""What `matrix` found: every module against every target, as plain values that each of its formats is made from."""

from __future__ import annotations

from collections import Counter
from typing import Any, NamedTuple, get_args

from ..loader.facts import Verdict


class Cell(NamedTuple):
    """One module on one target: the prediction, less what comes behind the stage that refuses."""

    verdict: Verdict
    errno: str | None = None
    """the kernel's, by name"""
    message: str | None = None
    """how the chosen loader words it"""
    insmod_message: str | None = None
    rule: str | None = None
    """the rule that refuses"""
    summary: str = ""
    """what that rule found, in a sentence"""
    log: tuple[str, ...] = ()
    """the lines that the kernel writes for this load"""
    first: bool = True
    """False where the kernel might stop at an earlier check that could not be decided"""
    earlier_unknown: tuple[str, ...] = ()
    failed_in: str | None = None
    """the dependency that is refused"""
    unchecked: tuple[tuple[str, str], ...] = ()
    """checks that lack a fact, up to the refusal: rule, and what would supply it"""


class Row(NamedTuple):
    """One module on all targets."""

    path: str
    """as `check` names it"""
    name: str = ""
    """the module's name; empty where the file could not be read"""
    error: str | None = None
    """why the file cannot be read, or is no kernel module"""
    cells: tuple[Cell | None, ...] = ()
    """one a target, in their order; None for a target that could not be read; empty for a file that could not"""


class Column(NamedTuple):
    """One target."""

    target: str
    """as it was given: what `--target` takes to judge on it again; no two columns have the same"""
    label: str
    """its release where no other column has the same one, else as it was given"""
    facts: dict[str, Any]
    """what `modcheck target --format json` shows of it; empty where it could not be read"""
    error: str | None = None
    """why it could not be read"""


class Grid(NamedTuple):
    """All of it. No two rows are of one file."""

    loader: str
    columns: tuple[Column, ...]
    rows: tuple[Row, ...]
    options: tuple[str, ...] = ()
    """the loader and boot options that all of it was judged with, as words of a command line"""
    assumed: tuple[str, ...] = ()
    """what any of the predictions assumes"""

    def verdicts(self) -> dict[str, int]:
        """How many pairs have which verdict."""
        found = Counter(cell.verdict for row in self.rows for cell in row.cells if cell)
        return {verdict: found[verdict] for verdict in get_args(Verdict)}

    def ties(self) -> list[str]:
        """Of each target whose table is not tied to the kernel that runs, how it counts."""
        words = {
            "assumed": "is taken to be of the kernel that runs",
            "other": "is of another build, and decides nothing",
        }
        found = [(column.label, column.facts.get("tied") or {"state": ""}) for column in self.columns]
        return [f"{label}: {tied['table']} {words[tied['state']]}" for label, tied in found if tied["state"] in words]

    def errors(self) -> list[tuple[str, str]]:
        """Path and reason of the modules and targets that cannot be read, or are none."""
        rows, columns = [(one.path, one.error) for one in self.rows], [(one.target, one.error) for one in self.columns]
        return [(subject, error) for subject, error in (*rows, *columns) if error]
