"""Predictions against what booted kernels did: verdict, errno and every log line of thousands of loads.

tests/data/truth/ was recorded by tests/oracle/record.py; tests/truth.py says what it holds.
"""

from __future__ import annotations

from pathlib import Path

import pytest
from oracle.compare import masked, predict_load
from truth import load

TRUTHS = sorted((Path(__file__).parent / "data" / "truth").glob("*.json.xz"))


@pytest.mark.parametrize("path", TRUTHS, ids=lambda path: path.name.removesuffix(".json.xz"))
def test_what_the_kernel_did(path: Path) -> None:
    truth = load(path)
    modules = {seen.module.name: seen.module for seen in truth.loads}
    differences = []
    for seen in truth.loads:
        loaded = [modules[name] for name in seen.loaded if name in modules]
        prediction = predict_load(seen.module, truth.target, seen.flags, seen.arguments, loaded, seen.spent)
        predicted = (prediction.verdict, prediction.errno, tuple(map(masked, prediction.log)))
        if predicted != ("loads" if seen.accepted else "refused", seen.errno, seen.log):
            differences.append((seen.module.path, predicted, seen.errno, seen.log))
    assert not differences[:3]


def test_the_records_hold_what_they_are_for() -> None:
    """Every case has loads; all together refusals, acceptances, and the rarer answers."""
    truths = [load(path) for path in TRUTHS]
    assert all(truth.loads for truth in truths)
    loads = [seen for truth in truths for seen in truth.loads]
    assert sum(seen.accepted for seen in loads) > 1500
    assert sum(not seen.accepted for seen in loads) > 3000
    errnos = {seen.errno for seen in loads}
    assert {"ENOEXEC", "ENOENT", "EINVAL", "EPERM", "EKEYREJECTED"} <= errnos
    assert any(line.startswith("BPF: ") for seen in loads for line in seen.log)
