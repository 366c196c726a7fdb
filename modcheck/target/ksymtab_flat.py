"""The export table of a kernel in a flat image, found by its structure alone.

In memory come the entries (those for all, then those for GPL-compatible modules; one table with flags since 7.1), their
CRCs where there are any, the flags, the strings. Each table is sorted by name. So: a block of names, before it a table
of which every entry points into it, between the two a number of bytes that tells the rest.
"""

from __future__ import annotations

import re
import struct
from collections import Counter
from collections.abc import Iterator, Sequence
from itertools import pairwise
from typing import NamedTuple

from ..module.facts import Export
from .ksymtab import Layout, follow_crcs, rows

#: how names end that kernels of every configuration export; the whole name may be the tail of another
_ANCHORS = (b"kfree\0", b"strlen\0", b"jiffies\0", b"module_layout\0", b"printk\0")
_NAME = re.compile(rb"[A-Za-z_.][\w.$]*\Z")
_IN_STRINGS = re.compile(rb"[\w.$:,*\0-]+")
_OUTSIDE = bytes(byte if _IN_STRINGS.match(bytes((byte,))) else 255 for byte in range(256))
#: how far a block of names reaches, and how far before it its table may begin
_BLOCK, _BEFORE = 4 << 20, (700 << 10, 3 << 20)
#: fewer names than that are not told from chance
_LEAST = 150
#: a table is sorted, each kind of export by itself: so often the alphabet begins anew, and so long is each part
_RESTARTS, _SHORTEST = 5, 24
#: bytes of a name, on the average at least: what has fewer is not text
_AVERAGE = 6
_SLACK = 72
_SAMPLE = 32


class _Found(NamedTuple):
    """A table in the image: file offsets of its first byte, of names and of namespaces; entry by entry."""

    start: int
    layout: Layout
    names: list[bytes]
    name_offsets: list[int]
    namespaces: list[bytes]
    namespace_offsets: list[int]


def search(data: bytes) -> tuple[Export, ...] | None:
    """What the kernel in the flat image `data` exports; None where no table is found, or none that is understood."""
    blocks = _blocks(data)
    # small numbers have zeros where a word ends, if it begins with its least byte
    likely = "<" if data[3::4].count(0) >= data[0::4].count(0) else ">"
    for before in _BEFORE:
        for start, end in blocks:
            for layout in sorted(_LAYOUTS, key=lambda layout: layout.order != likely):
                found = _search(data, layout, start, end, before)
                if found and (exports := _read(data, found)):
                    return exports
    return None


#: the usual ones first: a table that is sorted, and followed by as many bytes as it must be, is no chance
_LAYOUTS = [
    Layout(order, relative, word, fields)
    for order in "<>"
    for fields in (3, 2)
    for relative, word in ((True, 4), (False, 8), (False, 4))
]


def _blocks(data: bytes) -> list[tuple[int, int]]:
    """Where names stand close together around an anchor, the smallest first."""
    found: list[tuple[int, int]] = []
    for anchor in _ANCHORS:
        at = data.find(anchor)
        while at >= 0:
            known = next((end for start, end in found if start <= at < end), None)
            if known is None:
                match = _IN_STRINGS.match(data, at, at + _BLOCK)
                low = max(0, at - _BLOCK)
                start = low + data[low:at].translate(_OUTSIDE).rfind(b"\xff") + 1
                known = match.end() if match else at + 1
                names = data.count(b"\0", start, known)
                if names >= _LEAST and known - start >= _AVERAGE * names:
                    found.append((start, known))
            at = data.find(anchor, known)
    return sorted(found, key=lambda block: block[1] - block[0])


def _search(data: bytes, layout: Layout, start: int, end: int, before: int) -> _Found | None:
    """The longest table of that layout before the block of names."""
    low = max(0, start - before) & -layout.word
    size = (start - low) // layout.word * layout.word
    words = layout.words(data[low : low + size])
    best: _Found | None = None
    for phase in range(layout.fields):
        names = words[phase + 1 :: layout.fields]
        places = range(low + layout.word * (phase + 1), low + size, layout.word * layout.fields)
        for first, last, base in _runs(layout, names, places, start, end, data):
            offsets = [
                (place + word if layout.relative else word - base)
                for word, place in zip(names[first:last], places[first:last])
            ]
            found = _table(data, layout, low + layout.word * (phase + first * layout.fields), offsets, start, end, base)
            if found and (best is None or len(found.names) > len(best.names)):
                best = found
    return best


def _runs(
    layout: Layout, names: Sequence[int], places: Sequence[int], start: int, end: int, data: bytes
) -> Iterator[tuple[int, int, int]]:
    """First and last of each long run of entries whose names are in the block, and the address of the image's start."""
    for begin, stop in _near(layout, names, places, start, end):
        first = begin
        if layout.relative:
            for index in range(begin, stop + 1):
                if index == stop or not start <= places[index] + names[index] < end:
                    if index - first >= _LEAST:
                        yield first, index, 0
                    first = index + 1
            continue
        low = high = names[begin]
        for index in range(begin, stop + 1):
            word = names[index] if index < stop else -1
            low, high = min(low, word), max(high, word)
            if high - low >= end - start or index == stop:
                run = names[first:index]
                if index - first >= _LEAST and 2 * len(set(run)) > len(run):
                    base = _base(run, start, end, data)
                    if base is not None:
                        yield first, index, base
                first, low, high = index, word, word


def _near(
    layout: Layout, names: Sequence[int], places: Sequence[int], start: int, end: int
) -> Iterator[tuple[int, int]]:
    """Where a table may be: one entry in so many is looked at, and a table has several of these in a row."""
    sampled = names[::_SAMPLE]
    if layout.relative:
        good = [start <= place + word < end for word, place in zip(sampled, places[::_SAMPLE])]
    else:
        good = [abs(word - other) < end - start and word != other for word, other in pairwise(sampled)]
    first = None
    for index, one in enumerate((*good, False)):
        if one and first is None:
            first = index
        elif not one and first is not None:
            if index - first >= _LEAST // _SAMPLE - 1:
                yield max(0, (first - 1) * _SAMPLE), min(len(names), (index + 2) * _SAMPLE)
            first = None


def _base(names: Sequence[int], start: int, end: int, data: bytes) -> int | None:
    """The address of the image's first byte: where most pointers would point to a name's beginning."""
    begins: dict[int, list[int]] = {}
    at = start
    while 0 <= at < end:
        begins.setdefault(at & 0xFFF, []).append(at)
        at = data.find(b"\0", at, end) + 1 or end
    votes: Counter[int] = Counter()
    for word in names[:: max(1, len(names) // 200)]:
        votes.update(word - place for place in begins.get(word & 0xFFF, ()))
    (winner, count), *_ = votes.most_common(1) or [(0, 0)]
    return winner if count >= 50 else None


def _table(
    data: bytes, layout: Layout, first: int, offsets: Sequence[int], start: int, end: int, base: int
) -> _Found | None:
    """The longest stretch of the entries from `first` on whose names are sorted, part by part."""
    names = [_string(data, offset) if start <= offset < end else b"" for offset in offsets]
    stretch = _sorted_stretch(names)
    if stretch is None:
        return None
    a, b = stretch
    step = layout.word * layout.fields
    begin = first + a * step
    spaces: list[int] = []
    if layout.fields == 3:
        words = layout.words(data[begin : begin + (b - a) * step])[2::3]
        for place, word in zip(range(begin + 2 * layout.word, begin + (b - a) * step, step), words):
            spaces.append((place + word if layout.relative else word - base) if word else -1)
        if not all(offset == -1 or start <= offset < end for offset in spaces):
            return None
    namespaces = [_string(data, offset) if offset >= 0 else b"" for offset in spaces] or [b""] * (b - a)
    return _Found(begin, layout, names[a:b], list(offsets[a:b]), namespaces, spaces)


def _string(data: bytes, offset: int) -> bytes:
    return data[offset : data.find(b"\0", offset)]


def _sorted_stretch(names: Sequence[bytes]) -> tuple[int, int] | None:
    """First and last of the longest run of names that are sorted in a few parts, none of them short."""
    parts: list[list[int]] = []
    for index, name in enumerate(names):
        if not _NAME.match(name):
            parts.append([])
        elif parts and parts[-1] and names[parts[-1][-1]] <= name:
            parts[-1].append(index)
        else:
            parts.append([index])
    best: tuple[int, int] | None = None
    run: list[list[int]] = []
    for part in (*parts, []):
        if len(part) >= _SHORTEST and (not run or run[-1][-1] + 1 == part[0]):
            run.append(part)
            run = run[-_RESTARTS - 1 :]
            first, last = run[0][0], part[-1] + 1
            if last - first >= _LEAST and (best is None or last - first > best[1] - best[0]):
                best = first, last
        else:
            run = [part] if len(part) >= _SHORTEST else []
    return best


def _read(data: bytes, found: _Found) -> tuple[Export, ...] | None:
    """The exports of a table, with what lies between it and its strings; None where that is not understood."""
    count = len(found.names)
    layout = found.layout
    end = found.start + count * layout.word * layout.fields
    strings = min(offset for offset in (*found.name_offsets, *found.namespace_offsets) if offset >= 0)
    gap = strings - end
    each = next((each for each in (0, 1, 4, 5, 8) if 0 <= gap - each * count <= _SLACK), None)
    if each is None:
        return None
    crcs: Sequence[int | None] = [None] * count
    if each in (4, 5):
        crcs = follow_crcs(data, end, struct.unpack_from(f"{layout.order}{count}I", data, end), layout.order)
    elif each == 8:
        crcs = struct.unpack_from(f"{layout.order}{count}Q", data, end)
    if each in (1, 5):
        place = end + (each - 1) * count
        gpl = [bool(flag & 1) for flag in data[place : place + count]]
    else:
        restart = next((index for index, (one, other) in enumerate(pairwise(found.names), 1) if one > other), count)
        gpl = [index >= restart for index in range(count)]
    return rows(found.names, crcs, gpl, found.namespaces)
