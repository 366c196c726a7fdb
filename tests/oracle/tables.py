"""Rebuilt tables of real kernels held against their Module.symvers, and predictions made with either.

    python -m tests.oracle.tables WORK [ROLE...] [--every N] [--table-only]

ROLE as in tests/oracle/kernels.py, all without one. Prints a row for docs/targets.md: rows of the kernel's own that are
rebuilt from its image, then all rows from image and modules, then how many modules have the same prediction (verdict,
errno, log; under insmod and modprobe) with image, modules and `.config` as with Module.symvers. Every N-th module is
predicted. Exits with 1 where anything differs.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Iterable
from pathlib import Path

from tabulate import tabulate

from modcheck import Prediction, predict_all, read_module, read_target
from modcheck.files import find_modules
from modcheck.module import Export
from modcheck.target import read_symvers
from modcheck.target.image import Image
from modcheck.target.symvers import KERNEL, Symvers

from .errors import OracleError
from .kernels import ROLES, Kernel, fetch


def _rows(tables: Iterable[Symvers], crcs: bool) -> set[Export]:
    """All rows; a kernel without CONFIG_MODVERSIONS has zeros for CRCs in Module.symvers alone."""
    return {row if crcs else row._replace(crc=0) for table in tables for row in table}


def _agree(found: set[Export], truth: set[Export]) -> str:
    """`N of N`, or what differs."""
    wrong, missing = len(found - truth), len(truth - found)
    same = f"{len(found & truth):,} of {len(truth):,}"
    return f"{same}, {wrong} wrong or more, {missing} missing" if wrong or missing else same


def _said(prediction: Prediction) -> tuple[object, ...]:
    return prediction.verdict, prediction.errno, prediction.log


def _row(kernel: Kernel, every: int, table_only: bool) -> list[str]:
    start = time.perf_counter()
    image = Image(str(kernel.image))
    unpacked = time.perf_counter()
    own = image.symvers()
    done = time.perf_counter()
    truth = read_symvers(next(path for path in sorted(kernel.headers.glob("Module.symvers*")) if path.exists()))
    rows = _rows([truth], truth.has_crcs)
    kernels = {row for row in rows if row.owner == KERNEL}
    found = _agree(_rows([own], truth.has_crcs) if own else set(), kernels)
    layers = ", ".join(image.layers) or ("ELF" if image.data[:4] == b"\x7fELF" else "plain")
    shown = [kernel.release, kernel.arch, layers, found]
    times = [f"{unpacked - start:.1f}", f"{done - unpacked:.2f}"]
    if table_only:
        return [*shown, "", "", *times]
    config = kernel.headers / ".config"
    with_table = read_target(kernel.headers, kernel=kernel.image, modules_dir=kernel.modules)
    rebuilt = read_target(kernel=kernel.image, modules_dir=kernel.modules, config=config)
    tables = rebuilt.symbols.tables if rebuilt.symbols else ()
    modules = [read_module(path) for path in find_modules(kernel.modules)[::every]]
    same = 0
    for loader in ("insmod", "modprobe"):
        pairs = zip(predict_all(modules, with_table, loader=loader), predict_all(modules, rebuilt, loader=loader))
        same += sum(_said(one) == _said(other) for one, other in pairs)
    return [*shown, _agree(_rows(tables, truth.has_crcs), rows), f"{same:,} of {2 * len(modules):,}", *times]


def main() -> int:
    """Print the table; 1 where anything is not as it must be."""
    parser = argparse.ArgumentParser()
    parser.add_argument("work", type=Path)
    parser.add_argument("roles", nargs="*", metavar="ROLE")
    parser.add_argument("--every", type=int, default=1)
    parser.add_argument("--table-only", action="store_true")
    arguments = parser.parse_args()
    table = []
    for role in arguments.roles or ROLES:
        try:
            table.append(_row(fetch(arguments.work, role), arguments.every, arguments.table_only))
            print(" | ".join(table[-1]), file=sys.stderr, flush=True)
        except OracleError as error:
            print(error, file=sys.stderr)
    headers = ("kernel", "for", "image", "of the kernel", "with modules", "predictions", "unpacking, s", "table, s")
    print(tabulate(table, headers=headers, tablefmt="pipe", disable_numparse=True))
    counts = [cell.replace(",", "").split(" of ") for row in table for cell in row[3:6] if cell]
    return int(any(one != of for one, of in counts))


if __name__ == "__main__":
    sys.exit(main())
