"""Why a CRC differs: small kernels of which one structure was changed on purpose (data/types/README.md)."""

from __future__ import annotations

import io
import lzma
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import cache
from pathlib import Path

import pytest
from conftest import SAMPLES, Run
from elftools.elf.elffile import ELFFile
from rewrite import header_of

from modcheck import predict, read_module, read_target
from modcheck.btf import Btf
from modcheck.cli.adviser import Adviser
from modcheck.errors import TargetError
from modcheck.files import read_plain
from modcheck.target import read_symvers
from modcheck.types import Part, Types, differences
from modcheck.types.btf import btf_types
from modcheck.types.dwarf import dwarf_types
from modcheck.types.read import module_types
from modcheck.types.symtypes import changed, read_symtypes, shared

DATA = Path(__file__).parent / "data/types"
SIDES = ("the module", "the kernel")
BOARD_FLAGS = "has `unsigned int board_flags` at byte 96 in the kernel, and not in the module"
BOARD_COOKIE = "has `long unsigned int board_cookie` at byte 56 in the kernel, and not in the module"


@cache
def kernel(variant: str) -> Types:
    return btf_types(Btf(lzma.decompress((DATA / variant / "btf.xz").read_bytes()), "little"))


@cache
def module() -> Types:
    found = module_types(read_module(DATA / "plain/chrdevbase.ko.xz"), None)
    assert found
    return found


@cache
def differing(variant: str) -> tuple[str, ...]:
    """The symbols whose CRCs are not plain's."""
    plain, other = (read_symvers(DATA / name / "Module.symvers.xz") for name in ("plain", variant))
    return tuple(row.name for row in plain if (found := other.get(row.name)) and found.crc != row.crc)


def linked(variant: str, folder: Path) -> Types:
    """From the DWARF of a linked kernel."""
    path = folder / variant
    path.write_bytes(lzma.decompress((DATA / variant / "vmlinux.xz").read_bytes()))
    with path.open("rb") as file:
        found = dwarf_types(ELFFile(file), ["cdev_add", "cdev_init", "module_layout"])
    assert found
    return found


@pytest.mark.parametrize(
    ("variant", "structure", "member", "change"),
    [("cdev", "struct cdev", "board_flags", BOARD_FLAGS), ("kobject", "struct kobject", "board_cookie", BOARD_COOKIE)],
)
def test_structure_and_member_are_named(variant: str, structure: str, member: str, change: str, tmp_path: Path) -> None:
    """From the module's DWARF, and the kernel's BTF or its DWARF: that one structure, and nothing else."""
    imported = {symbol.name for symbol in read_module(DATA / "plain/chrdevbase.ko.xz").undefined}
    names = [name for name in differing(variant) if name in imported]
    assert "cdev_add" in names
    (reason,) = differences(module(), kernel(variant), names, SIDES)
    assert tuple(reason.difference) == (structure, member, change)
    assert set(reason.symbols) == set(names)
    found = differences(module(), linked(variant, tmp_path), ["cdev_add", "cdev_init"], SIDES)
    assert [tuple(one.difference) for one in found] == [(structure, member, change)]


@pytest.mark.parametrize(("variant", "structure"), [("cdev", "struct cdev"), ("kobject", "struct kobject")])
def test_two_kernels_differ_in_that_structure_alone(variant: str, structure: str) -> None:
    """Nearly all symbols with another CRC are explained, by the structure that was changed, and by none that has it."""
    names = differing(variant)
    reasons = differences(kernel("plain"), kernel(variant), names, SIDES)
    assert [one.difference.type for one in reasons] == [structure]
    assert len(reasons[0].symbols) > 0.95 * len(names)


def test_the_type_in_the_signature_is_told_where_the_changed_one_is_not_there_itself() -> None:
    (reason,) = differences(module(), kernel("kobject"), ["cdev_add"], SIDES)
    assert reason.by_way_of == "struct cdev"
    (direct,) = differences(module(), kernel("cdev"), ["cdev_add"], SIDES)
    assert direct.by_way_of == ""


def test_the_same_kernel_has_no_difference() -> None:
    """DWARF and BTF of one build agree on every symbol that both know."""
    assert differences(module(), kernel("plain"), sorted(module().symbols), SIDES) == []
    assert len(set(module().aggregates) & set(kernel("plain").aggregates)) > 200
    assert differences(kernel("plain"), kernel("plain"), sorted(kernel("plain").symbols), SIDES) == []


def test_split_btf_is_read_with_what_it_continues() -> None:
    """A module's own BTF names types by the kernel's numbers: without the kernel's it says nothing."""
    path = DATA / "plain/chrdevbase.ko.xz"
    btf = read_module(path).btf
    assert btf is not None
    base = Btf(lzma.decompress((DATA / "plain/btf.xz").read_bytes()), "little")
    found = btf_types(Btf(btf, "little"), base)
    assert "chrdevbase_init" in found.symbols
    assert found.spelled(found.symbols["chrdevbase_read"]).startswith("ssize_t ()(struct file *, char *, size_t")
    assert "struct cdev" in found.aggregates


def test_a_stripped_module_has_the_types_of_its_tree(tmp_path: Path) -> None:
    """Debug information is often stripped; the vmlinux of the tree that it was built in tells as much."""
    stripped = Path(__file__).parent.parent / "sample_modules/rk3588-modversions/chrdevbase.ko"
    assert module_types(read_module(stripped), None) is None
    board(tmp_path, "plain")
    found = module_types(read_module(stripped), str(tmp_path / "linux"))
    assert found
    (reason,) = differences(found, kernel("cdev"), ["cdev_add"], SIDES)
    assert reason.difference.member == "board_flags"


@pytest.mark.parametrize("cut", [16, 200, 5000])
def test_damaged_btf_leads_nowhere_but_to_void(cut: int) -> None:
    data = bytearray(lzma.decompress((DATA / "plain/btf.xz").read_bytes()))
    for place in range(24 + cut, 24 + cut + 4000, 7):
        data[place] ^= 0x55
    found = btf_types(Btf(bytes(data), "little"))
    last = len(found.kinds)
    assert all(to < last for to in found.to)
    differences(found, kernel("plain"), ["cdev_add"], SIDES)
    differences(kernel("plain"), found, ["cdev_add"], SIDES)


def test_damaged_debug_information_is_none() -> None:
    data = bytearray(lzma.decompress((DATA / "plain/chrdevbase.ko.xz").read_bytes()))
    section = ELFFile(io.BytesIO(bytes(data))).get_section_by_name(".debug_abbrev")
    assert section is not None
    start = section["sh_offset"]
    for place in range(start, start + 200, 3):
        data[place] ^= 0xFF
    found = dwarf_types(ELFFile(io.BytesIO(bytes(data))))
    assert found is None or isinstance(found, Types)


@pytest.mark.parametrize(
    ("variant", "structure", "member"),
    [("cdev", "struct cdev", "board_flags"), ("kobject", "struct kobject", "board_cookie")],
)
def test_symtypes_of_both_builds_name_the_member(variant: str, structure: str, member: str) -> None:
    old, new = (read_symtypes(str(DATA / name / "symtypes")) for name in ("plain", variant))
    found = changed(old, new, "cdev_add", SIDES)
    assert found
    assert (found.type, found.member) == (structure, member)
    assert member in found.change
    assert changed(old, new, "_printk", SIDES) is None
    assert changed(old, old, "cdev_add", SIDES) is None


def test_symtypes_of_one_build_tell_what_the_symbols_share() -> None:
    """All that the differing ones reach, and none that has the same CRC."""
    types = read_symtypes(str(DATA / "cdev/symtypes"))
    differ = ("cdev_add", "cdev_init", "cdev_del")
    assert shared(types, differ, ("_printk", "class_destroy", "alloc_chrdev_region"))[0] == "struct cdev"
    assert len(shared(types, differ, ())) > len(shared(types, differ, ("class_destroy",)))
    assert shared(types, ("no_such_symbol",), ()) == []


def test_symtypes_in_suses_form(tmp_path: Path) -> None:
    """One file of all: a type that a section leaves out is as it was written last; `s##` is unknown there."""
    path = tmp_path / "symtypes-default"
    path.write_text(
        "/* fs/a.symtypes */\n"
        "s#one struct one { int a ; s#two * b ; } \ns#two struct two { int x ; } \nfirst int first ( s#one * ) \n\n"
        "/* fs/b.symtypes */\nsecond int second ( s#one * ) \n\n"
        "/* fs/c.symtypes */\ns##two\nthird int third ( s#one * ) \n"
    )
    types = read_symtypes(str(path))
    assert set(types.reached("second")) == {"second", "s#one", "s#two"}
    assert types.reached("third")["s#two"] == "struct two { UNKNOWN }"


def test_symtypes_that_are_not_there(tmp_path: Path) -> None:
    with pytest.raises(TargetError, match="KBUILD_SYMTYPES"):
        read_symtypes(str(tmp_path))


def test_check_names_structure_and_member(modcheck: Callable[..., Run], tmp_path: Path) -> None:
    """The whole way: the kernel by its tree with BTF, the module with DWARF."""
    run = modcheck("--format", "json", *board(tmp_path, "cdev"))
    (entry,) = run.document["modules"]
    assert (run.status, entry["errno"]) == (1, "EINVAL")
    (cause,) = entry["causes"]
    assert cause["cause"] == "changed-structure"
    assert "struct cdev" in cause["why"]
    (change,) = cause["types"]
    assert (change["type"], change["member"], change["change"]) == ("struct cdev", "board_flags", BOARD_FLAGS)
    assert change["symbols"] == ["cdev_add", "cdev_init", "cdev_del"]


def test_check_by_symtypes(modcheck: Callable[..., Run], tmp_path: Path) -> None:
    """Without type information of the kernel: .symtypes of both builds, or of one."""
    words = board(tmp_path, "cdev")
    (tmp_path / "linux/vmlinux").unlink()
    both = ("--symtypes", DATA / "plain/symtypes", "--symtypes", DATA / "cdev/symtypes")
    (entry,) = modcheck("--format", "json", *words, *both).document["modules"]
    (change,) = entry["causes"][0]["types"]
    assert (change["type"], change["member"]) == ("struct cdev", "board_flags")
    one = modcheck("--format", "json", *words, *both[2:]).document["modules"][0]
    (change,) = one["causes"][0]["types"]
    assert change["type"].startswith("struct cdev")
    assert "by no symbol whose CRC is the same" in change["change"]


def board(folder: Path, variant: str) -> Sequence[str | Path]:
    """The words for plain's module on a variant, described by its tree."""
    tree = folder / "linux"
    (tree / "include/generated").mkdir(parents=True)
    (tree / "include/generated/utsrelease.h").write_text('#define UTS_RELEASE "6.1.176-types"\n')
    (tree / ".config").write_bytes(read_plain(DATA / "config.xz"))
    (tree / "Module.symvers").write_bytes(read_plain(DATA / variant / "Module.symvers.xz"))
    (tree / "vmlinux").write_bytes(read_plain(DATA / variant / "btf.xz"))
    return (DATA / "plain/chrdevbase.ko.xz", "--target", tree, "--vendor", "upstream")


def test_debug_information_decides_nothing(tmp_path: Path) -> None:
    """Damaged in what only the advice looks into, a module gets its answer all the same."""
    data = bytearray(lzma.decompress((DATA / "plain/chrdevbase.ko.xz").read_bytes()))
    place = header_of(bytes(data), ".debug_info")
    data[place + 8 : place + 16] = (0x800).to_bytes(8, "little")  # compressed, which it is not
    path = tmp_path / "chrdevbase.ko"
    path.write_bytes(data)
    words = board(tmp_path, "cdev")
    target = read_target(words[2], vendor="upstream")
    module = read_module(path)
    prediction = Adviser(target, ()).advised(predict(module, target), module)
    assert (prediction.verdict, prediction.errno) == ("refused", "EINVAL")
    plain = read_module(DATA / "plain/chrdevbase.ko.xz")
    assert plain.btf is not None
    broken = plain.btf[:28] + (4 << 24 | 0xFFFF).to_bytes(4, "little") + plain.btf[32:]  # more members than bytes
    stripped = replace(plain, path=str(SAMPLES / "rk3588-modversions/chrdevbase.ko"), btf=broken)
    assert module_types(stripped, str(tmp_path / "linux")) is None


def test_what_btf_writes_in_another_way_is_no_difference() -> None:
    """Negative constants without their sign, and arrays of several dimensions as one."""
    one, other = Types(), Types()
    for types, value in ((one, -1), (other, 0xFFFFFFFF)):
        number = types.add("int", "int", 4)
        status = types.add("enum", "status", 4, (Part("BAD", value, 0, 0),))
        if types is one:
            array = types.add("[]", size=3, to=types.add("[]", size=4, to=number))
        else:
            array = types.add("[]", size=12, to=number)
        whole = types.add("struct", "whole", 52, (Part("state", 0, 0, status), Part("rows", 32, 0, array)))
        types.symbols["use"] = types.add("()", parts=(Part("", 0, 0, types.add("*", to=whole)),))
    assert differences(one, other, ["use"], SIDES) == []
    assert one.spelled(one.parts[one.aggregates["struct whole"]][1].type) == "int[12]"


def test_what_explains_many_goes_before_what_lies_nearer() -> None:
    """Of two changed structures the one that all symbols reach explains them all."""
    graphs = []
    for size in (4, 8):
        types = Types()
        number = types.add("int", f"int{size}", size)
        common = types.add("struct", "common", size, (Part("value", 0, 0, number),))
        near = types.add(
            "struct", "near", size, (Part("first", 0, 0, number), Part("next", 64, 0, types.add("*", to=common)))
        )
        for name, to in (("a", common), ("b", common), ("c", near)):
            types.symbols[name] = types.add("()", parts=(Part("", 0, 0, types.add("*", to=to)),))
        graphs.append(types)
    (reason,) = differences(graphs[0], graphs[1], ["a", "b", "c"], SIDES)
    assert (reason.difference.type, reason.symbols) == ("struct common", ("a", "b", "c"))
