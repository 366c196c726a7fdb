"""A module alone on a kernel: the stages that look at nothing else, and what the others will ask of it.

This is what takes time. It needs one module and one kernel, so that any number of processes can do it.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from ..module.facts import SHN_UNDEF, Module
from .facts import Answer, Load
from .links import Alone, Imports, Links, Own
from .stages.license import is_proprietary
from .stages.signature import trusted_key
from .stages.symbols import in_question, recorded, symbols
from .walk import NEWEST, Walk


def judge_alone(module: Module, walks: Sequence[Walk]) -> Alone:
    """What a kernel makes of `module` as far as no other module has a say.

    :param walks: as `walks_of` makes them
    """
    return Alone(tuple([_judge(module, walk) for walk in walks]))


def _judge(module: Module, walk: Walk) -> Own:
    load = Load(walk.terms, module.as_read(walk.terms.version))
    answers: dict[int, tuple[Answer, ...]] = {}
    refused = None
    for place, stage, is_concerned in walk.alone:
        if is_concerned is None or is_concerned(load.module):
            found = tuple(stage(load))
            if found:
                answers[place] = found
                if any(map(walk.ends, found)):
                    refused = place if any(map(walk.decides, found)) else None
                    break
    # what it needs is told where it is not refused itself, or where that does not refuse others
    early = walk.terms.until_refused and "dependency" not in walk.terms.ignore
    asked = not early or refused is None or refused > walk.place_of(symbols)
    return Own(_links(load, module, in_question(load) if asked else None), answers, tuple(_assumed(load)))


def _links(load: Load, given: Module, asked: Sequence[int] | None) -> Links:
    """:param given: the module as user space reads it
    :param asked: the places of the symbols that are in question; None where it is refused before, and no more is asked
    """
    module = load.module
    return Links(
        path=module.path,
        name=module.name,
        error=module.error,
        label=load.label,
        arch=module.arch,
        bits=module.elf.bits,
        sections=len(module.elf.sections),
        modinfo=module.told,
        depends=given.depends,
        wanted=module.imports if asked is None else _wanted(module, asked),
        imports=Imports(module.symbols, asked, recorded(load, asked)) if asked else None,
        exports=module.exports,
        parameters=module.parameters,
        has_versions=module.versions is not None,
        proprietary=is_proprietary(module, load.version),
        own_build=load.own_build,
        signed=trusted_key(load) is not None,
        decoded=module.compression is None or _decompresses(load),
    )


def _wanted(module: Module, asked: Sequence[int]) -> list[str]:
    """The names of the undefined ones of these symbols."""
    symbols = module.symbols
    return [symbols[place].name for place in asked if symbols[place].shndx == SHN_UNDEF]


def _decompresses(load: Load) -> bool:
    """Whether the kernel itself takes a module in this compression (5.17 and later)."""
    option = {"gz": "GZIP", "xz": "XZ", "zst": "ZSTD"}[load.module.compression or ""]
    return load.target.option("MODULE_DECOMPRESS") == "y" and load.target.option(f"MODULE_COMPRESS_{option}") == "y"


def _assumed(load: Load) -> Iterator[str]:
    """What is assumed of this module on this kernel, whatever others there are."""
    module, target = load.module, load.target
    if module.signature is not None and target.option("MODULE_SIG") != "n":
        certificate = trusted_key(load)
        if certificate is None and target.all_certificates:
            yield "no keys for modules but those in the image"
        elif certificate is None and load.own_build:
            yield "in-tree modules of the kernel's vermagic are signed by its key, and unchanged since"
        elif certificate is not None and certificate.key is None:
            yield "signed modules are unchanged since they were signed"
    compared = target.option("DEBUG_INFO_BTF_MODULES") != "n"
    if load.own_build and module.btf is not None and compared and target.known_btf is None:
        yield "in-tree modules of the kernel's vermagic have the BTF of its build"
    version = target.version
    if version is not None and version[:2] > NEWEST[:2]:
        yield f"kernel {version} judges like {NEWEST.major}.{NEWEST.minor}, the newest that modcheck knows"
