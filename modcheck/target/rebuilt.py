"""The tables of a kernel without Module.symvers: what image and modules tell of exports, each proving the other.

The CRCs that modules refer to must be those of the tables, and vermagic and the size of struct module the image's.
Without an image's table there is what the modules refer to, and the names that a running kernel gives for its exports.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple

from ..module import Export, Module
from .builds import crcs_of
from .symvers import KERNEL, Symvers, render

if TYPE_CHECKING:
    from .image import Image
    from .modules_dir import ModulesDir, Survey


class Rebuilt(NamedTuple):
    """Tables, the kernel's own first; what is to be said of them; whether the modules are of the image's build."""

    tables: list[Symvers]
    notes: list[str]
    one_build: bool = True


def rebuild(
    image: Image | None, modules: ModulesDir | None, reference: Module | None, names: Symvers | None, *, lax: bool
) -> Rebuilt:
    """The tables that image and modules make.

    :param reference: a module of the directory that came with the kernel
    :param names: all that the running kernel says it exports
    :param lax: whether the kernel takes modules that do not import the namespaces they use
    """
    kernel = image.symvers() if image else None
    notes = [] if image is None or kernel else [f"no table of exports that is understood in {image.path}"]
    if modules is None:
        return Rebuilt([table for table in (kernel or names,) if table], notes)
    survey = modules.survey()
    others = _contradictions(image, reference)
    told, differing, absent = _references(survey, kernel, modules)
    if image and (others or (kernel and kernel.has_crcs and differing)):
        counts = f"{told}, {differing} have another CRC than the image, {absent} name none that is there"
        why = "; ".join(one for one in (others, counts if kernel else "") if one)
        notes.append(
            f"{image.path} and {modules.path} are not of one build: {why}; the image is used, the modules are not"
        )
        return Rebuilt([table for table in (kernel or names,) if table], notes, one_build=False)
    if missing := modules.missing():
        notes.append(
            f"{len(missing)} modules that {modules.path}/modules.order lists are not there, nor is in the table what "
            f"they export: {', '.join(missing[:3])}{', …' if len(missing) > 3 else ''}"
        )
    if kernel is None:
        inferred, note = _inferred(survey, modules, names, lax)
        return Rebuilt([inferred, survey.table], [*notes, note])
    if survey.references:
        notes.append(f"{told}, {differing} disagree with {kernel.path}, {absent} name none that is there")
    return Rebuilt([kernel, survey.table], notes)


def _references(survey: Survey, kernel: Symvers | None, modules: ModulesDir) -> tuple[str, int, int]:
    """How often modules refer to symbols, in words; how often with another CRC; how often to one that is not there."""
    rows = {row.name: row.crc for table in (survey.table, kernel) if table for row in table}
    references = survey.references.items()
    differing = sum(count for (name, crc), count in references if crc is not None and rows.get(name, crc) != crc)
    absent = sum(count for (name, _), count in references if name not in rows)
    return f"of {survey.references.total()} references of modules in {modules.path} to symbols", differing, absent


def _contradictions(image: Image | None, module: Module | None) -> str:
    """In what else than CRCs a module differs from the image; empty where it does not."""
    if module is None or image is None:
        return ""
    shown, btf = image.vermagic, image.btf
    size = btf.struct_size("module") if btf else None
    told = []
    if shown and module.vermagic != shown:
        told.append(f"vermagic is {shown!r} there and {module.vermagic!r} here")
    if size and module.this_module_size and module.this_module_size != size:
        told.append(f"struct module has {size} bytes there and {module.this_module_size} here")
    return "; ".join(told)


def _inferred(survey: Survey, modules: ModulesDir, names: Symvers | None, lax: bool) -> tuple[Symvers, str]:
    """What is known of the kernel's own exports by the modules that use them, and how much that is."""
    used = {row.name: row._replace(namespace="?") if lax else row for row in survey.used}
    known = (
        f"no image, no Module.symvers: of the kernel's own symbols {len(used)} are known, those that its modules use"
    )
    if names is None:
        table = Symvers(render(used.values()), modules.path, whole=False, inferred=True)
        return table, f"{known}; any other may be there or not"
    rows = [used[row.name]._replace(gpl=row.gpl) if row.name in used else row for row in names]
    table = Symvers(render(rows), f"{names.path}, {modules.path}", whole=False, inferred=True, names_all=True)
    return table, f"{known}; of the others the names, by {names.path}"


def of_modules(modules: Sequence[Module]) -> Symvers:
    """What single modules of the board tell of the kernel's exports: of a module that needs no other, all that it uses
    is the kernel's own; of others `module_layout` is."""
    rows = [
        Export(name, crc, None, "?", KERNEL, inferred=True)
        for module in modules
        for name, crc in crcs_of(module).items()
        if module.depends == () or name == "module_layout"
    ]
    return Symvers(render(dict.fromkeys(rows)), ", ".join(one.path for one in modules), whole=False, inferred=True)
