"""The module reader: what it builds on in pyelftools, damaged files, and bytes that no compiler makes."""

from __future__ import annotations

import struct
from pathlib import Path

import pytest
from conftest import SAMPLES
from elftools.elf.elffile import ELFFile
from elftools.elf.enums import ENUM_E_MACHINE
from elftools.elf.structs import ELFStructs
from hypothesis import given, settings
from hypothesis import strategies as st

from modcheck import UnreadableError, predict, read_module, read_target
from modcheck.module import parse_module
from modcheck.module.elf import decode_header, layout

ARM64 = (SAMPLES / "rk3588-modversions/chrdevbase.ko").read_bytes()
ARM = (SAMPLES / "sunxi/sample_export.ko").read_bytes()


def test_what_modcheck_relies_on_in_pyelftools() -> None:
    """Its structs tell module/elf.py the layout of each table: these names and sizes must stay."""
    assert ENUM_E_MACHINE["EM_AARCH64"] == 183
    for bits, sizes in ((64, (64, 64, 24)), (32, (52, 40, 16))):
        structs = ELFStructs(little_endian=True, elfclass=bits)
        structs.create_basic_structs()
        structs._create_shdr()
        structs._create_sym()
        assert tuple(one.sizeof() for one in (structs.Elf_Ehdr, structs.Elf_Shdr, structs.Elf_Sym)) == sizes
        assert structs.Elf_Ehdr.subcons[0].name == "e_ident"
        assert {"st_name", "st_info", "st_shndx"} <= {field.name for field in structs.Elf_Sym.subcons}


@pytest.mark.parametrize("path", sorted(SAMPLES.rglob("*.ko")), ids=lambda path: str(path.relative_to(SAMPLES)))
def test_sections_and_symbols_are_those_that_pyelftools_reads_one_by_one(path: Path) -> None:
    module = read_module(path)
    with path.open("rb") as stream:
        file = ELFFile(stream)
        sections = [(s.name, s["sh_offset"], s["sh_size"], s["sh_link"], s["sh_info"]) for s in file.iter_sections()]
        table = file.get_section_by_name(".symtab")
        undefined = [s.name for s in table.iter_symbols() if s["st_shndx"] == "SHN_UNDEF"][1:]
        assert [(s.name, s.sh_offset, s.sh_size, s.sh_link, s.sh_info) for s in module.elf.sections] == sections
        assert [symbol.name for symbol in module.undefined] == undefined


def test_the_layout_is_told_by_type_and_machine_not_by_the_identity_bytes() -> None:
    """No kernel looks at EI_DATA, few at EI_CLASS."""
    assert layout(ARM64[:64]) == (64, "little")
    assert layout(ARM64[:4] + b"\x01\x02" + ARM64[6:64]) == (64, "little")
    swapped = struct.pack(">HH", 1, 22)
    assert layout(b"\x7fELF\x02\x02" + bytes(10) + swapped) == (64, "big")
    assert layout(b"\x7fELF\x01\x02" + bytes(10) + swapped) == (32, "big")
    assert decode_header(ARM64[:51], 32, "little") is None


def test_damaged_identity_bytes_change_nothing() -> None:
    whole = parse_module(ARM64, "x.ko")
    for offset in (4, 5, 6, 7, 8):
        damaged = parse_module(ARM64[:offset] + b"\x77" + ARM64[offset + 1 :], "x.ko")
        assert (damaged.vermagic, damaged.versions, damaged.symbols) == (whole.vermagic, whole.versions, whole.symbols)


def test_a_value_without_its_nul_runs_on() -> None:
    """The last string of .modinfo ends at the first NUL behind the section."""
    module = parse_module(ARM64, "x.ko")
    section = next(section for section in module.elf.sections if section.name == ".modinfo")
    last = section.sh_offset + section.sh_size - 1
    longer = parse_module(ARM64[:last] + b"!" + ARM64[last + 1 :], "x.ko")
    assert len(longer.modinfo) == len(module.modinfo)
    assert longer.modinfo[-1][1].startswith(module.modinfo[-1][1] + "!")


def test_a_file_that_cannot_be_read(tmp_path: Path) -> None:
    with pytest.raises(UnreadableError, match="no such file"):
        read_module(tmp_path / "x.ko")
    with pytest.raises(UnreadableError, match="is a directory"):
        read_module(tmp_path)


TARGETS = [read_target(SAMPLES / name / "tree") for name in ("rk3588-modversions", "sunxi", "debian-6.1-amd64")]


def judge(data: bytes) -> None:
    module = parse_module(data, "x.ko")
    for target in TARGETS:
        for loader in ("insmod", "modprobe"):
            prediction = predict(module, target, loader=loader, modules=[module])
            assert (prediction.verdict == "refused") == (prediction.errno is not None)
            assert (prediction.verdict == "unknown") == bool(prediction.unchecked and not prediction.errno)


@given(st.data())
@settings(max_examples=300, deadline=None)
def test_any_damaged_module_gets_an_answer(data: st.DataObject) -> None:
    image = bytearray(data.draw(st.sampled_from([ARM64, ARM])))
    for _ in range(data.draw(st.integers(1, 4))):
        offset = data.draw(st.one_of(st.integers(0, 63), st.integers(0, len(image) - 1)))
        image[offset] = data.draw(st.integers(0, 255))
    judge(bytes(image[: data.draw(st.one_of(st.just(len(image)), st.integers(0, len(image))))]))


@given(st.binary(max_size=300).map(lambda tail: b"\x7fELF" + tail))
@settings(max_examples=200, deadline=None)
def test_any_bytes_behind_the_magic_get_an_answer(data: bytes) -> None:
    judge(data)
