"""How much of a target's description decides how much: the share of `unknown`, and what is wrong, for each kind.

    python -m tests.oracle.shares WORK_DIR CASE...

Every twentieth load of cases that have been run (see `python -m tests.oracle`) is predicted again with less known.
"""

from __future__ import annotations

import shutil
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

from tabulate import tabulate

from modcheck import Target, read_target

from .cases import Cases
from .compare import Comparison, compare
from .kernels import Kernel
from .loads import read_json

EVERY = 20


def descriptions(kernel: Kernel) -> Iterator[tuple[str, Target]]:
    """Kinds of description by what a user has."""
    yield "headers and modules", read_target(kernel.headers, modules_dir=kernel.modules)
    yield "headers", read_target(kernel.headers)
    with tempfile.TemporaryDirectory(prefix="oracle-") as folder:
        table = Path(folder, "Module.symvers")
        shutil.copy(kernel.headers / "Module.symvers", table)
        config = kernel.headers / ".config"
        yield "table, release and .config", read_target(symvers=[table], release=kernel.release, config=config)
        yield "table", read_target(symvers=[table])
        yield "release and .config", read_target(release=kernel.release, config=config)
        yield "release", read_target(release=kernel.release)


def share(comparisons: list[Comparison]) -> str:
    """`unknown %`, and how many verdicts are wrong."""
    answered = [one for one in comparisons if one.result.accepted or not one.result.crashed]
    unknown = sum(one.prediction.verdict == "unknown" for one in answered)
    wrong = sum(one.prediction.verdict == ("refused" if one.result.accepted else "loads") for one in answered)
    return f"{100 * unknown / len(answered):.0f} % ({wrong} wrong)"


if __name__ == "__main__":
    cases = Cases(Path(sys.argv[1]), 0)
    columns: dict[str, list[str]] = {}
    for name in sys.argv[2:]:
        results = read_json(cases.results(name))[::EVERY]
        for kind, target in descriptions(cases.make(name, again=True).kernel):
            columns.setdefault(kind, []).append(share(list(compare(results, target))))
    print(tabulate([[kind, *row] for kind, row in columns.items()], headers=("told", *sys.argv[2:])))
