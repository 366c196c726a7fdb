"""`modcheck diff` of two neighbouring kernels held against their Module.symvers, and against both kernels, booted.

    python -m tests.oracle.update WORK ROLE [--again]

OLD is the ABI before ROLE's newest (`ROLE~1`). What diff finds of symbols must be what a set comparison of the two
files finds; the modules of OLD that it names must be those that NEW refuses, and those that it says break must be those
that OLD takes as well. Exits with 1 where anything differs.
"""

from __future__ import annotations

import argparse
import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

from .__main__ import run
from .cases import Cases
from .kernels import Kernel
from .loads import Result, read_json

Row = tuple[str, str, str, str, str]


def rows(kernel: Kernel) -> dict[str, Row]:
    """Module.symvers read by nothing of modcheck's: by symbol its CRC, name, module, kind and namespace."""
    path = next(path for path in sorted(kernel.headers.glob("Module.symvers*")) if path.suffix != ".xz")
    found = {}
    for line in path.read_text().splitlines():
        crc, name, module, kind, namespace = line.split("\t")
        module = module.rpartition("/")[2].replace("-", "_")
        found[name] = (crc, name, module, kind, namespace)
    return found


def said(symbols: Any) -> tuple[set[str], set[str], set[tuple[str, str, str]]]:
    """What diff says: names removed, names added, names changed with both CRCs."""
    changed = {(one["name"], one["old"]["crc"], one["new"]["crc"]) for one in symbols["changed"]}
    return {one["name"] for one in symbols["removed"]}, {one["name"] for one in symbols["added"]}, changed


def answers(cases: Cases, name: str, again: bool) -> dict[str, Result]:
    """By the module's file: what the kernel did with it."""
    if not again:
        run(cases, name, again)
    return {str(one.load.path): one for one in read_json(cases.results(name)) if not one.crashed}


def named(result: Result) -> set[str]:
    """The symbols that the kernel's lines are about."""
    form = r"(?:Unknown symbol|version of symbol|symbol version for) (\S+)"
    found = (re.search(form, line.text) for line in result.log)
    return {match[1] for match in found if match}


def main() -> int:
    """Print what was compared; 1 where anything is not as it must be."""
    parser = argparse.ArgumentParser()
    parser.add_argument("work", type=Path)
    parser.add_argument("role")
    parser.add_argument("--limit", type=int, default=5000)
    parser.add_argument("--again", action="store_true", help="compare what is stored, boot nothing")
    options = parser.parse_args()
    cases = Cases(options.work, options.limit)
    old, new = cases.kernel(f"{options.role}~1"), cases.kernel(options.role)
    before = answers(cases, f"own:{options.role}~1", options.again)
    after = answers(cases, f"foreign:{options.role}:{options.role}~1", options.again)
    paths = sorted(before.keys() & after.keys())
    words = [sys.executable, "-m", "modcheck", "diff", str(old.headers), str(new.headers), *paths]
    words += ["--loader", "insmod", "--format", "json"]
    document = json.loads(subprocess.run(words, capture_output=True, check=False).stdout)
    ours, theirs = rows(old), rows(new)
    both = ours.keys() & theirs.keys()
    expected = (
        ours.keys() - theirs.keys(),
        theirs.keys() - ours.keys(),
        {(name, ours[name][0], theirs[name][0]) for name in both if ours[name] != theirs[name]},
    )
    found = said(document["symbols"])
    print(f"{old.release} -> {new.release}")
    wrong = 0
    for what, one, other in zip(("removed", "added", "changed"), found, expected):
        wrong += len(one ^ other)
        print(f"symbols {what}: {len(one):,}; by set comparison {len(other):,}; {len(one ^ other)} differ")
    refused = {one["path"] for one in document["modules"] if one["new"] == "refused"}
    breaking = {one["path"] for one in document["modules"] if one["breaks"]}
    by_new = {path for path in paths if not after[path].accepted}
    by_new_alone = {path for path in by_new if before[path].accepted}
    for what, one, other in (("refused", refused, by_new), ("breaking", breaking, by_new_alone)):
        wrong += len(one ^ other)
        print(f"modules {what}: {len(one):,} of {len(paths):,}; booted {len(other):,}; {len(one ^ other)} differ")
    modules = {one["path"]: one for one in document["modules"]}
    kinds = {path: set(modules[path]["symbols"]) == named(after[path]) for path in sorted(by_new)}
    wrong += sum(not same for same in kinds.values())
    print(
        f"symbols that a module is refused for: the same as in the kernel's lines for {sum(kinds.values()):,} modules"
    )
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
