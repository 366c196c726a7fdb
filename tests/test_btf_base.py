"""BTF that out-of-tree modules bring since 6.11: what kernel 7.3 said of a module and of variants of it."""

from __future__ import annotations

import base64
import json
import lzma
from dataclasses import replace

import pytest
from conftest import SAMPLES
from oracle.distilled import MODULE, SEEN
from test_judge import with_config

from modcheck import Prediction, predict, read_target
from modcheck.btf import Btf
from modcheck.files import read_plain
from modcheck.module import parse_module
from modcheck.version import parse_version

DATA = read_plain(MODULE)
DOCUMENT = json.loads(lzma.decompress(SEEN.read_bytes()))
KERNEL = Btf(base64.b64decode(DOCUMENT["kernel"]), "little")
TARGET = replace(
    with_config(read_target(SAMPLES / "debian-6.1-amd64/tree"), DEBUG_INFO_BTF_MODULES="y"),
    version=parse_version(DOCUMENT["version"]),
    btf=KERNEL,
)


def of_btf(prediction: Prediction) -> tuple[str | None, list[str]]:
    found = [finding for finding in prediction.findings if finding.rule == "btf"]
    return (found[0].errno, [line.text for line in found[0].log]) if found else (None, [])


def predicted(data: bytes) -> tuple[str | None, list[str]]:
    return of_btf(predict(parse_module(data, "distilled.ko"), TARGET))


def test_what_the_kernel_said() -> None:
    """Errno and every line, but for the numbers of the kernel's own types."""
    differences = []
    for place, byte, errno, log in DOCUMENT["loads"]:
        answer = predicted(DATA[:place] + bytes((byte,)) + DATA[place + 1 :])
        said = [line for line in log if "BTF" in line or "BPF" in line]
        if answer != (errno, said):
            differences.append((place, answer, errno, said))
    assert not differences[:3]
    assert len(DOCUMENT["loads"]) > 480
    assert sum(errno is None for _, _, errno, _ in DOCUMENT["loads"]) > 50


@pytest.mark.parametrize(("old", "new"), [(b"work_struct", b"work_struCt"), (b"net_device\0", b"net_devicE\0")])
def test_a_type_that_the_kernel_does_not_have(old: bytes, new: bytes) -> None:
    errno, lines = predicted(DATA.replace(old, new))
    assert errno == "EINVAL"
    assert f"distilled base BTF type '{new.decode().strip(chr(0))}'" in lines[0]
    assert lines[0].endswith("is not mapped to base BTF id")


def test_two_that_it_could_be() -> None:
    struct = next(one for one in KERNEL.types if one.kind == "STRUCT")
    start = KERNEL.header_length + struct.at - 12
    twin = KERNEL.data[start : start + 12]
    length = (KERNEL.type_len + 12).to_bytes(4, "little")
    header = KERNEL.data[:12] + length + length + KERNEL.data[20:24]
    doubled = Btf(header + twin + KERNEL.data[24:], "little")
    answer = of_btf(predict(parse_module(DATA, "distilled.ko"), replace(TARGET, btf=doubled)))
    assert answer[0] == "EINVAL"
    assert "has multiple candidates of the same size (ids [" in answer[1][0]
