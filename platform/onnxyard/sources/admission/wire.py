"""Protocol buffers on the wire, read without a schema's help: what a file holds, and where it breaks.

Encoding: https://protobuf.dev/programming-guides/encoding/
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, BinaryIO

if TYPE_CHECKING:
    from collections.abc import Iterator

VARINT, FIXED64, LENGTH, FIXED32 = 0, 1, 2, 5
_WIDTH = {FIXED64: 8, FIXED32: 4}
_MESSAGE = 11
"""`FieldDescriptor.TYPE_MESSAGE`."""


@dataclass(frozen=True, slots=True)
class Field:
    """One field of a message.

    Attributes:
        number: Its number in the schema.
        kind: Its wire type.
        start: Where its value begins in the file.
        end: Where it ends.
        value: The value of a varint; 0 for others.
    """

    number: int
    kind: int
    start: int
    end: int
    value: int = 0


class BrokenWireError(ValueError):
    """The bytes are no protocol buffer; says where."""


def fields(file: BinaryIO, start: int, end: int) -> Iterator[Field]:
    """The fields of the message between two offsets; contents are skipped, not read.

    Raises:
        BrokenWireError: the bytes do not divide into fields.
    """
    at = start
    while at < end:
        file.seek(at)
        head = file.read(20)  # a tag and a varint are ten bytes each at most
        tag, used = _varint(head, at)
        number, kind = tag >> 3, tag & 7
        if number == 0:
            raise BrokenWireError(f"byte {at} begins no field")
        value = 0
        begin = at + used
        if kind == VARINT:
            value, more = _varint(head[used:], begin)
            stop = begin + more
        elif kind in _WIDTH:
            stop = begin + _WIDTH[kind]
        elif kind == LENGTH:
            length, more = _varint(head[used:], begin)
            begin += more
            stop = begin + length
            if stop > end:
                raise BrokenWireError(
                    f"the field at byte {at} says it has {length} bytes, and {end - begin} are left there"
                )
        else:
            raise BrokenWireError(f"byte {at} begins no field")
        if stop > end:
            raise BrokenWireError(f"the field at byte {at} is cut off")
        yield Field(number, kind, begin, stop, value)
        at = stop


def first_break(file: BinaryIO, size: int, schema: Any) -> str:  # noqa: ANN401 - protobuf ships no types
    """Where a file stops being a message of a schema, as `graph.node[3]: the field at byte 812 is cut off`.

    Args:
        file: Opened for reading bytes.
        size: Its length.
        schema: The message's protobuf descriptor.

    Returns:
        The place; empty where every byte has one.
    """
    open_messages = [(schema, 0, size, "")]
    while open_messages:
        message, start, end, path = open_messages.pop()
        seen: dict[int, int] = {}
        inner = []
        try:
            for field in fields(file, start, end):
                known = message.fields_by_number.get(field.number)
                if known is None or field.kind != LENGTH or known.type != _MESSAGE:
                    continue
                index = seen[field.number] = seen.get(field.number, -1) + 1
                name = f"{known.name}[{index}]" if known.is_repeated else known.name
                inner.append((known.message_type, field.start, field.end, f"{path}.{name}".lstrip(".")))
        except BrokenWireError as error:
            return f"{path}: {error}" if path else str(error)
        open_messages += reversed(inner)
    return ""


def _varint(data: bytes, at: int) -> tuple[int, int]:
    """The number at the front, and how many bytes it takes."""
    value = 0
    for used, byte in enumerate(data[:10]):
        value |= (byte & 0x7F) << (7 * used)
        if not byte & 0x80:
            return value, used + 1
    raise BrokenWireError(f"the number at byte {at} does not end")
