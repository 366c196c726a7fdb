"""Real modules of Debian's kernels, 5.10 to 7.x, against what other tools read in them.

tests/data/modules/ was recorded by tools/record_modules.py: `truth.json` has the words of kmod, of readelf, and of the
Module.symvers of the same kernel.
"""

from __future__ import annotations

import gzip
import json
import lzma
import sys
from collections.abc import Callable
from dataclasses import fields
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from modcheck.module import Export, Module, read_module

if sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd

DATA = Path(__file__).parent / "data" / "modules"
TRUTHS: dict[Path, dict[str, Any]] = {path.parent: json.loads(path.read_text()) for path in DATA.glob("*/truth.json")}
MODULES = sorted(folder / name for folder, truth in TRUTHS.items() for name in truth["modules"])

#: what modcheck calls the architecture of Debian's name
ARCHES = {
    "amd64": "x86_64", "i386": "i386", "arm64": "arm64", "armhf": "arm", "armel": "arm", "riscv64": "riscv64",
    "ppc64el": "ppc64", "s390x": "s390x", "mips64el": "mips64", "mipsel": "mips", "loong64": "loongarch64",
}  # fmt: skip

BINDINGS = {"LOCAL": 0, "GLOBAL": 1, "WEAK": 2}
SYMBOL_KINDS = {"EXPORT_SYMBOL": False, "EXPORT_SYMBOL_GPL": True}
COMPRESSIONS: dict[str | None, Callable[[bytes], bytes]] = {None: bytes, "gz": gzip.compress, "zst": zstd.compress}

read = cache(read_module)


def truth_of(path: Path) -> dict[str, Any]:
    truth: dict[str, Any] = TRUTHS[path.parent]["modules"][path.name]
    return truth


def expected_exports(path: Path) -> list[Export]:
    """The rows of Module.symvers; a kernel without CONFIG_MODVERSIONS has no CRCs, and its rows have zeros there."""
    truth = truth_of(path)
    exports = []
    for row in truth["exports"]:
        crc, name, _, kind, namespace = row.split("\t")
        known = int(crc, 16) if TRUTHS[path.parent]["modversions"] else None
        exports.append(Export(name, known, SYMBOL_KINDS[kind], namespace, truth["name"]))
    return exports


@pytest.fixture(params=MODULES, ids=lambda path: f"{path.parent.name}/{path.name}")
def path(request: pytest.FixtureRequest) -> Path:
    chosen: Path = request.param
    return chosen


@pytest.fixture
def module(path: Path) -> Module:
    return read(path)


@pytest.fixture(scope="session")
def scratch(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A file to write to: one for all tests, since a folder for each takes longer than the tests do."""
    return tmp_path_factory.mktemp("modules") / "module"


def test_it_is_a_module(module: Module) -> None:
    assert module.error is None
    assert module.compression == "xz"


def test_architecture(path: Path, module: Module) -> None:
    truth = truth_of(path)
    assert module.arch == ARCHES[path.parent.name.partition("-")[0]]
    assert f"ELF{module.elf.bits}" == truth["class"]
    assert f"2's complement, {module.elf.endianness} endian" == truth["data"]


def test_name(path: Path, module: Module) -> None:
    assert module.name == truth_of(path)["name"]
    assert module.info_name == truth_of(path)["name"]


def test_this_module_size(path: Path, module: Module) -> None:
    assert module.this_module_size == truth_of(path)["this_module_size"]


def test_modinfo(path: Path, module: Module) -> None:
    assert [f"{tag}={value}" for tag, value in module.modinfo] == truth_of(path)["modinfo"]


def test_versions(path: Path, module: Module) -> None:
    rows = truth_of(path)["versions"]
    if rows is None:
        assert module.versions is None
    else:
        expected = [(name, int(crc, 16)) for crc, name in (row.split("\t") for row in rows)]
        assert list(module.versions or ()) == expected


def test_undefined(path: Path, module: Module) -> None:
    expected = [(name, BINDINGS[binding]) for binding, name in (row.split(" ") for row in truth_of(path)["undefined"])]
    assert [(symbol.name, symbol.bind) for symbol in module.undefined] == expected


def test_exports(path: Path, module: Module) -> None:
    assert set(module.exports) == set(expected_exports(path))
    assert len(module.exports) == len(expected_exports(path))


def test_signature(path: Path, module: Module) -> None:
    assert (module.signature is not None) == truth_of(path)["signed"]


@pytest.mark.parametrize("kind", COMPRESSIONS, ids=str)
def test_compression_changes_no_fact(kind: str | None, path: Path, module: Module, scratch: Path) -> None:
    scratch.write_bytes(COMPRESSIONS[kind](lzma.decompress(path.read_bytes())))
    other = read_module(scratch)
    assert other.compression == kind
    differing = {one.name for one in fields(Module) if getattr(other, one.name) != getattr(module, one.name)}
    assert differing <= {"path", "compression", "compression_feature"}


def test_the_recorded_modules_have_what_is_to_be_proved() -> None:
    """Or a fact could be right everywhere for want of a module that has it."""
    assert {folder.name.partition("-")[0] for folder in TRUTHS} == ARCHES.keys()
    truths = [truth_of(path) for path in MODULES]
    assert {truth["data"].split()[-2] for truth in truths} == {"little", "big"}
    assert {truth["signed"] for truth in truths} == {True, False}
    assert {truth["versions"] is None for truth in truths} == {True, False}
    for folder, kernel in TRUTHS.items():
        rules = {rule for truth in kernel["modules"].values() for rule in truth["rules"]}
        assert {"imports a namespace", "has a parameter"} <= rules, folder
        exports = [export for name in kernel["modules"] for export in expected_exports(folder / name)]
        assert {export.gpl for export in exports} == {True, False}, folder
        assert {bool(export.namespace) for export in exports} == {True, False}, folder
