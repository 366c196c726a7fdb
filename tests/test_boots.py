"""The samples on the kernels they were built for, booted: verdict, errno and every log line are the kernel's own.

tests/data/boots/ was recorded by tests/oracle/samples.py.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from conftest import SAMPLES

from modcheck import predict, read_module, read_target
from modcheck.loader.once import already

BOOTS = [json.loads(path.read_text()) for path in sorted((Path(__file__).parent / "data" / "boots").glob("*.json"))]
LOADS = [(boot["folder"], load) for boot in BOOTS for load in boot["loads"]]

#: kernels without tracing do not tell where init begins; this is all that the samples' init functions write
INIT_LINES = {"chrdevbase: ready"}


@pytest.mark.parametrize(
    ("folder", "load"), LOADS, ids=[f"{load['path']} {'+'.join(load['loaded'])}".strip() for _, load in LOADS]
)
def test_prediction_is_what_the_kernel_did(folder: str, load: dict[str, Any]) -> None:
    vendor = None if folder.startswith("debian") else "upstream"
    target = read_target(SAMPLES / folder / "tree", vendor=vendor)
    prediction = predict(
        read_module(SAMPLES / load["path"]),
        target,
        loader="insmod",
        loaded=[read_module(SAMPLES / folder / f"{name}.ko") for name in load["loaded"]],
        already=already(load["tainted"]),
    )
    assert prediction.verdict == ("refused" if load["errno"] else "loads")
    assert prediction.errno == load["errno"]
    assert list(prediction.log) == [line for line in load["log"] if line not in INIT_LINES]


def test_every_sample_was_booted() -> None:
    booted = {load["path"] for _, load in LOADS}
    assert booted == {str(path.relative_to(SAMPLES)) for path in SAMPLES.rglob("*.ko")}
