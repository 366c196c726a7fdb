"""A target saved as one JSON file, the fixed description of a product's kernel; this and later versions read it.

The document is that of `modcheck target --format json`, with `profile` (the form's number) and `data`: what takes room
(tables, `.config`, type information, lists of the modules directory), each xz in base64. Of modules only the names are
kept. Within a form fields are only added.

Form 2 says of which build it is, and how a table was tied to it; of each table how many rows it has and whether these
have CRCs, so that it need not be unpacked for that. What form 1 lacks is not known: a Module.symvers in it, beside what
described a board, is taken for that board's.
"""

from __future__ import annotations

import json
import lzma
from base64 import b64decode, b64encode
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, NamedTuple

from ..arch import ARCHES, Endianness
from ..btf import Btf
from ..errors import TargetError
from ..files import LIMIT, read_bytes
from ..version import parse_version
from .builds import Build, Standing, Tie
from .builtin import Builtin
from .certificates import Certificate
from .kconfig import Config
from .symvers import Symvers, render

if TYPE_CHECKING:
    from ..version import Version
    from .facts import Target

FORM = 2
#: facts that are in the document as they are, and their types
_PLAIN = {
    "release": str, "vendor": str, "vermagic": str, "this_module_size": int, "cmdline": str, "lockdown": str,
    "sig_enforce": bool, "modules_disabled": bool,
}  # fmt: skip
#: what of a `Build` is saved as it is
_IDENTITY = (
    "standing", "release", "version", "banner", "build_id", "vermagic", "arch", "this_module_size", "module_layout",
)  # fmt: skip


class Profile(NamedTuple):
    """A saved target; what it does not have is None or empty."""

    path: str
    plain: Mapping[str, Any]
    """the facts of `_PLAIN`, by name"""
    version: Version | None
    arch: tuple[str, Endianness | None] | None
    config: Config | None
    tables: tuple[Symvers, ...]
    btf: Btf | None
    builtin: Builtin | None
    certificates: tuple[Certificate, ...]
    all_certificates: bool
    entry_points: frozenset[int] | None
    sys_module: frozenset[str] | None
    build: Build
    built_against: Build | None
    tied: Tie | None
    files: Mapping[str, bytes | None]
    """what the modules directory tells, as files of a root file system (`ModulesDir.outline`)"""
    sources: Mapping[str, str]
    notes: tuple[str, ...]

    @property
    def standing(self) -> Standing:
        return self.build.standing

    def origin(self, fact: str) -> str:
        """Where a fact came from when it was saved."""
        source = self.sources.get(fact)
        return f"{self.path} ({source})" if source else self.path


def data_of(target: Target) -> dict[str, Any]:
    """What a profile has beside the document of `modcheck target`."""
    outside = [row for rows in target.modules.outside.values() for row in rows] if target.modules else []
    tables = list(target.symbols.tables) if target.symbols else []
    if outside:
        tables.append(Symvers(render(outside), "modules that did not come with the kernel"))
    return {
        "config": _packed(target.config.text.encode()) if target.config else None,
        "symbols": [
            {
                "path": table.path,
                "whole": table.whole,
                "inferred": table.inferred,
                "names_all": table.has_kernel,
                "cut": table.cut,
                "rows": table.rows,
                "has_crcs": table.has_crcs,
                "table": _packed(table.text),
            }
            for table in tables
        ],
        "btf": _packed(target.btf.data) if target.btf else None,
        "builtin": [sorted(names) for names in target.builtin] if target.builtin else None,
        "certificates": [
            [
                one.issuer.hex(),
                f"{one.serial:x}",
                one.key_id.hex(),
                one.key.hex() if one.key is not None else None,
                one.in_image,
            ]
            for one in target.certificates
        ],
        "all_certificates": target.all_certificates,
        "entry_points": None if target.entry_points is None else sorted(target.entry_points),
        "sys_module": None if target.sys_module is None else sorted(target.sys_module),
        "build": _build(target.build),
        "built_against": _build(target.built_against),
        "tied": _tie(target.tied),
        "modules": _packed(_folder(target.modules.outline())) if target.modules else None,
    }


def read_profile(path: str) -> Profile:
    """The profile in the file `path`.

    :raises UnreadableError: it cannot be read
    :raises TargetError: it is none, is damaged, or is of a later form
    """
    try:
        document = json.loads(read_bytes(path))
        form = document["profile"] if isinstance(document, dict) else None
        if not isinstance(form, int) or form > FORM:
            raise TargetError(path, f"a profile of form {form}, made by a later modcheck; known here is {FORM}")
        return _profile(path, document["target"], document["data"])
    except KeyError as error:
        raise TargetError(path, f"no profile that `modcheck target -o` saved: {error} is missing") from None
    except (ValueError, TypeError, AttributeError, IndexError, lzma.LZMAError, RecursionError) as error:
        raise TargetError(path, f"damaged profile: {error}") from None


def _profile(path: str, target: dict[str, Any], data: dict[str, Any]) -> Profile:
    sources, arch, order = target["sources"], target["arch"], target["endianness"]
    for name, kind in (*_PLAIN.items(), ("version", str), ("sources", dict), ("notes", list)):
        if not isinstance(target.get(name), (kind, type(None))) or (kind in (dict, list) and target[name] is None):
            raise ValueError(f"{name} is {target.get(name)!r}")
    if arch is not None and arch not in ARCHES:
        raise ValueError(f"no architecture {arch!r}")
    files = _files(_unpacked(data["modules"]) or b"{}")
    if files and not any(name.startswith("lib/modules/") for name in files):
        raise ValueError("a modules directory without modules")
    build = _read_build(data.get("build")) or Build("built" if data["built_here"] else "runs", (path,))
    tied = _read_tie(data.get("tied")) if "tied" in data else _tie_of_form_1(data, build)
    config = _unpacked(data["config"])
    btf = _unpacked(data["btf"])
    return Profile(
        path=path,
        plain={name: target.get(name) for name in _PLAIN},
        version=parse_version(target["version"]) if target["version"] else None,
        arch=(arch, order) if arch else None,
        config=Config(config.decode(), f"{path} ({sources.get('config')})") if config is not None else None,
        tables=tuple(
            Symvers(
                _unpacked(one["table"]) or b"",
                f"{path} ({one['path']})",
                whole=one["whole"],
                inferred=one["inferred"],
                names_all=one["names_all"],
                cut=one.get("cut", False),
            )
            for one in data["symbols"]
        ),
        btf=Btf(btf, order or "little") if btf is not None else None,
        builtin=Builtin(*map(frozenset, data["builtin"])) if data["builtin"] else None,
        certificates=tuple(
            Certificate(
                bytes.fromhex(issuer),
                int(serial, 16),
                bytes.fromhex(key_id),
                bytes.fromhex(key) if key else None,
                inside,
            )
            for issuer, serial, key_id, key, inside in data["certificates"]
        ),
        all_certificates=data["all_certificates"],
        entry_points=None if data["entry_points"] is None else frozenset(data["entry_points"]),
        sys_module=None if data["sys_module"] is None else frozenset(data["sys_module"]),
        build=build,
        built_against=_read_build(data.get("built_against")),
        tied=tied,
        files=files,
        sources=sources,
        notes=tuple(target["notes"]),
    )


def _build(build: Build | None) -> dict[str, Any] | None:
    """What identifies a build, but for its `.config`, which the profile has in another place."""
    if build is None:
        return None
    return {name: getattr(build, name) for name in _IDENTITY} | {"sources": list(build.sources)}


def _read_build(saved: dict[str, Any] | None) -> Build | None:
    if saved is None:
        return None
    if saved["standing"] not in ("runs", "built", "assumed"):
        raise ValueError(f"a build that {saved['standing']!r}")
    facts: dict[str, Any] = {name: saved.get(name) for name in _IDENTITY}
    return Build(sources=tuple(map(str, saved["sources"])), **facts)


def _tie(tied: Tie | None) -> dict[str, Any] | None:
    if tied is None:
        return None
    names = tied.names | tied.more.names if tied.more and not tied.whole else tied.names
    return {**tied._replace(more=None)._asdict(), "names": sorted(names)}


def _read_tie(saved: dict[str, Any] | None) -> Tie | None:
    if saved is None:
        return None
    if saved["state"] not in ("tied", "assumed", "other"):
        raise ValueError(f"a table that is {saved['state']!r}")
    return Tie(
        saved["state"],
        str(saved["table"]),
        tuple(saved["by"]),
        bool(saved["whole"]),
        frozenset(saved["names"]),
        tuple(saved["against"]),
        saved["other"],
        bool(saved["configured"]),
    )


def _tie_of_form_1(data: dict[str, Any], build: Build) -> Tie | None:
    """How a table was tied was not saved: one that no image or modules gave is taken for the kernel's."""
    given = [one for one in data["symbols"] if one["names_all"] and one["whole"] and not one["inferred"]]
    return Tie("assumed", given[0]["path"], (), False) if given and build.standing == "runs" else None


def _packed(data: bytes) -> str:
    return b64encode(lzma.compress(data, preset=6)).decode()


def _unpacked(text: str | None) -> bytes | None:
    if text is None:
        return None
    stream = lzma.LZMADecompressor(lzma.FORMAT_XZ, memlimit=LIMIT)
    data = stream.decompress(b64decode(text), LIMIT)
    if not stream.eof:
        raise ValueError("its data is cut, or too large")
    return data


def _folder(files: Mapping[str, bytes | None]) -> bytes:
    """The files of a modules directory as one text."""
    texts = {name: None if data is None else data.decode("utf-8", "surrogateescape") for name, data in files.items()}
    return json.dumps(texts).encode()


def _files(text: bytes) -> dict[str, bytes | None]:
    return {
        str(name): None if data is None else data.encode("utf-8", "surrogateescape")
        for name, data in json.loads(text).items()
    }
