"""The oracle: boots real kernels, hands them modules, and holds modcheck's predictions against what they did.

    python -m tests.oracle WORK_DIR [CASE...] [--limit N] [--again] [--list] [--needs]

Cases are described in cases.py. Prints a table, and writes what the kernel did to WORK_DIR/results/CASE.json and each
disagreement, side by side, to WORK_DIR/disagreements/CASE.txt. With `--again` the stored results are compared, and
nothing is booted. `--needs` prints the Debian packages of QEMU and compilers that the cases need.
"""

from __future__ import annotations

import argparse
import logging
import sys
from pathlib import Path

from tabulate import tabulate

from . import modprobe
from .boot import boot
from .cases import CASES, Cases
from .compare import Comparison, compare, counts
from .errors import OracleError
from .kernels import arch_of
from .loads import read_json, write_json
from .machines import MACHINES


def run(cases: Cases, name: str, again: bool) -> list[Comparison]:
    """Boot the case's kernel with its loads, or take what it did when it was booted last, and compare."""
    stored = cases.results(name)
    if again and not stored.exists():
        raise OracleError(f"{stored} is not there")
    case = cases.make(name, again)
    if not again:
        stored.parent.mkdir(exist_ok=True)
        answers = boot(case.kernel.image, case.kernel.arch, case.loads, cmdline=case.cmdline, files=case.files)
        write_json(stored, answers)
    return (modprobe.compare if name.startswith("modprobe:") else compare)(read_json(stored), case.target)


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(prog="python -m tests.oracle", description=__doc__.split("\n")[0])
    parser.add_argument("work", type=Path, help="folder for packages and kernels (20 GB for all cases)")
    parser.add_argument("cases", nargs="*", default=list(CASES), metavar="CASE")
    parser.add_argument("--limit", type=int, default=5000, help="most loads of a case")
    parser.add_argument("--again", action="store_true", help="compare what is stored, boot nothing")
    parser.add_argument("--list", action="store_true", help="name the cases and stop")
    parser.add_argument("--needs", action="store_true", help="name the packages that the cases need and stop")
    options = parser.parse_args()
    if options.list:
        print("\n".join(CASES))
        return
    if options.needs:
        machines = [MACHINES[arch_of(case.split(":")[1])] for case in options.cases]
        print(" ".join(sorted({package for machine in machines for package in machine.packages})))
        return
    logging.basicConfig(level=logging.WARNING)
    options.work.mkdir(parents=True, exist_ok=True)
    cases = Cases(options.work, options.limit)
    rows = []
    done = failed = 0
    reports = options.work / "disagreements"
    reports.mkdir(exist_ok=True)
    for case in options.cases:
        try:
            comparisons = run(cases, case, options.again)
        except (OracleError, OSError) as error:
            print(f"{case}: skipped: {error}", file=sys.stderr, flush=True)
            continue
        done += 1
        found = counts(comparisons)
        failed += found["disagree"]
        text = "\n".join(one.report() for one in comparisons if one.agrees is False)
        (reports / f"{case.replace(':', '_')}.txt").write_text(text)
        rows.append([case, *(found[name] for name in COLUMNS)])
        print(tabulate(rows, headers=("case", *COLUMNS)), flush=True)
    print(f"{done} of {len(options.cases)} cases")
    sys.exit(1 if failed else 0)


COLUMNS = ("modules", "agree", "disagree", "passed", "unknown", "crashes")


if __name__ == "__main__":
    main()
