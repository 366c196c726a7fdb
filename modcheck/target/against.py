"""What modules are built against (trees, tables, profiles of trees), and the one target of that and of what runs.

The facts of the build that runs go first; those of the tree or table are added where it may be the same build, and left
out where the evidence says that it is another (builds.py).
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import TYPE_CHECKING

from ..errors import TargetError
from ..files import real_path
from .builds import Build, Standing, Survey, Tie, Witness, crcs_of, differing, tie, witness_of, witnesses_of
from .collect import Collector
from .facts import Symbols, Target
from .kinds import read_symvers
from .symvers import Symvers
from .tree import Tree, is_tree

if TYPE_CHECKING:
    from ..module import Module
    from .board import Board
    from .profile import Profile

_CUT = "no newline ends it, or its last row is short; a symbol that it does not have may be there"
#: so many modules of the board are read to see whether a table is of their build
_SAMPLE = 16


class Against:
    """The trees and tables given, as one build.

    :ivar facts: what they tell
    :ivar table: the kernel's table
    :ivar tables: that, and those of out-of-tree modules
    :ivar loose: whether the table lies in no tree: nothing tells what it is of
    :ivar own: whether it came with the board's modules
    """

    def __init__(
        self, given: Sequence[Symvers], trees: Sequence[Tree], profile: Profile | None, boards: str | None
    ) -> None:
        """:param boards: the path of a table in the board's own modules directory
        :raises TargetError: they are of two builds
        """
        kernels = [table for table in given if table.has_kernel]
        _one_table(kernels)
        around = [Tree(folder) for table in kernels if is_tree(folder := os.path.dirname(table.path) or ".")]
        self.loose = bool(kernels) and not around
        self.facts = Collector()
        self._dropped: Build | None = None
        self._builds: list[tuple[Build, Symvers | None]] = []
        self.trees = list({real_path(tree.path): tree for tree in (*trees, *around)}.values())
        for tree in self.trees:
            self._add(tree, None if self.loose else next(iter(kernels), None))
        own = next((path for tree in self.trees if (path := tree.symvers())), None)
        tables = [*given]
        if profile:
            if self.trees:
                raise TargetError(
                    profile.path, f"a profile of a tree beside {self.trees[0].path}: a target is one kernel"
                )
            self.facts.read_profile(profile)
            self.facts.use_saved_modules(profile)
        if kernels and own and self.loose:
            table = read_symvers(own)
            self.loose = table.text != kernels[0].text
            self._without_tree(kernels[0], table)
        elif own and not kernels:
            tables.insert(0, read_symvers(own))
        elif profile and not kernels:
            tables = [*profile.tables, *tables]
        self.own = bool(boards and not kernels and not own and not profile)
        if boards and self.own:
            tables.insert(0, read_symvers(boards))
        self.tables = tables
        self.table = next((table for table in tables if table.has_kernel), None)
        self.facts.version_of_release()

    @property
    def describes(self) -> bool:
        """Whether any of them tells of a kernel."""
        return bool(self.facts.sources) or self.table is not None

    @property
    def path(self) -> str:
        """How it is called."""
        return self.table.path if self.table else ", ".join(self.facts.sources)

    @property
    def build(self) -> Build:
        """What identifies the build that modules are made against."""
        if self._dropped:
            return self._dropped
        build = self.facts.build("assumed" if self.loose and not self.facts.sources else "built")
        build.module_layout = Symbols([self.table]).module_layout if self.table else None
        build.sources = build.sources or (self.path,)
        return build

    def _add(self, tree: Tree, table: Symvers | None) -> None:
        """One more tree.

        :raises TargetError: it is of another build than those before
        """
        facts = Collector()
        facts.read_tree(tree)
        build = facts.build("built")
        own = read_symvers(path) if len(self.trees) > 1 and (path := tree.symvers()) else table
        for other, others in self._builds:
            if why := differing(other, build, others, own):
                raise TargetError(tree.path, f"of another build than {', '.join(other.sources)}: {why}")
        self._builds.append((build, own))
        self.facts.sources.append(tree.path)
        self.facts.join(facts)

    def _without_tree(self, table: Symvers, other: Symvers) -> None:
        """Let go of the trees' facts, if their table is of another build than the loose one."""
        nothing = Build("built")
        if why := differing(nothing, nothing, table, other):
            paths = ", ".join(self.facts.sources)
            self._dropped = self.facts.build("built")
            self.facts = Collector()
            self.facts.notes.append(f"{paths} is of another build than {table.path}, and nothing of it is used: {why}")


def _one_table(tables: Sequence[Symvers]) -> None:
    """:raises TargetError: the kernel's tables are of two builds"""
    nothing = Build("built")
    for table in tables[1:]:
        if table.text != tables[0].text and (why := differing(nothing, nothing, table, tables[0])):
            raise TargetError(table.path, f"of another build than {tables[0].path}: {why}")


def one_target(
    runs: Collector, against: Against, *, stated: bool, saved: Profile | None, board: Board | None, described: bool
) -> Target:
    """The target of what runs and what was built against.

    :param stated: whether the user says that they are of one build
    :param saved: what describes the kernel that runs, where that is a profile
    :param described: whether anything of the kernel that runs is known
    :raises TargetError: it is said that they are one, and the files say that they are not
    """
    names = board.exports() if board else None
    witnesses = _witnesses(runs, saved, names) if against.describes or runs.board_modules else []
    _one_board(witnesses, runs.board_modules)
    if not against.describes:
        tables = list(saved.tables) if saved else runs.rebuilt_tables(names)
        if saved:
            tied = saved.tied
            if stated and tied and tied.state == "assumed":
                tied = tied._replace(state="tied", by=("stated", *tied.by), whole=True)
            return _finished(runs, against, tables, saved.standing, tied, saved.built_against)
        return _finished(runs, against, tables, "runs", None)
    other_arch = runs.arch.value and against.facts.arch.value and runs.arch.value[0] != against.facts.arch.value[0]
    if not (described or other_arch):
        tied = None
        standing: Standing = "built" if against.facts.sources else "assumed"
        if stated or against.loose:
            by = ("stated",) if stated else ()
            tied = Tie("tied" if stated else "assumed", against.path, by, stated, configured=False)
        runs.join(against.facts)
        return _finished(runs, against, [], standing, tied)
    tied = tie(
        runs.build("runs"),
        against.facts.build("built"),
        against.table,
        against.path,
        witnesses,
        stated=stated,
        own=against.own,
        more=Survey(runs.modules, against.table) if runs.modules and against.table else None,
    )
    if tied.state == "other":
        if stated:
            raise TargetError("--same-build", f"{against.path} is of another build: {tied.against[0]}")
        tables = list(saved.tables) if saved else runs.rebuilt_tables(names)
        if against.table and tied.names and not any(table.has_kernel for table in tables):
            tables.insert(0, against.table.only(tied.names))
        return _finished(runs, against, tables, "runs", tied)
    runs.join(against.facts, identity=False)
    tables = [] if against.table else list(saved.tables) if saved else runs.rebuilt_tables(names)
    return _finished(runs, against, tables, "runs", tied)


def _finished(
    runs: Collector,
    against: Against,
    tables: list[Symvers],
    standing: Standing,
    tied: Tie | None,
    built: Build | None = None,
) -> Target:
    """:param tables: the kernel's, where they are not what was built against"""
    if tied and tied.state == "other":
        tables += [table for table in against.tables if table is not against.table and not table.has_kernel]
    else:
        tables += against.tables
    runs.release_of_modules()
    runs.notes += [f"{table.path} is cut: {_CUT}" for table in against.tables if table.cut]
    if tables and not any(table.has_kernel or table.inferred for table in tables):
        runs.notes.append(f"{tables[0].path} has no symbols of vmlinux: it is a module's own table, and no kernel's")
    return runs.finish(tables, standing, against.build if against.describes else built, tied)


def _one_board(witnesses: Sequence[Witness], modules: Sequence[Module]) -> None:
    """:raises TargetError: a single module of the board is of another build than what else tells of it"""
    for module in modules:
        own = crcs_of(module)
        for witness in witnesses:
            names = (name for name, crc in own.items() if crc is not None and name in witness.crcs)
            for name in names:
                if (crc := witness.crcs[name]) not in (None, own[name]):
                    why = f"CRC of {name}: 0x{own[name]:08x}, and 0x{crc or 0:08x} in {witness.path}"
                    raise TargetError(module.path, f"{why}: a target is one kernel")


def _witnesses(runs: Collector, saved: Profile | None, names: Symvers | None) -> list[Witness]:
    """The files of the board that name symbols of its kernel."""
    tables = [table for table in saved.tables if table.has_kernel or table.inferred] if saved else []
    if saved and saved.tied and saved.tied.state == "assumed":  # the board proved no more than that
        tables = [table.only(saved.tied.names) for table in tables[:1]]
    if runs.image and (table := runs.image.symvers()):
        tables.append(table)
    tables += [names] if names and not tables else []
    like = runs.reference or runs.witness
    sampled = runs.modules.sample(_SAMPLE, like) if runs.modules and like else []
    return [*map(witness_of, tables), *witnesses_of([*runs.board_modules, *sampled])]
