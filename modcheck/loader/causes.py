"""What advice/ adds to a prediction: why, what mends it, and what to fetch to know more."""

from __future__ import annotations

from typing import Literal, NamedTuple

Confidence = Literal["certain", "likely", "possible"]


class TypeChange(NamedTuple):
    """A structure (or another type) that two builds lay out differently, and the first place where they do."""

    type: str
    """in C's words: `struct cdev`"""
    member: str
    """the first member that differs; empty where the type has none"""
    change: str
    """what differs, in words"""
    symbols: tuple[str, ...]
    """the symbols of other CRCs that have it in their signature, or reach it from there"""
    by_way_of: str = ""
    """the type in the signature through which it is reached, where it is not there itself"""


class Cause(NamedTuple):
    """Why a module is refused, or cannot be judged, as far as the facts tell; filled in by advice/."""

    name: str
    """one word, stable"""
    confidence: Confidence
    """`certain`: the facts leave no other; `likely`: the commonest by far of what leaves such facts; `possible`"""
    why: str
    evidence: tuple[str, ...]
    """what it rests on, each with where it stands"""
    fix: tuple[str, ...]
    """commands, in their order, and what else to do"""
    explains: tuple[str, ...]
    """the rules whose findings it is about"""
    types: tuple[TypeChange, ...] = ()


class Fetch(NamedTuple):
    """A file of the board, and what it decides."""

    file: str
    option: str
    """the option that takes it"""
    decides: tuple[str, ...]
    """rules"""
