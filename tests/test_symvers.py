"""Module.symvers in every layout of the kernel's history, against a plain reading of the same rows."""

from __future__ import annotations

import gzip
import lzma
from pathlib import Path

import pytest
from conftest import SAMPLES
from hypothesis import given
from hypothesis import strategies as st

from modcheck.errors import TargetError
from modcheck.module import Export
from modcheck.target import read_symvers
from modcheck.target.facts import Symbols
from modcheck.target.symvers import Symvers, owner_name

DEBIAN = SAMPLES / "debian-6.1-amd64/tree/Module.symvers.xz"


@pytest.mark.parametrize(
    ("line", "gpl", "namespace"),
    [
        ("0x6c9fefc2\tclass_destroy\tvmlinux", False, ""),
        ("0x6c9fefc2\tclass_destroy\tvmlinux\tEXPORT_SYMBOL_GPL", True, ""),
        ("0x6c9fefc2\tclass_destroy\tvmlinux\tEXPORT_SYMBOL", False, ""),
        ("0x6c9fefc2\tclass_destroy\tvmlinux\t(unknown)", False, ""),
        ("0x6c9fefc2\tclass_destroy\t\tvmlinux\tEXPORT_SYMBOL_GPL", True, ""),
        ("0x6c9fefc2\tclass_destroy\tDRIVERS\tvmlinux\tEXPORT_SYMBOL_GPL", True, "DRIVERS"),
        ("0x6c9fefc2\tclass_destroy\tvmlinux\tEXPORT_SYMBOL_GPL\t", True, ""),
        ("0x6c9fefc2\tclass_destroy\tvmlinux\tEXPORT_SYMBOL_GPL\tmodule:kvm,kvm-amd", True, "module:kvm,kvm-amd"),
        ("0x6c9fefc2\tclass_destroy\tvmlinux\tEXPORT_UNUSED_SYMBOL_GPL", True, ""),
    ],
)
@pytest.mark.parametrize("end", ["", "\n", "\r\n"])
def test_every_layout(line: str, gpl: bool, namespace: str, end: str) -> None:
    table = Symvers((line + end).encode(), "Module.symvers")
    expected = Export("class_destroy", 0x6C9FEFC2, gpl, namespace, "vmlinux")
    assert table.get("class_destroy") == expected
    assert list(table) == [expected]
    assert (table.rows, table.has_kernel, table.has_crcs) == (1, True, True)
    assert table.get("vmlinux") is None
    assert table.get("class") is None


def test_a_whole_debian_table_row_by_row() -> None:
    table = read_symvers(DEBIAN)
    lines = lzma.decompress(DEBIAN.read_bytes()).decode().splitlines()
    assert table.rows == len(lines) == len(list(table))
    for line in lines:
        crc, name, owner, export, namespace = line.split("\t")
        row = table.get(name)
        assert row == Export(name, int(crc, 16), export == "EXPORT_SYMBOL_GPL", namespace, owner_name(owner))


def test_a_symbol_named_like_a_module_is_not_taken_for_one() -> None:
    table = Symvers(b"0x00000001\tb\tmii\tEXPORT_SYMBOL\t\n0x00000002\tmii\tvmlinux\tEXPORT_SYMBOL\t\n", "t")
    row = table.get("mii")
    assert row is not None
    assert (row.crc, row.owner) == (2, "vmlinux")
    assert table.get("EXPORT_SYMBOL") is None


def test_a_namespace_may_be_called_like_its_module() -> None:
    row = Symvers(b"0x00000001\ts\tx\tx\tEXPORT_SYMBOL\n", "t").get("s")
    assert row == Export("s", 1, False, "x", "x")


@pytest.mark.parametrize("compress", [gzip.compress, lzma.compress])
def test_compressed(tmp_path: Path, compress: object) -> None:
    path = tmp_path / "Module.symvers"
    path.write_bytes(compress(b"0x00000000\ta\tvmlinux\tEXPORT_SYMBOL\n"))  # type: ignore[operator]
    table = read_symvers(path)
    assert (table.rows, table.has_crcs) == (1, False)


def test_owner_names_are_those_of_loaded_modules() -> None:
    assert owner_name("vmlinux") == "vmlinux"
    assert owner_name("drivers/net/usb/usbnet") == "usbnet"
    assert owner_name("/home/me/hello-world.ko") == "hello_world"


def test_a_modules_own_table_is_no_kernels() -> None:
    assert not read_symvers(SAMPLES / "rk3588/Module.symvers").has_kernel
    assert not read_symvers(SAMPLES / "rk3588/own/Module.symvers").has_kernel
    own = Symbols([read_symvers(SAMPLES / "rk3588/Module.symvers")])
    assert not own.complete
    assert own.find("sample_sum")[0].owner == "sample_export"


names = st.text(st.characters(codec="ascii", categories=["L", "N"]), min_size=1, max_size=12)
rows = st.lists(
    st.tuples(st.integers(0, 2**32 - 1), names, st.sampled_from(["vmlinux", "a/b-c", "x"]), st.booleans(), names),
    unique_by=lambda row: row[1],
    max_size=150,
)


@given(rows, st.integers(3, 5), st.booleans())
def test_any_table_reads_back(table: list[tuple[int, str, str, bool, str]], columns: int, third: bool) -> None:
    lines, expected = [], {}
    for crc, name, owner, gpl, namespace in table:
        kind = "EXPORT_SYMBOL_GPL" if gpl else "EXPORT_SYMBOL"
        row = [f"0x{crc:08x}", name, owner, kind, namespace][:columns]
        if columns == 5 and third:
            row = [row[0], name, namespace, owner, kind]
        lines.append("\t".join(row) + "\n")
        expected[name] = Export(name, crc, gpl and columns > 3, namespace if columns == 5 else "", owner_name(owner))
    read = Symvers("".join(lines).encode(), "t")
    assert {name: read.get(name) for name in expected} == expected
    assert [row.name for row in read] == list(expected)
    assert read.has_kernel == any(row.owner == "vmlinux" for row in expected.values())


@given(st.binary(max_size=200))
def test_any_bytes_are_a_table_or_named_as_none(data: bytes) -> None:
    try:
        table = Symvers(data, "t")
    except TargetError as error:
        named = error.subject.split(":")[0]
    else:
        named = "t"
        assert all(row.name for row in table)
    assert named == "t"
