"""The oracle: boots real kernels, hands them modules, and holds modcheck's predictions against what they did.

    python -m tests.oracle WORK_DIR [CASE...] [--limit N] [--seed N] [--list]

A case is named `own:6.1` (the own modules of a kernel, each alone), `foreign:6.1:6.1-cloud` (those of another on it),
`samples:6.1`, `dependencies:6.1` (modules loaded and kept in the order in which they need each other) or `mutants:6.1`.
Prints a table, and writes each disagreement, side by side, to WORK_DIR/disagreements.txt.
"""

from __future__ import annotations

import argparse
import logging
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

from tabulate import tabulate

from modcheck import Target, predict, read_module, read_target

from .boot import boot, modules_below
from .compare import Comparison, compare, counts
from .errors import OracleError
from .initramfs import uncompressed
from .kernels import Kernel, fetch
from .loads import Load
from .mutants import mutants

SAMPLES = Path(__file__).parent.parent.parent / "sample_modules"

#: what `make oracle` runs
CASES = (
    "own:5.10", "own:6.1", "own:6.12", "own:newest", "own:arm64-6.1", "own:arm64-newest",
    "foreign:6.1:6.1~1", "foreign:6.1:6.1-cloud", "foreign:6.1:6.1-rt", "foreign:6.1:5.10", "foreign:6.1:6.12",
    "foreign:6.12:6.1", "foreign:newest:6.12", "foreign:5.10:6.1",
    "samples:5.10", "samples:6.1", "samples:6.12", "samples:newest", "samples:arm64-6.1",
    "dependencies:6.1", "dependencies:newest",
    "mutants:6.1", "mutants:newest",
)  # fmt: skip


class Oracle:
    """The kernels at hand, and how cases become loads."""

    def __init__(self, work: Path, limit: int, seed: int) -> None:
        self.work, self.limit, self.seed = work, limit, seed

    def kernel(self, name: str) -> Kernel:
        """The kernel of a role; `6.1~1` is the ABI before the newest."""
        role, _, skip = name.partition("~")
        return fetch(self.work, role, int(skip or 0))

    def run(self, case: str) -> list[Comparison]:
        """Boot the case's kernel with its loads, and compare."""
        kind, *names = case.split(":")
        kernel = self.kernel(names[0])
        makers: dict[str, Callable[[], list[Load]]] = {
            "own": lambda: self._some(modules_below(kernel.modules)),
            "foreign": lambda: self._some(modules_below(self.kernel(names[1]).modules)),
            "samples": lambda: [Load(path) for path in modules_below(SAMPLES)],
            "dependencies": lambda: self._in_order(kernel),
            "mutants": lambda: self._mutants(kernel),
        }
        return compare(boot(kernel.image, kernel.arch, makers[kind]()), target_of(kernel))

    def _some(self, paths: Sequence[Path]) -> list[Load]:
        """Loads of `paths`, evenly thinned out to the limit."""
        step = max(1, -(-len(paths) // self.limit))
        return [Load(path) for path in paths[::step]]

    def _in_order(self, kernel: Kernel) -> list[Load]:
        """Modules that need others, after those that they need; all are kept loaded."""
        modules = {module.name: module for path in modules_below(kernel.modules) if (module := read_module(path)).name}
        order: dict[str, None] = {}

        def add(name: str) -> None:
            for needed in (modules[name].info("depends") or "").replace("-", "_").split(","):
                if needed in modules and needed not in order:
                    add(needed)
            order[name] = None

        # file systems, network protocols and algorithms: they come alive without hardware
        for name, module in sorted(modules.items()):
            part = Path(module.path).relative_to(kernel.modules).parts[1]
            if module.info("depends") and part in ("crypto", "fs", "lib", "net") and len(order) < self.limit:
                add(name)
        return [Load(Path(modules[name].path), keep=True) for name in order]

    def _mutants(self, kernel: Kernel) -> list[Load]:
        """Mutants of small modules that load on their own."""
        target = target_of(kernel)
        sources = []
        for path in modules_below(kernel.modules):
            module = read_module(path)
            if path.stat().st_size < 40_000 and predict(module, target, loader="insmod").verdict == "loads":
                sources.append((module.name, uncompressed(path)))
        folder = self.work / "mutants" / kernel.release
        folder.mkdir(parents=True, exist_ok=True)
        loads = []
        for mutant in mutants(sources[:: max(1, len(sources) // 40)], self.seed, self.limit):
            path = folder / f"{mutant.name}.ko"
            path.write_bytes(mutant.data)
            loads.append(Load(path))
        return loads


def target_of(kernel: Kernel) -> Target:
    """What modcheck is told of a kernel: its headers and its modules directory."""
    return read_target(kernel.headers, modules_dir=kernel.modules)


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(prog="python -m tests.oracle", description=__doc__.split("\n")[0])
    parser.add_argument("work", type=Path, help="folder for packages and kernels (20 GB for all cases)")
    parser.add_argument("cases", nargs="*", default=list(CASES), metavar="CASE")
    parser.add_argument("--limit", type=int, default=5000, help="most loads of a case")
    parser.add_argument("--seed", type=int, default=1, help="of the mutants")
    parser.add_argument("--list", action="store_true", help="name the cases and stop")
    options = parser.parse_args()
    if options.list:
        print("\n".join(CASES))
        return
    logging.basicConfig(level=logging.WARNING)
    options.work.mkdir(parents=True, exist_ok=True)
    oracle = Oracle(options.work, options.limit, options.seed)
    rows = []
    done = failed = 0
    with (options.work / "disagreements.txt").open("w") as file:
        for case in options.cases:
            try:
                comparisons = oracle.run(case)
            except (OracleError, OSError) as error:
                print(f"{case}: skipped: {error}", file=sys.stderr, flush=True)
                continue
            done += 1
            found = counts(comparisons)
            failed += found["disagree"]
            file.writelines(f"== {case}\n{one.report()}\n" for one in comparisons if one.agrees is False)
            file.flush()
            rows.append([case, *(found[name] for name in COLUMNS)])
            print(tabulate(rows, headers=("case", *COLUMNS)), flush=True)
    print(f"{done} of {len(options.cases)} cases")
    sys.exit(1 if failed else 0)


COLUMNS = ("modules", "agree", "disagree", "passed", "unknown", "crashes")


if __name__ == "__main__":
    main()
