"""Keeps what a kernel did as data that `make test` replays (tests/truth.py).

    python -m tests.oracle.record RESULTS.json HEADERS MODULES PACKAGE TRUTH_FILE [EVERY]

RESULTS.json is what `python -m tests.oracle.boot … --json` wrote; every EVERYth load is kept.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

from modcheck import predict, read_module, read_target
from modcheck.loader.once import already
from tests.truth import Seen, Truth, save


def record(results: Path, headers: str, modules: str, package: str, path: Path, every: int = 1) -> int:
    """Write the record and return how many loads it holds. Loads that crashed the machine are left out."""
    target = read_target(headers, modules_dir=modules)
    rows = [row for row in json.loads(results.read_text()) if not row["crashed"] and not row["loaded_before"]]
    loads = []
    for row in rows[::every]:
        module = read_module(row["path"])
        predict(module, target, loader="insmod", already=already(row["tainted_before"]))
        accepted = row["accepted"] or row["errno"] is None
        log = tuple(text for _, text in row["log"])
        loads.append(Seen(module, row["tainted_before"], accepted, None if accepted else row["errno"], log))
    save(path, Truth(package, target, tuple(loads)))
    return len(loads)


if __name__ == "__main__":
    count = record(Path(sys.argv[1]), *sys.argv[2:5], Path(sys.argv[5]), *map(int, sys.argv[6:]))
    print(f"{sys.argv[5]}: {count} loads")
