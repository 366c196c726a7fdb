"""Which kernels and which modules a stage of the load path is about: the others do not go through it."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

from ..module.facts import Module
from ..target.facts import Target
from .facts import Stage


class Concern(NamedTuple):
    """What a stage has something to say about: no others need to go through it."""

    since: tuple[int, int] = (2, 6)
    """the first kernels that have it"""
    targets: Callable[[Target], object] | None = None
    """of a kernel: whether it may find anything there; None: in any"""
    modules: Callable[[Module], object] | None = None
    """of a module: the same"""


_ANY = Concern()
_concerns: dict[Stage, Concern] = {}


def concerns(
    since: tuple[int, int] = (2, 6),
    *,
    targets: Callable[[Target], object] | None = None,
    modules: Callable[[Module], object] | None = None,
) -> Callable[[Stage], Stage]:
    """Mark a stage as one that most modules, or most kernels, have no part in; see `Concern`."""

    def mark(stage: Stage) -> Stage:
        _concerns[stage] = Concern(since, targets, modules)
        return stage

    return mark


def concern_of(stage: Stage) -> Concern:
    """What a stage has something to say about."""
    return _concerns.get(stage, _ANY)
