"""What people use today says of the same loads: a table beside modcheck's.

    python -m tests.oracle.others WORK_DIR CASE...

Three habits, by the programs that they take: `vermagic` compares the release in a module's vermagic with `uname -r`;
`depmod` runs `depmod -e -E Module.symvers` over the modules, and takes every complaint for a refusal; `modversions`
compares what `modprobe --dump-modversions` prints with Module.symvers. Of each case that has been run (see
`python -m tests.oracle`) only modules are taken that need no others: these programs look at modules in their set, the
oracle at each alone. Counted is the verdict alone: loads passed that the kernel refused, and refused that it took.
"""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from tabulate import tabulate

from modcheck import Module

from .cases import Case, Cases
from .compare import Comparison, compare
from .loads import read_json

#: module's path: whether the habit would let it pass
Verdicts = Mapping[Path, bool]


def by_vermagic(case: Case, modules: Mapping[Path, Module]) -> Verdicts:
    """The first word of vermagic is the kernel's release."""
    return {path: (module.vermagic or "").split(" ")[0] == case.kernel.release for path, module in modules.items()}


def by_depmod(case: Case, modules: Mapping[Path, Module]) -> Verdicts:
    """`depmod -e -E` has nothing to say of the module."""
    with tempfile.TemporaryDirectory(prefix="oracle-") as folder:
        below = Path(folder, "lib/modules", case.kernel.release)
        below.mkdir(parents=True)
        places = {}
        for number, path in enumerate(modules):
            # a folder each: several modules of one name are no matter of theirs
            places[str(number)] = path
            (below / str(number)).mkdir()
            shutil.copy(path, below / str(number) / path.name)
        words = ["/sbin/depmod", "-n", "-b", folder, "-e", "-E", case.kernel.headers / "Module.symvers"]
        done = subprocess.run([*words, case.kernel.release], capture_output=True, text=True, check=False)
    marked = {places[found] for found in re.findall(rf"{re.escape(str(below))}/(\d+)/", done.stderr)}
    return {path: path not in marked for path in modules}


def by_modversions(case: Case, modules: Mapping[Path, Module]) -> Verdicts:
    """Every CRC that the module records is that of Module.symvers."""
    rows = (line.split("\t") for line in (case.kernel.headers / "Module.symvers").read_text().splitlines())
    table = {row[1]: int(row[0], 16) for row in rows}

    def fits(path: Path) -> bool:
        words = ["/sbin/modprobe", "--dump-modversions", path]
        printed = subprocess.run(words, capture_output=True, text=True, check=False).stdout
        return all(
            table.get(name) == int(crc, 16) for crc, _, name in (line.partition("\t") for line in printed.splitlines())
        )

    return {path: fits(path) for path in modules}


HABITS: dict[str, Callable[[Case, Mapping[Path, Module]], Verdicts]] = {
    "vermagic": by_vermagic,
    "depmod": by_depmod,
    "modversions": by_modversions,
}


def wrong(passes: Sequence[bool], accepted: Sequence[bool]) -> str:
    """`passed / refused`: how many were passed wrongly, and refused wrongly."""
    passed = sum(one and not other for one, other in zip(passes, accepted))
    refused = sum(other and not one for one, other in zip(passes, accepted))
    return f"{passed} / {refused}"


def row(cases: Cases, name: str) -> list[object]:
    """One line of the table."""
    case = cases.make(name, again=True)
    comparisons = [one for one in compare(read_json(cases.results(name)), case.target) if _counts(one)]
    modules = {one.result.load.path: one.module for one in comparisons}
    accepted = [bool(one.result.accepted) for one in comparisons]
    columns = [
        wrong([verdicts[one.result.load.path] for one in comparisons], accepted)
        for verdicts in (habit(case, modules) for habit in HABITS.values())
    ]
    ours = wrong([one.prediction.verdict != "refused" for one in comparisons], accepted)
    return [name, len(comparisons), sum(accepted), *columns, ours]


def _counts(one: Comparison) -> bool:
    answered = one.result.accepted or not one.result.crashed
    return answered and one.agrees is not None and not (one.module.info("depends") or "")


if __name__ == "__main__":
    cases = Cases(Path(sys.argv[1]), 0)
    headers = ("case", "loads", "accepted", *HABITS, "modcheck")
    print(tabulate([row(cases, name) for name in sys.argv[2:]], headers=headers))
