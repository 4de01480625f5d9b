"""`multipart/form-data`: what a browser's form or `curl --form` uploads, part by part."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from mlops_toolkit.serve.refusals import Refused


@dataclass(frozen=True)
class Part:
    """A field of the form: its name, and its bytes."""

    name: str
    data: bytes


class _Collected:
    """The parser's callbacks: pieces of headers and data become parts."""

    def __init__(self, limit: int) -> None:
        self.parts: list[Part] = []
        self.limit, self.ended = limit, False
        self._field, self._value, self._headers, self._data = bytearray(), bytearray(), {}, bytearray()  # type: ignore[var-annotated]

    def on_part_begin(self) -> None:
        if len(self.parts) >= self.limit:
            raise Refused("bad-upload", f"the form has more than {self.limit} parts", hint="send several requests")
        self._headers, self._data = {}, bytearray()

    def on_header_field(self, data: bytes, start: int, end: int) -> None:
        self._field += data[start:end]

    def on_header_value(self, data: bytes, start: int, end: int) -> None:
        self._value += data[start:end]

    def on_header_end(self) -> None:
        self._headers[bytes(self._field).lower()] = bytes(self._value)
        self._field, self._value = bytearray(), bytearray()

    def on_part_data(self, data: bytes, start: int, end: int) -> None:
        self._data += data[start:end]

    def on_part_end(self) -> None:
        from python_multipart.multipart import parse_options_header

        _, options = parse_options_header(self._headers.get(b"content-disposition", b""))
        name = options.get(b"name")
        if not name:
            raise Refused("bad-upload", "a part of the form has no name", hint='Content-Disposition: form-data; name="…"')
        self.parts.append(Part(name.decode(errors="replace"), bytes(self._data)))
        self._data = bytearray()

    def on_end(self) -> None:
        self.ended = True


def parts(body: bytes, content_type: str, limit: int) -> list[Part]:
    """The form's parts in order. Refused `bad-upload` for what is no form, is cut off, or has more than `limit` parts."""
    from python_multipart.exceptions import FormParserError
    from python_multipart.multipart import MultipartParser, parse_options_header

    _, options = parse_options_header(content_type.encode(errors="replace"))
    boundary = options.get(b"boundary")
    if not boundary or len(boundary) > 70:  # RFC 2046, 5.1.1
        raise Refused("bad-upload", "the content-type says no boundary of the form's parts", hint="multipart/form-data; boundary=…")
    made = _Collected(limit)
    names = ("part_begin", "header_field", "header_value", "header_end", "part_data", "part_end", "end")
    callbacks: Any = {f"on_{name}": getattr(made, f"on_{name}") for name in names}
    try:
        parser = MultipartParser(boundary, callbacks)
        parser.write(body)
        parser.finalize()
    except FormParserError as error:
        raise Refused("bad-upload", f"the form cannot be read: {error}") from error
    if not made.ended:
        raise Refused("bad-upload", "the form is cut off: its last boundary is missing")
    return made.parts
