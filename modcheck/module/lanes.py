"""Columns of numbers compared all at once, in C: as bytes, and as lanes of one large integer.

The highest bit of a lane is its guard: set before a subtraction, it is still set where that did not go below zero, and
nothing is borrowed from the next lane. So one subtraction tells whether any of thousands of numbers is too large.
"""

from __future__ import annotations

from functools import cache


@cache
def _guards(bits: int) -> int:
    """The highest bit of each of 2 ** `bits` lanes of 32 bits."""
    return int.from_bytes(b"\0\0\0\x80" * (1 << bits), "little")


def all_below(low: bytes, high: bytes, limit: int) -> bool:
    """Whether every number, of which `low` and `high` are the bytes, is less than `limit`."""
    page, rest = divmod(limit, 256)
    if page > 255:
        return True
    if high.translate(None, bytes(range(page + 1))):
        return False
    is_last = high.translate(bytes(page) + b"\1" + bytes(255 - page))
    is_over = low.translate(bytes(rest) + b"\1" * (256 - rest))
    return not int.from_bytes(is_last, "little") & int.from_bytes(is_over, "little")


def all_apart(numbers: bytes | bytearray, widths: bytes, ends: list[int]) -> bool:
    """Whether numbers, less than 2 ** 24 and of four bytes each, ascend by their widths, and by one at least.

    They are of several tables one behind the other, each of which is looked at alone.

    :param ends: how many numbers those of each table end behind
    """
    count = len(widths)
    steps = bytearray(b"\xff\xff\xff\x7f" * count)  # what sets the guard, but for the width
    steps[::4] = widths.translate(_NEGATIVE)
    for end in ends:
        steps[4 * end - 1] = 0x81  # sets it whatever is subtracted
    lanes = int.from_bytes(numbers, "little")
    found = (lanes >> 32) + int.from_bytes(steps, "little") - lanes
    bits = count.bit_length()
    guards = _guards(bits) >> 32 * ((1 << bits) - count)
    return found & guards == guards


_NEGATIVE = bytes(-max(width, 1) & 0xFF for width in range(256))
