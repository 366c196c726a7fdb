"""The export table of a kernel in a flat image, found by its structure alone.

In memory come the entries (those for all, then those for GPL-compatible modules; one table with flags since 7.1), their
CRCs where there are any, the flags, the strings. Each table is sorted by name since 2.6.39; before that its entries are
in the order of the files that were linked, as are their names. So: a block of names, before it a table of which every
entry points into it, between the two a number of bytes that tells the rest.
"""

from __future__ import annotations

import re
import struct
import sys
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from functools import cache, partial
from heapq import nlargest
from itertools import pairwise
from typing import Any, NamedTuple

from .ksymtab_table import Layout, Table, columns, follow_crcs

#: how names end that kernels of every configuration export; the whole name may be the tail of another
_ANCHORS = (b"kfree\0", b"strlen\0", b"jiffies\0", b"module_layout\0", b"printk\0")
_NAME = re.compile(rb"[A-Za-z_.][\w.$]*\Z")
_IN_STRINGS = re.compile(rb"[\w.$:,*\0-]+")
_OUTSIDE = bytes(byte if _IN_STRINGS.match(bytes((byte,))) else 255 for byte in range(256))
#: so many zeros are no end of a string, and of the empty one behind it, but the end of all
_ZEROS = bytes(8)
#: how far a block of names reaches; more than the names of any kernel's exports
_BLOCK, _NAMES = 4 << 20, 1 << 20
#: a table is sorted, each kind of export by itself: so often the alphabet begins anew
_RESTARTS = 5
#: bytes of a name, on the average at least: what has fewer is not text
_AVERAGE = 6
#: bytes behind the beginning of the names that may yet be the table's
_OVERLAP = 72
#: runs of entries that are looked into, the longest first; places of a name that all kernels export
_MOST_RUNS, _MOST_ANCHORS = 8, 64
#: types of relocations that mean "the kernel's base plus the addend": arm64, riscv, powerpc, s390, x86-64
_RELATIVE = (0x403, 3, 22, 12, 8)
#: fewer records of that kind are none; one in so many is looked at
_RECORDS, _EACH = 2000, 64


class _Effort(NamedTuple):
    """How much is looked through, and how little is believed."""

    before: int
    """how far before the names their table may begin"""
    least: int
    """fewer names are not told from chance"""
    shortest: int
    """names in each sorted part of a table"""
    sample: int
    """one entry in so many is looked at first"""
    aligned: bool = True
    """whether the image begins at a page, and not behind something else"""
    votes: int = 200
    """so many addresses are asked where the image begins"""
    share: int = 4
    """one in so many of them must agree"""


#: as most kernels want it; a very large table; a dump; a kernel that exports little (CONFIG_TRIM_UNUSED_KSYMS)
_EFFORTS = (
    _Effort(700 << 10, 150, 24, 32),
    _Effort(3 << 20, 150, 24, 32),
    _Effort(700 << 10, 150, 24, 32, aligned=False, votes=40),
    _Effort(64 << 10, 40, 6, 8),
)


_Places = dict[int, list[int]]


class _Found(NamedTuple):
    """A table in the image: file offsets of its first byte, of names and of namespaces; entry by entry."""

    start: int
    layout: Layout
    names: list[bytes]
    name_offsets: list[int]
    namespaces: list[bytes]
    namespace_offsets: list[int]
    restarts: list[int]
    """where a part begins: what is for GPL-compatible modules"""


def search(data: bytes) -> Table | None:
    """What the kernel in the flat image `data` exports; None where no table is found, or none that is understood."""
    # small numbers have zeros where a word ends, if it begins with its least byte
    likely = "<" if data[3::4].count(0) >= data[0::4].count(0) else ">"
    layouts = sorted(_LAYOUTS, key=lambda layout: layout.order != likely)
    for effort in _EFFORTS:
        if table := _searched(data, layouts, effort):
            return table
    for order in dict.fromkeys((likely, "<", ">")):
        relocated = _relocated(data, order)
        if relocated and (table := _searched(relocated, layouts, _EFFORTS[0])):
            return table
    return None


def _searched(data: bytes, layouts: Sequence[Layout], effort: _Effort) -> Table | None:
    for start, end in _blocks(data, effort):
        begins = cache(partial(_begins, data, start, end, effort))
        for layout in layouts:
            found = _search(data, layout, start, end, begins, effort)
            if found and (table := _read(data, found)):
                return table
    return None


def _relocated(data: bytes, order: str) -> bytes | None:
    """The image as a kernel leaves it that writes addresses into itself when it starts; None where it has no list.

    The list has records of 24 bytes: a place, the type for "base plus addend", the addend. Some linkers leave zeros in
    the places: arm64 up to 4.18, powerpc, riscv.
    """
    size = len(data) // 8
    view = memoryview(data)[: size * 8]
    kinds = {int.from_bytes(struct.pack(f"{order}Q", kind), sys.byteorder) for kind in _RELATIVE}
    for phase in range(3):
        sampled = view.cast("Q")[phase :: 3 * _EACH].tolist()
        first, last = max((_longest_run(sampled, kind) for kind in kinds), key=lambda run: run[1] - run[0])
        if (last - first) * _EACH < _RECORDS:
            continue
        begin, stop = 8 * phase + 24 * _EACH * first - 8, 8 * phase + 24 * _EACH * (last - 1) + 16
        words = struct.unpack(f"{order}{(stop - begin) // 8}Q", data[begin:stop])
        addends = words[2::3]
        distinct = sorted({*addends})
        for start, end in _blocks(data, _EFFORTS[0]):
            every = _EFFORTS[0]._replace(votes=len(distinct), share=50)
            base = _base(distinct, _begins(data, start, end, every), every)
            if base is not None:
                made = bytearray(data)
                for place, addend in zip(words[0::3], addends):
                    if 0 <= place - base <= len(made) - 8:
                        struct.pack_into(f"{order}Q", made, place - base, addend)
                return bytes(made)
    return None


def _longest_run(values: Sequence[int], wanted: int) -> tuple[int, int]:
    """First and last of the longest run of one value."""
    best, start = (0, 0), 0
    for index, value in enumerate((*values, None)):
        if value != wanted:
            best = max(best, (start, index), key=lambda run: run[1] - run[0])
            start = index + 1
    return best


#: the usual ones first: a table that is sorted, and followed by as many bytes as it must be, is no chance
_LAYOUTS = [
    Layout(order, relative, word, fields)
    for order in "<>"
    for fields in (3, 2)
    for relative, word in ((True, 4), (False, 8), (False, 4))
]


def _blocks(data: bytes, effort: _Effort) -> list[tuple[int, int]]:
    """Where names stand close together around an anchor, the smallest first."""
    found: list[tuple[int, int]] = []
    for anchor in _ANCHORS:
        at = data.find(anchor)
        for _ in range(_MOST_ANCHORS):
            if at < 0:
                break
            known = next((end for start, end in found if start <= at < end), None)
            if known is None:
                low, high = max(0, at - _BLOCK), data.find(_ZEROS, at, at + _BLOCK)
                match = _IN_STRINGS.match(data, at, at + _BLOCK if high < 0 else high + 1)
                zeros = data.rfind(_ZEROS, low, at)
                low = low if zeros < 0 else zeros + len(_ZEROS) - 1
                start = low + data[low:at].translate(_OUTSIDE).rfind(b"\xff") + 1
                known = match.end() if match else at + 1
                names = data.count(b"\0", start, known)
                if names >= effort.least and known - start >= _AVERAGE * names:
                    found.append((start, known))
            at = data.find(anchor, known)
    blocks = sorted(found, key=lambda block: block[1] - block[0])
    return blocks if effort.aligned else [block for block in blocks if block[1] - block[0] < _NAMES]


def _search(
    data: bytes, layout: Layout, start: int, end: int, begins: Callable[[], _Places], effort: _Effort
) -> _Found | None:
    """The longest table of that layout before the block of names."""
    low = max(0, start - effort.before) & -layout.word
    # the end of a table may look like the beginning of the names behind it
    size = (min(start + _OVERLAP, end) - low) // layout.word * layout.word
    words = layout.words(data[low : low + size])
    best: _Found | None = None
    for phase in range(layout.fields):
        names = words[phase + 1 :: layout.fields]
        places = range(low + layout.word * (phase + 1), low + size, layout.word * layout.fields)
        runs = _runs(layout, names, places, start, end, effort)
        for first, last in nlargest(_MOST_RUNS, runs, key=lambda run: run[1] - run[0]):
            base = 0 if layout.relative else _base(names[first:last], begins(), effort)
            if base is None:
                continue
            offsets = [
                (place + word if layout.relative else word - base)
                for word, place in zip(names[first:last], places[first:last])
            ]
            begin = low + layout.word * (phase + first * layout.fields)
            found = _table(data, layout, begin, offsets, start, end, base, effort)
            if found and (best is None or len(found.names) > len(best.names)):
                best = found
    return best


def _runs(
    layout: Layout, names: Sequence[int], places: Sequence[int], start: int, end: int, effort: _Effort
) -> Iterator[tuple[int, int]]:
    """First and last of each long run of entries whose names may be in the block."""
    for begin, stop in _near(layout, names, places, start, end, effort):
        first = begin
        if layout.relative:
            for index in range(begin, stop + 1):
                if index == stop or not start <= places[index] + names[index] < end:
                    if index - first >= effort.least:
                        yield first, index
                    first = index + 1
            continue
        low = high = names[begin]
        for index in range(begin, stop + 1):
            word = names[index] if index < stop else -1
            low, high = min(low, word), max(high, word)
            if high - low >= end - start or index == stop:
                run = names[first:index]
                if index - first >= effort.least and 2 * len(set(run)) > len(run):
                    yield first, index
                first, low, high = index, word, word


def _near(
    layout: Layout, names: Sequence[int], places: Sequence[int], start: int, end: int, effort: _Effort
) -> Iterator[tuple[int, int]]:
    """Where a table may be: one entry in so many is looked at, and a table has several of these in a row."""
    step = effort.sample
    sampled = names[::step]
    if layout.relative:
        good = [start <= place + word < end for word, place in zip(sampled, places[::step])]
    else:
        good = [abs(word - other) < end - start and word != other for word, other in pairwise(sampled)]
    first = None
    for index, one in enumerate((*good, False)):
        if one and first is None:
            first = index
        elif not one and first is not None:
            if index - first >= effort.least // step - 1:
                yield max(0, (first - 1) * step), min(len(names), (index + 2) * step)
            first = None


def _begins(data: bytes, start: int, end: int, effort: _Effort) -> _Places:
    """Where the names of a block begin, by what is the same of an offset and its address."""
    mask = 0xFFF if effort.aligned else 0
    found: _Places = {}
    at = start
    while 0 <= at < end:
        found.setdefault(at & mask, []).append(at)
        at = data.find(b"\0", at, end) + 1 or end
    return found


def _base(names: Sequence[int], begins: _Places, effort: _Effort) -> int | None:
    """The address of the image's first byte: where most pointers would point to a name's beginning."""
    mask = 0xFFF if effort.aligned else 0
    asked = names[:: max(1, len(names) // effort.votes)]
    votes: Counter[int] = Counter()
    for word in asked:
        votes.update(word - place for place in begins.get(word & mask, ()))
    (winner, count), *_ = votes.most_common(1) or [(0, 0)]
    return winner if effort.share * count >= len(asked) else None


def _table(
    data: bytes, layout: Layout, first: int, offsets: Sequence[int], start: int, end: int, base: int, effort: _Effort
) -> _Found | None:
    """The longest stretch of the entries from `first` on whose names are sorted, part by part, and what adjoins it."""
    names = [_string(data, offset) if start <= offset < end else b"" for offset in offsets]
    keys: Sequence[Any] = names
    stretch = _sorted_stretch(names, keys, effort)
    if stretch is None and layout.fields == 2 and not layout.relative:
        keys = offsets
        stretch = _sorted_stretch(names, keys, effort)
    if stretch is None:
        return None
    a, b = stretch
    # short parts: what points to a name is an entry
    while a > 0 and _NAME.match(names[a - 1]):
        a -= 1
    while b < len(names) and _NAME.match(names[b]):
        b += 1
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
    restarts = [index for index, (one, other) in enumerate(pairwise(keys[a:b]), 1) if one > other]
    return _Found(begin, layout, names[a:b], list(offsets[a:b]), namespaces, spaces, restarts)


def _string(data: bytes, offset: int) -> bytes:
    return data[offset : data.find(b"\0", offset)]


def _sorted_stretch(names: Sequence[bytes], keys: Sequence[Any], effort: _Effort) -> tuple[int, int] | None:
    """First and last of the longest run of names that are sorted in a few parts by their keys, none of them short."""
    parts: list[list[int]] = []
    for index, name in enumerate(names):
        if not _NAME.match(name):
            parts.append([])
        elif parts and parts[-1] and keys[parts[-1][-1]] <= keys[index]:
            parts[-1].append(index)
        else:
            parts.append([index])
    best: tuple[int, int] | None = None
    run: list[list[int]] = []
    for part in (*parts, []):
        if len(part) >= effort.shortest and (not run or run[-1][-1] + 1 == part[0]):
            run.append(part)
            run = run[-_RESTARTS - 1 :]
            first, last = run[0][0], part[-1] + 1
            if last - first >= effort.least and (best is None or last - first > best[1] - best[0]):
                best = first, last
        else:
            run = [part] if len(part) >= effort.shortest else []
    return best


def _read(data: bytes, found: _Found) -> Table | None:
    """The exports of a table, with what lies between it and its strings; None where that is not understood."""
    count = len(found.names)
    layout = found.layout
    end = found.start + count * layout.word * layout.fields
    strings = min(offset for offset in (*found.name_offsets, *found.namespace_offsets) if offset >= 0)
    gap = strings - end
    each, rest = divmod(gap, count)
    if rest or each not in (0, 1, 4, 5, 8):
        return None
    crcs: Sequence[int | None] = [None] * count
    if each in (4, 5):
        crcs = follow_crcs(data, end, struct.unpack_from(f"{layout.order}{count}I", data, end), layout.order)
    elif each == 8:
        crcs = struct.unpack_from(f"{layout.order}{count}Q", data, end)
    restarts = found.restarts
    if each in (1, 5):
        place = end + (each - 1) * count
        flags = data[place : place + count]
        gpl = [bool(flag & 1) for flag in flags]
        understood = not restarts and max(flags) < 16
    else:
        gpl = [index >= restarts[0] for index in range(count)] if restarts else []
        understood = len(restarts) == 1
    # a symbol without a CRC is rare: many of them are a page that was lost
    if not understood or (each >= 4 and 50 * crcs.count(0) > count):
        return None
    names, namespaces = ([text.decode("latin-1") for text in texts] for texts in (found.names, found.namespaces))
    return columns(names, crcs, gpl, namespaces, layout)
