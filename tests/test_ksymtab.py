"""Export tables of real kernels, cut out of their images, rebuilt; and images that are none, or damaged."""

from __future__ import annotations

import hashlib
import json
import lzma
from pathlib import Path

import pytest
from conftest import SAMPLES

from modcheck import read_target
from modcheck.errors import TargetError
from modcheck.target.ksymtab import kernel_exports
from modcheck.target.symvers import Symvers, render

FOLDER = Path(__file__).parent / "data/ksymtab"
INDEX = json.loads((FOLDER / "index.json").read_text())


def table(role: str) -> bytes:
    return lzma.decompress((FOLDER / f"{role}.bin.xz").read_bytes())


@pytest.mark.parametrize("role", INDEX)
def test_every_row_is_that_of_module_symvers(role: str) -> None:
    exports = kernel_exports(table(role))
    assert exports is not None
    assert len(exports) == INDEX[role]["rows"]
    rows = sorted(Symvers(render(exports), role))
    assert hashlib.sha256(render(rows)).hexdigest() == INDEX[role]["sha256"]


@pytest.mark.parametrize("role", INDEX)
def test_a_table_that_is_not_understood_is_no_table(role: str) -> None:
    """Bytes put between entries and strings, or a part cut out: nothing is better than a guess."""
    data = table(role)
    exports = kernel_exports(data)
    assert exports
    middle = len(data) // 2
    for broken in (data[:middle], data[:middle] + bytes(8192) + data[middle:], bytes(len(data)), data[middle:]):
        assert kernel_exports(broken) in (None, exports)


def test_a_root_file_system_with_two_kernels(tmp_path: Path) -> None:
    for release in ("6.1.176-one", "6.1.176-two"):
        folder = tmp_path / "lib/modules" / release
        folder.mkdir(parents=True)
        (folder / "modules.order").write_text("")
        (folder / "chrdevbase.ko").write_bytes((SAMPLES / "rk3588/chrdevbase.ko").read_bytes())
    with pytest.raises(TargetError, match=r"6\.1\.176-one, 6\.1\.176-two; --release picks one"):
        read_target(tmp_path)
    found = read_target(tmp_path, release="6.1.176-two")
    assert found.modules is not None
    assert found.modules.release == "6.1.176-two"
    alone = read_target(tmp_path / "lib/modules/6.1.176-one")
    assert alone.modules is not None
