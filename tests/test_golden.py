"""Golden cases: what `modcheck --format json` says of a sample and a target, to the letter.

Each file in golden/ holds the words of one call, its exit status and the document. `pytest --update-golden` writes them
anew; what a case should say is known from booted kernels (test_truth.py), so read the diff before you commit it.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from conftest import Run

GOLDEN = sorted((Path(__file__).parent / "golden").glob("*.json"))


@pytest.mark.parametrize("path", GOLDEN, ids=lambda path: path.stem)
def test_golden(modcheck: Callable[..., Run], path: Path, request: pytest.FixtureRequest) -> None:
    case = json.loads(path.read_text())
    run = modcheck("--format", "json", *case["words"])
    document = run.document
    del document["modcheck"]
    if request.config.getoption("--update-golden"):
        case = {"words": case["words"], "status": run.status, "document": document}
        path.write_text(json.dumps(case, indent=1) + "\n")
    assert run.status == case["status"]
    assert document == case["document"]


def test_there_are_golden_cases() -> None:
    assert len(GOLDEN) >= 8
