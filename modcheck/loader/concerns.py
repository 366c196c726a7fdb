"""What a stage of the load path is about: which kernels, which modules, and whether it looks at others than the one
that is loaded. What it is not about does not go through it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, NamedTuple, TypeVar

from ..target.facts import Target
from .facts import Answer

#: of a `Load`; of a `LoadAmong` where it looks at other modules
Stage = Callable[[Any], Iterator[Answer]]
AnyStage = TypeVar("AnyStage", bound=Stage)


class Concern(NamedTuple):
    """What a stage has something to say about."""

    since: tuple[int, int] = (2, 6)
    """the first kernels that have it"""
    targets: Callable[[Target], object] | None = None
    """of a kernel: whether it may find anything there; None: in any"""
    modules: Callable[[Any], object] | None = None
    """the same of a `Module`, or of the `Links` of one"""
    others: bool = False
    """whether it looks at other modules"""


_ANY = Concern()
_concerns: dict[Stage, Concern] = {}


def concerns(
    since: tuple[int, int] = (2, 6),
    *,
    targets: Callable[[Target], object] | None = None,
    modules: Callable[[Any], object] | None = None,
    others: bool = False,
) -> Callable[[AnyStage], AnyStage]:
    """Mark a stage that looks at other modules, or that most modules or kernels have no part in; see `Concern`."""

    def mark(stage: AnyStage) -> AnyStage:
        _concerns[stage] = Concern(since, targets, modules, others)
        return stage

    return mark


def concern_of(stage: Stage) -> Concern:
    """What a stage has something to say about."""
    return _concerns.get(stage, _ANY)
