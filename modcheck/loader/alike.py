"""Modules of one build on a kernel of another processor: refused alike, by what the kernel reads before any section."""

from __future__ import annotations

from dataclasses import fields
from typing import Any

from ..module.facts import Module
from ..version import Version
from .facts import Load, Prediction
from .stages.depmod import folder_of
from .stages.license import is_proprietary
from .stages.signature import trusted_key


class Alike:
    """The refusals of one kernel that all modules of a build share; for judges that look no further than these.

    What such a prediction says depends on `Module.front`, on the folder that the module lies in, and on the kernel.
    """

    def __init__(self) -> None:
        self._known: dict[_Key, dict[str, Any]] = {}

    def find(self, module: Module, version: Version, already: frozenset[str]) -> Prediction | None:
        """The refusal of `module`; None where none of its build is known to be refused so.

        :param already: what the kernel prints only once and has printed
        """
        shared = self._known.get(_key(module, version)) if self._known else None
        if shared is None:
            return None
        read = module.as_read(version)
        return Prediction(module=read, spent=already, proprietary=is_proprietary(read, version), **shared)

    def keep(self, load: Load, prediction: Prediction, already: frozenset[str]) -> None:
        """Remember a refusal, if it is one of these: not where other modules, or the digest of this one, had a say."""
        rule = next((one.rule for one in prediction.findings if one.level == "error" and not one.ignored), None)
        swapped = load.target.endianness not in (None, load.module.elf.endianness)
        certificate = trusted_key(load)
        if (
            load.given.front is not None
            and (rule == "arch" or (rule == "elf-format" and swapped))
            and not (load.dependencies or load.cycle or (certificate and certificate.key))
            and prediction.spent == already
        ):
            self._known[_key(load.given, load.version)] = {name: getattr(prediction, name) for name in _SHARED}


_Key = tuple[str | None, Version, str | None]
_SHARED = {one.name for one in fields(Prediction)} - {"module", "spent", "proprietary"}


def _key(module: Module, version: Version) -> _Key:
    return module.front, version, folder_of(module.path)
