"""Keeps what kernels did as data that `make test` replays (tests/truth.py).

    python -m tests.oracle.record WORK_DIR [CASE...]

Of each case that has been run, loads that agree with the prediction are kept, at most `MOST`, evenly thinned out, but
every mutant; what disagrees is told in docs/accuracy.md, and what is `unknown` is no truth.
"""

from __future__ import annotations

import sys
from pathlib import Path

from tests.oracle.cases import CASES, Cases
from tests.oracle.compare import compare
from tests.oracle.loads import read_json
from tests.truth import Seen, Truth, save

TRUTHS = Path(__file__).parent.parent / "data" / "truth"
MOST = 120


def record(cases: Cases, name: str) -> int | None:
    """Write the record of a case and return how many loads it holds; None where it has not been run."""
    stored = cases.results(name)
    if not stored.exists():
        return None
    case = cases.make(name, again=True)
    comparisons = [one for one in compare(read_json(stored), case.target) if one.agrees]
    # of loads that stay, too, all are kept: what comes later needs them
    everything = name.startswith("mutants") or any(one.result.stays for one in comparisons)
    step = 1 if everything else -(-len(comparisons) // MOST) or 1
    loads = []
    for one in comparisons[::step]:
        result = one.result
        if not result.crashed and result.traced:
            accepted = bool(result.accepted)
            errno = None if accepted else result.errno
            load, loaded = result.load, tuple(result.loaded_before)
            state = (load.flags, load.arguments, tuple(sorted(one.before)), loaded)
            loads.append(Seen(one.module, *state, accepted, errno, one.seen_lines))
    save(
        TRUTHS / f"{stored.stem}.json.xz",
        Truth(f"{case.kernel.release}, {case.kernel.package}", case.target, tuple(loads)),
    )
    return len(loads)


if __name__ == "__main__":
    TRUTHS.mkdir(exist_ok=True)
    for name in sys.argv[2:] or CASES:
        print(name, record(Cases(Path(sys.argv[1]), 0), name), flush=True)
