"""What the BPF verifier finds wrong with a module's BTF, and the lines that it writes of it.

`btf_parse_module()` of kernel/bpf/btf.c, 5.11 to 7.3: the header, the sections, each type by itself, then chains of
modifiers. Every message is a line of its own, which begins with `BPF: `.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from functools import lru_cache
from typing import NamedTuple

from ..btf import EXTRA, KINDS, MAGIC, VERSION, Btf, Type
from ..version import Version

_MAX_ID, _MAX_NAME_OFFSET = 0xFFFFF, 0xFFFFFF
(
    _INT, _PTR, _ARRAY, _STRUCT, _UNION, _ENUM, _FWD, _TYPEDEF, _VOLATILE, _CONST, _RESTRICT, _FUNC, _FUNC_PROTO, _VAR,
    _DATASEC, _FLOAT, _DECL_TAG, _TYPE_TAG, _ENUM64,
) = range(1, len(KINDS))  # fmt: skip
_MODIFIERS = frozenset((_TYPEDEF, _VOLATILE, _CONST, _RESTRICT, _TYPE_TAG))
_ENUM_SIZES = frozenset((1, 2, 4, 8))
#: until 7.0 a type has no more elements
_MAX_OLD_COUNT = 0xFFFF
#: a kind's flag, in the uppermost byte of a type's second word
_FLAG = 0x80
_STRUCTURES = (_STRUCT, _STRUCT | _FLAG, _UNION, _UNION | _FLAG)
#: these and the flag are new in 6.0
_NEW_ENUMS = (_ENUM | _FLAG, _ENUM64, _ENUM64 | _FLAG)
_ENUMS = (_ENUM, *_NEW_ENUMS)
_FWDS = (_FWD, _FWD | _FLAG)
_RARE = (_INT, _VAR, _DATASEC, _FLOAT, _DECL_TAG, _TYPE_TAG)
#: by that byte, how many elements a type has at most
_MOST = {
    **dict.fromkeys((_PTR, _ARRAY, *_FWDS, _TYPEDEF, _VOLATILE, _CONST, _RESTRICT), 0),
    _FUNC: 1,
    **dict.fromkeys((_FUNC_PROTO, *_STRUCTURES, *_ENUMS, *_RARE), _MAX_OLD_COUNT),
}
_ENCODINGS = {0: "(none)", 1: "SIGNED", 2: "CHAR", 4: "BOOL"}
#: newest kind by version
_NEWEST_KIND = (((6, 0), 19), ((5, 17), 18), ((5, 16), 17), ((5, 13), 16))
_LINE_SIZE = 1023
#: as the kernel's ctype has it: letters of Latin-1 too
_IDENTIFIER = re.compile(rb"[A-Za-z_.\xc0-\xd6\xd8-\xf6\xf8-\xff][0-9A-Za-z_.\xc0-\xd6\xd8-\xf6\xf8-\xff]*\0")
_LETTERS = frozenset(byte for byte in range(256) if _IDENTIFIER.match(bytes((byte, 0))))
_IN_IDENTIFIERS = bytes((*_LETTERS, *b"0123456789\0"))
_PRINTABLE = re.compile(rb"[ -~\xa0-\xff]+\0")


class Refusal(NamedTuple):
    """Why BTF is refused: the errno, and the lines without their `BPF: `.

    `about_type`: the lines describe a type or a member; since 6.4 a kernel that loads the module all the same does not
    write those. `bare`: they are written without it.
    """

    errno: str
    lines: tuple[bytes, ...]
    about_type: bool
    bare: bool = False


class _Stop(Exception):
    """The first fault: its errno and lines."""

    def __init__(self, *lines: bytes, errno: str = "EINVAL", about_type: bool = False) -> None:
        super().__init__()
        self.lines, self.errno, self.about_type = lines, errno, about_type


def verify(btf: Btf, base: Btf, version: Version) -> Refusal | None:
    """What a kernel of `version` refuses in `btf`, which continues `base`; None when it takes it.

    A module's continues the kernel's own; for BTF that stands alone `base` is empty.
    """
    try:
        _Verifier(btf, base, version).run()
    except _Stop as stop:
        return Refusal(stop.errno, tuple(line[:_LINE_SIZE] for line in stop.lines), stop.about_type)
    return None


@lru_cache(maxsize=2)
def _known_identifiers(base: Btf, long: bool) -> set[int]:
    """Where in the kernel's strings identifiers are, as far as modules have asked: they ask for the same ones."""
    return set()


class _Forms(dict[int, tuple[int, int]]):
    """The uppermost byte of a type's second word and the type's length in words, by that word, if it is a usual one."""

    def __missing__(self, info: int) -> tuple[int, int]:
        byte, count = info >> 24, info & 0xFFFFFF
        if count > _MOST[byte]:
            raise LookupError
        fixed, each = EXTRA.get(KINDS[byte & ~_FLAG], (0, 0))
        self[info] = form = byte, 3 + (fixed + each * count) // 4
        return form


_FORMS = _Forms()


class _Verifier:
    def __init__(self, btf: Btf, base: Btf, version: Version) -> None:
        self.btf, self.base, self.version = btf, base, version
        self.first_id = len(base.places)
        self.number = self.first_id
        self.words = btf.words
        self.section_length = len(btf.section)
        self.names_end = min(_MAX_NAME_OFFSET + 1, base.str_len + btf.str_len)
        self.identifiers = _known_identifiers(base, version.since(6, 1))
        self.new_layout = version.since(7, 1)
        self.newest_kind = next((kind for since, kind in _NEWEST_KIND if version.since(*since)), 15)
        self.name_length = 512 if version.since(6, 1) else 128

    def run(self) -> None:
        self._header()
        self._sections()
        self._strings()
        plain, short = self._look()
        if not plain:
            self._types()
        if not short:
            self._modifiers()

    # the container

    def _header(self) -> None:
        btf, size = self.btf, 32 if self.new_layout else 24
        if len(btf.data) < 8:
            raise _Stop(b"hdr_len not found")
        if len(btf.data) < btf.header_length:
            raise _Stop(b"btf_header not found")
        if any(btf.data[size : btf.header_length]):
            raise _Stop(b"Unsupported btf_header", errno="E2BIG")
        if btf.magic != MAGIC:
            raise _Stop(b"Invalid magic")
        if btf.version != VERSION:
            raise _Stop(b"Unsupported version", errno="ENOTSUPP")
        if btf.flags:
            raise _Stop(b"Unsupported flags", errno="ENOTSUPP")

    @property
    def _has_layout(self) -> bool:
        return self.new_layout and self.btf.header_length >= 32

    def _sections(self) -> None:
        btf = self.btf
        parts = [(btf.type_off, btf.type_len), (btf.str_off, btf.str_len)]
        if self._has_layout and btf.layout_len:
            parts.append((btf.layout_off, btf.layout_len))
        parts.sort()
        total, expected = 0, len(btf.data) - btf.header_length
        for offset, length in parts:
            if expected < offset:
                raise _Stop(b"Invalid section offset")
            if total < offset:
                raise _Stop(b"Unsupported section found")
            if total > offset:
                raise _Stop(b"Section overlap found")
            if expected - total < length:
                raise _Stop(b"Total section length too long")
            total += length
        if total != expected:
            raise _Stop(b"Unsupported section found")

    def _strings(self) -> None:
        btf = self.btf
        end = btf.header_length + btf.str_off + btf.str_len
        if not self._has_layout and end != len(btf.data):
            raise _Stop(b"String section is not at the end")
        alone = not self.base.str_len
        broken = btf.str_len - 1 > _MAX_NAME_OFFSET or btf.data[end - 1] or (alone and btf.strings[:1] != b"\0")
        if (btf.str_len or alone) and broken:
            raise _Stop(b"Invalid string section")

    # names

    def _place(self, offset: int) -> tuple[bytes, int]:
        """The strings that have the name, the kernel's or the module's own, and where in them."""
        if offset >= self.base.str_len:
            return self.btf.strings, offset - self.base.str_len
        return self.base.strings, offset

    def _string(self, offset: int) -> bytes | None:
        strings, offset = self._place(offset)
        if offset >= len(strings):
            return None
        return strings[offset : strings.find(b"\0", offset)]

    def _shown(self, offset: int) -> bytes:
        if not offset:
            return b"(anon)"
        found = self._string(offset)
        return b"(invalid-name-offset)" if found is None else found

    def _matches(self, form: re.Pattern[bytes], offset: int) -> bool:
        """Whether the string at `offset` has that form, and is no longer than the kernel allows."""
        strings, offset = self._place(offset)
        found = form.match(strings, offset)
        return found is not None and found.end() - offset <= self.name_length + 1

    def _is_identifier(self, offset: int) -> bool:
        if offset in self.identifiers:
            return True
        found = self._matches(_IDENTIFIER, offset)
        if found and offset < self.base.str_len:
            self.identifiers.add(offset)
        return found

    # a quick look, which finds nothing wrong with nearly all modules; that it finds something proves nothing

    def _look(self) -> tuple[bool, bool]:
        """Whether nothing is wrong with any type, and with any chain of modifiers."""
        numbers, places, at = self.btf.numbers.tolist(), list[int](), 0
        where: dict[int, list[int]] = {byte: [] for byte in _MOST}
        last, forms = len(numbers) - 3, _FORMS
        try:
            while at <= last:
                byte, length = forms[numbers[at + 1]]
                where[byte].append(at)
                places.append(at)
                at += length
            if 4 * at != self.section_length or not self._are_plain(numbers, where):
                return False, False
            for at in [at for kind in _RARE for at in where[kind]]:
                self._type(places.index(at), 4 * at)
        except (LookupError, _Stop):
            return False, False
        return True, self._are_short(numbers, where, places)

    def _are_plain(self, numbers: list[int], where: dict[int, list[int]]) -> bool:
        """Whether nothing is wrong with the types of the common kinds, which are at these places."""

        def words(number: int, *kinds: int) -> list[int]:
            return [numbers[at + number] for kind in kinds for at in where[kind]]

        names, ids = words(0, _FUNC, _TYPEDEF, *_FWDS), words(3, _ARRAY) + words(4, _ARRAY)
        for kind in _ENUMS:
            each = 2 if kind & ~_FLAG == _ENUM else 3
            for at in where[kind]:
                names += numbers[at + 3 : at + 3 + each * (numbers[at + 1] & 0xFFFFFF) : each]
        if (
            not all(names)
            or any(words(0, _PTR, _FUNC_PROTO, _CONST, _ARRAY, _VOLATILE, _RESTRICT))
            or any(words(2, _ARRAY, *_FWDS))
            or max(words(2, _PTR, _CONST, _TYPEDEF, _VOLATILE, _RESTRICT), default=0) > _MAX_ID
            or not _ENUM_SIZES.issuperset(words(2, *_ENUMS))
            or (self.newest_kind < _ENUM64 and words(0, *_NEW_ENUMS))
        ):
            return False
        names += words(0, *_STRUCTURES, *_ENUMS)
        for kind in _STRUCTURES:
            for at in where[kind]:
                end = at + 3 + 3 * (numbers[at + 1] & 0xFFFFFF)
                names += numbers[at + 3 : end : 3]
                ids += numbers[at + 4 : end : 3]
                offsets = numbers[at + 5 : end : 3]
                if kind & _FLAG:
                    offsets = [word & 0xFFFFFF for word in offsets]
                if offsets != sorted(offsets) or (offsets and offsets[-1] > 8 * numbers[at + 2]):
                    return False
                if kind & ~_FLAG == _UNION and any(offsets):
                    return False
        return all(ids) and max(ids, default=0) <= _MAX_ID and self._are_identifiers(names)

    def _are_identifiers(self, names: list[int]) -> bool:
        """Whether all but 0 are offsets of identifiers."""
        strings, own, stretch = self.btf.strings, self.base.str_len, self.name_length // 2
        asked = set(names) - self.identifiers - {0}
        return (
            self.names_end == own + len(strings)
            and not strings.translate(None, _IN_IDENTIFIERS)
            # none is too long where one ends in each stretch
            and -1 not in [strings.find(0, at, at + stretch) for at in range(0, len(strings) - stretch, stretch)]
            and {strings[name - own] for name in asked if name >= own} <= _LETTERS
            and all(self._is_identifier(name) for name in asked if name < own)
        )

    def _are_short(self, numbers: list[int], where: dict[int, list[int]], places: list[int]) -> bool:
        """Whether no modifier is of another one of the module's, of a tag, or of a type that is not there."""
        modifiers = [at for kind in (_CONST, _TYPEDEF, _VOLATILE, _RESTRICT) for at in where[kind]]
        others, first = {numbers[at + 2] for at in modifiers}, self.first_id
        return (
            not where[_TYPE_TAG]
            and max(others, default=0) < first + len(places)
            and {places[number - first] for number in others if number >= first}.isdisjoint(modifiers)
            and all(self.base.kind_and_size(number)[0] != _TYPE_TAG for number in others if 0 < number < first)
        )

    # one type

    def _types(self) -> None:
        *places, end = self.btf.places
        for count, at in enumerate(places if self.btf.whole else (*places, end)):
            self._type(count, 4 * at)

    def _type(self, count: int, at: int) -> None:
        """Check the type at offset `at`, behind so many others."""
        left = self.section_length - at
        self.number = self.first_id + count
        if left < 12:
            raise _Stop(self._label() + b"meta_left:%d meta_needed:12" % left)
        name_off, info, size = self.btf.numbers[at // 4 : at // 4 + 3]
        if not self.new_layout and info & 0x60FF0000:
            raise _Stop(self._label() + b"Invalid btf_info:%x" % info)
        number = info >> 24 & 0x7F
        if not 0 < number <= self.newest_kind:
            raise _Stop(self._label() + b"Invalid kind:%d" % number)
        if name_off >= self.names_end:
            raise _Stop(self._label() + b"Invalid name_offset:%d" % name_off)
        kind = KINDS[number]
        check: Callable[[Type], Iterator[bytes]] = getattr(self, "_" + kind.lower(), self._reference)
        fixed, each = EXTRA.get(kind, (0, 0))
        one = Type(name_off, info, size, at + 12, kind)
        needed = fixed + each * (info & 0xFFFFFF)
        left -= 12
        if left < needed:
            raise _Stop(self._title(one), b" ", b"meta_left:%d meta_needed:%d" % (left, needed), b"", about_type=True)
        for message in check(one):
            raise self._bad(one, message)
        if kind in ("STRUCT", "UNION"):
            self._members(one)
        elif kind in ("ENUM", "ENUM64"):
            self._enumerators(one)

    def _label(self) -> bytes:
        return b"[%d] " % self.number

    def _title(self, one: Type) -> bytes:
        return self._label() + one.kind.encode() + b" " + self._shown(one.name_off)

    def _bad(self, one: Type, message: bytes, errno: str = "EINVAL") -> _Stop:
        return _Stop(self._title(one) + b" ", *self._details(one), b" ", message, b"", errno=errno, about_type=True)

    def _details(self, one: Type) -> Iterator[bytes]:
        """How a type is described in front of a message."""
        words = self.words
        if one.kind == "INT":
            (data,) = words(one.at, 1)
            encoding = _ENCODINGS.get(data >> 24 & 15, "UNKN").encode()
            yield b"size=%d bits_offset=%d nr_bits=%d encoding=%s" % (one.size, data >> 16 & 255, data & 255, encoding)
        elif one.kind == "ARRAY":
            yield b"type_id=%d index_type_id=%d nr_elems=%d" % words(one.at, 3)
        elif one.kind in ("STRUCT", "UNION", "ENUM", "ENUM64", "DATASEC"):
            yield b"size=%d vlen=%d" % (one.size, one.vlen)
        elif one.kind == "FWD":
            yield b"union" if one.kind_flag else b"struct"
        elif one.kind == "FUNC_PROTO":
            yield from self._signature(one)
        elif one.kind == "VAR":
            yield b"type_id=%d linkage=%d" % (one.size, *words(one.at, 1))
        elif one.kind == "FLOAT":
            yield b"size=%d" % one.size
        elif one.kind == "DECL_TAG":
            (index,) = words(one.at, 1)
            yield b"type=%d component_idx=%d" % (one.size, _signed(index))
        else:
            yield b"type_id=%d" % one.size

    def _signature(self, one: Type) -> Iterator[bytes]:
        values = self.words(one.at, 2 * one.vlen)
        arguments = list(zip(values[::2], values[1::2]))
        yield b"return=%d args=(" % one.size
        if not arguments:
            yield b"void"
        elif arguments == [(arguments[0][0], 0)]:
            yield b"vararg"
        else:
            for place, (name, type_id) in enumerate(arguments):
                comma = b", " if place else b""
                last = place == len(arguments) - 1
                yield comma + (b"vararg" if last and not type_id else b"%d %s" % (type_id, self._shown(name)))
        yield b")"

    # by kind: what is wrong with it, at most one message of which is used

    def _bare(self, one: Type) -> Iterator[bytes]:
        if one.vlen:
            yield b"vlen != 0"
        if one.kind_flag:
            yield b"Invalid btf_info kind_flag"

    def _int(self, one: Type) -> Iterator[bytes]:
        (data,) = self.words(one.at, 1)
        yield from self._bare(one)
        if data >> 28:
            raise _Stop(self._title(one), b" ", b"Invalid int_data:%x" % data, b"", about_type=True)
        bits = (data & 255) + (data >> 16 & 255)
        if bits > 128:
            yield b"nr_bits exceeds 128"
        if (bits + 7) // 8 > one.size:
            yield b"nr_bits exceeds type_size"
        if data >> 24 & 15 not in _ENCODINGS:
            raise self._bad(one, b"Unsupported encoding", "ENOTSUPP")

    def _reference(self, one: Type) -> Iterator[bytes]:
        if one.vlen:
            yield b"vlen != 0"
        if one.kind_flag and not (one.kind == "TYPE_TAG" and self.version.since(6, 15)):
            yield b"Invalid btf_info kind_flag"
        if one.size > _MAX_ID:
            yield b"Invalid type_id"
        if one.kind == "TYPEDEF":
            fits = bool(one.name_off) and self._is_identifier(one.name_off)
        elif one.kind == "TYPE_TAG":
            fits = bool(self._string(one.name_off))
        else:
            fits = not one.name_off
        if not fits:
            yield b"Invalid name"

    _ptr = _typedef = _volatile = _const = _restrict = _type_tag = _reference

    def _fwd(self, one: Type) -> Iterator[bytes]:
        if one.vlen:
            yield b"vlen != 0"
        if one.size:
            yield b"type != 0"
        yield from self._named(one)

    def _named(self, one: Type) -> Iterator[bytes]:
        if not one.name_off or not self._is_identifier(one.name_off):
            yield b"Invalid name"

    def _perhaps_named(self, one: Type) -> Iterator[bytes]:
        if one.name_off and not self._is_identifier(one.name_off):
            yield b"Invalid name"

    def _array(self, one: Type) -> Iterator[bytes]:
        element, index, _ = self.words(one.at, 3)
        if one.name_off:
            yield b"Invalid name"
        yield from self._bare(one)
        if one.size:
            yield b"size != 0"
        if not 0 < element <= _MAX_ID:
            yield b"Invalid elem"
        if not 0 < index <= _MAX_ID:
            yield b"Invalid index"

    _struct = _union = _perhaps_named

    def _enum(self, one: Type) -> Iterator[bytes]:
        if one.kind_flag and not self.version.since(6, 0):
            yield b"Invalid btf_info kind_flag"
        if one.size not in _ENUM_SIZES:
            yield b"Unexpected size"
        yield from self._perhaps_named(one)

    _enum64 = _enum

    def _func_proto(self, one: Type) -> Iterator[bytes]:
        if one.name_off:
            yield b"Invalid name"
        if one.kind_flag:
            yield b"Invalid btf_info kind_flag"

    def _func(self, one: Type) -> Iterator[bytes]:
        yield from self._named(one)
        if one.vlen > 1:
            yield b"Invalid func linkage"
        if one.kind_flag:
            yield b"Invalid btf_info kind_flag"

    def _var(self, one: Type) -> Iterator[bytes]:
        yield from self._bare(one)
        yield from self._named(one)
        if not 0 < one.size <= _MAX_ID:
            yield b"Invalid type_id"
        if self.words(one.at, 1)[0] > 1:
            yield b"Linkage not supported"

    def _datasec(self, one: Type) -> Iterator[bytes]:
        if not one.size:
            yield b"size == 0"
        if one.kind_flag:
            yield b"Invalid btf_info kind_flag"
        form = _PRINTABLE if self.version.since(6, 11) else _IDENTIFIER
        if not one.name_off or not self._matches(form, one.name_off):
            yield b"Invalid name"
        sizes = self.words(one.at, 3 * one.vlen)[2::3]
        self._variables(one)
        if one.size < sum(sizes):
            yield b"Invalid btf_info size"

    def _float(self, one: Type) -> Iterator[bytes]:
        yield from self._bare(one)
        if one.size not in (2, 4, 8, 12, 16):
            yield b"Invalid type_size"

    def _decl_tag(self, one: Type) -> Iterator[bytes]:
        if not self._string(one.name_off):
            yield b"Invalid value"
        if one.vlen:
            yield b"vlen != 0"
        if one.kind_flag and not self.version.since(6, 15):
            yield b"Invalid btf_info kind_flag"
        if _signed(self.words(one.at, 1)[0]) < -1:
            yield b"Invalid component_idx"

    # what a type consists of

    def _members(self, one: Type) -> None:
        values = self.words(one.at, 3 * one.vlen)
        last = 0
        for name, type_id, word in zip(values[::3], values[1::3], values[2::3]):
            offset = word & 0xFFFFFF if one.kind_flag else word
            message = None
            if name >= self.names_end:
                message = b"Invalid member name_offset:%d" % name
            elif name and not self._is_identifier(name):
                message = b"Invalid name"
            elif not 0 < type_id <= _MAX_ID:
                message = b"Invalid type_id"
            elif (one.kind == "UNION" and offset) or last > offset:
                message = b"Invalid member bits_offset"
            elif (offset + 7) // 8 > one.size:
                message = b"Member bits_offset exceeds its struct size"
            if message:
                place = b"bits_offset=%d" % offset
                if one.kind_flag:
                    place = b"bitfield_size=%d bits_offset=%d" % (word >> 24, offset)
                raise _Stop(
                    b"\t%s type_id=%d %s" % (self._shown(name), type_id, place), b" ", message, b"", about_type=True
                )
            last = offset

    def _enumerators(self, one: Type) -> None:
        count = EXTRA[one.kind][1] // 4
        for name in self.words(one.at, count * one.vlen)[::count]:
            if name >= self.names_end:
                raise _Stop(b"\tInvalid name_offset:%d" % name)
            if not name or not self._is_identifier(name):
                raise self._bad(one, b"Invalid name")

    def _variables(self, one: Type) -> None:
        values = self.words(one.at, 3 * one.vlen)
        last = 0
        for type_id, offset, size in zip(values[::3], values[1::3], values[2::3]):
            message = None
            if not 0 < type_id <= _MAX_ID:
                message = b"Invalid type_id"
            elif not last <= offset < one.size:
                message = b"Invalid offset"
            elif not 0 < size <= one.size:
                message = b"Invalid size"
            elif offset + size > one.size:
                message = b"Invalid offset+size"
            if message:
                raise _Stop(b"\t type_id=%d offset=%d size=%d" % (type_id, offset, size), b" ", message, b"")
            last = offset + size

    # chains

    def _modifiers(self) -> None:
        """No chain of modifiers may be endless, or end in a type that is not there (refused without a line)."""
        if not self.version.since(5, 17):
            return
        tags_first = not self.version.since(7, 0)
        numbers, good = self.btf.numbers, self.first_id - 1
        types = [(numbers[at + 1] >> 24 & 0x7F, numbers[at + 2]) for at in self.btf.places[:-1]]
        for number, (kind, size) in enumerate(types, self.first_id):
            if kind not in _MODIFIERS:
                continue
            in_tags, limit, current = kind == _TYPE_TAG, 32, number
            while kind in _MODIFIERS:
                if not limit:
                    raise _Stop(b"Max chain length or cycle detected", errno="ELOOP")
                limit -= 1
                if kind != _TYPE_TAG:
                    in_tags = False
                elif tags_first and not in_tags:
                    raise _Stop(b"Type tags don't precede modifiers")
                if current <= good:
                    break
                current = size
                if not current:
                    break
                place = current - self.first_id
                if place >= len(types):
                    raise _Stop()
                kind, size = types[place] if place >= 0 else self.base.kind_and_size(current)
            good = number


def _signed(word: int) -> int:
    return word - (1 << 32) if word >> 31 else word
