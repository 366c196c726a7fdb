"""Predictions against what booted kernels did: verdict, errno and every log line of thousands of loads.

tests/data/truth/ was recorded by tests/oracle/record.py; tests/truth.py says what it holds.
"""

from __future__ import annotations

from pathlib import Path

import pytest
from oracle.compare import masked
from truth import load

from modcheck import predict

TRUTHS = sorted((Path(__file__).parent / "data" / "truth").glob("*.json.xz"))


@pytest.mark.parametrize("path", TRUTHS, ids=lambda path: path.name.removesuffix(".json.xz"))
def test_what_the_kernel_did(path: Path) -> None:
    truth = load(path)
    modules = {seen.module.name: seen.module for seen in truth.loads}
    differences = []
    for seen in truth.loads:
        prediction = predict(
            seen.module,
            truth.target,
            loader="insmod",
            loaded=[modules[name] for name in seen.loaded if name in modules],
            force_modversion=bool(seen.flags & 1),
            force_vermagic=bool(seen.flags & 2),
            already=seen.spent,
        )
        predicted = (prediction.verdict, prediction.errno, tuple(map(masked, prediction.log)))
        if predicted != ("loads" if seen.accepted else "refused", seen.errno, seen.log):
            differences.append((seen.module.path, predicted, seen.errno, seen.log))
    assert not differences[:3]


def test_the_records_hold_refusals_and_loads() -> None:
    loads = [seen for path in TRUTHS for seen in load(path).loads]
    assert sum(seen.accepted for seen in loads) > 400
    assert sum(not seen.accepted for seen in loads) > 1000
