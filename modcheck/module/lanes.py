"""Columns of numbers compared all at once: each number is a lane of one large integer, of which Python computes in C.

The highest bit of a lane is its guard: set before a subtraction, it is still set where that did not go below zero, and
nothing is borrowed from the next lane. So one subtraction tells whether any of thousands of numbers is too large.
"""

from __future__ import annotations

import sys
from array import array
from functools import lru_cache


@lru_cache(maxsize=256)
def _ones(count: int, bits: int) -> int:
    """The number 1 in each of `count` lanes."""
    return int.from_bytes((1).to_bytes(bits // 8, "little") * count, "little")


def _lanes(column: array[int]) -> int:
    if sys.byteorder == "big":
        column = array(column.typecode, column)
        column.byteswap()
    return int.from_bytes(column.tobytes(), "little")


def all_below(column: array[int], limit: int) -> bool:
    """Whether every number of `column` (unsigned) is less than `limit`, which is less than half of what one holds."""
    bits = 8 * column.itemsize
    ones, numbers = _ones(len(column), bits), _lanes(column)
    guards = ones << (bits - 1)
    return limit > 0 and not numbers & guards and (guards | ones * (limit - 1)) - numbers & guards == guards


def all_apart(column: array[int], widths: int | array[int]) -> bool:
    """Whether the numbers of `column` ascend, each by its width at least: one for all, or one of each.

    They are unsigned, at least one, and with their widths less than half of what a lane holds.
    """
    bits = 8 * column.itemsize
    ones, numbers = _ones(len(column) - 1, bits), _lanes(column)
    guards = ones << (bits - 1)
    steps = ones * widths if isinstance(widths, int) else _lanes(widths)
    mask = (1 << bits * (len(column) - 1)) - 1
    return (numbers >> bits | guards) - (numbers & mask) - (steps & mask) & guards == guards


def all_fit_half(low: array[int], high: array[int]) -> bool:
    """Whether signed numbers, of which `low` and `high` are the halves, are as if of half the size."""
    bits = 8 * low.itemsize
    signs = _lanes(low) >> (bits - 1) & _ones(len(low), bits)
    return signs * ((1 << bits) - 1) == _lanes(high)
