"""Large JSON files read piece by piece: the entries of one list at a time, in flat memory.

Annotations of whole data sets are one JSON text of hundreds of megabytes, which takes several times as much as Python
objects. Here only the entry being read is in memory. The text outside the wanted list is skipped entry by entry too.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any, TextIO

from evolift.posedata.errors import InputError
from evolift.posedata.input_file import reading

PIECE = 1 << 18
"""Characters read at a time."""
_BLANK = " \t\r\n"
_AFTER_VALUE = frozenset(_BLANK + ",:]}")


def stream_json_list(
    path: Path, key: str | None = None, *, is_optional: bool = False, piece: int = PIECE
) -> Iterator[Any]:
    """Entries of a list, in order.

    Args:
        path: a JSON file.
        key: the list is the value of this key of the outermost object; None if the whole file is the list.
        is_optional: a file without the key has no entries.
        piece: characters read at a time; never changes the result.

    Raises:
        InputError: the file cannot be read, is not JSON, or has no such list.
    """
    with reading(path, "give a JSON file"), path.open(encoding="utf-8-sig") as file:
        yield from _entries(_Text(file, path, piece), key, is_optional=is_optional)


class _Text:
    """A text that is read piece by piece as it is taken."""

    def __init__(self, file: TextIO, path: Path, piece: int) -> None:
        self._file, self._path, self._piece = file, path, piece
        self._decoder = json.JSONDecoder()
        self._text = ""
        self._at = 0
        self._before = 0
        self._is_whole = False

    def error_at(self, what: str) -> InputError:
        return InputError(
            f"{self._path} is not JSON as expected (character {self._before + self._at + 1}: {what}): download it again"
        )

    def _read_on(self) -> None:
        # Twice as much as is there, so that an entry longer than a piece does not cost the square of its length.
        piece = self._file.read(max(self._piece, len(self._text) - self._at))
        self._is_whole = not piece
        self._before += self._at
        self._text = self._text[self._at :] + piece
        self._at = 0

    def next(self) -> str:
        """The next character that is not blank, left where it is; "" at the end."""
        while True:
            while self._at < len(self._text):
                if self._text[self._at] not in _BLANK:
                    return self._text[self._at]
                self._at += 1
            if self._is_whole:
                return ""
            self._read_on()

    def take(self, wanted: str) -> None:
        if self.next() != wanted:
            raise self.error_at(f"{self.next()!r} stands where {wanted!r} should")
        self._at += 1

    def value(self) -> Any:
        """The next JSON value of the stream, decoded."""
        self.next()
        while True:
            try:
                value, end = self._decoder.raw_decode(self._text, self._at)
            except json.JSONDecodeError as error:
                if self._is_whole:
                    raise self.error_at(error.msg) from None
            except RecursionError:
                raise self.error_at("it is nested too deeply") from None
            except ValueError:
                raise self.error_at("a number has thousands of digits") from None
            else:
                # A number at the end of the piece may go on in the next: "12" or "12." before "12.5".
                if self._text[end : end + 1] in _AFTER_VALUE or self._is_whole:
                    self._at = end
                    return value
            self._read_on()


def _entries(text: _Text, key: str | None, *, is_optional: bool) -> Iterator[Any]:
    if key is None:
        yield from _list(text)
        return
    text.take("{")
    is_found = False
    while text.next() != "}":
        name = text.value()
        text.take(":")
        if name == key and text.next() == "[":
            is_found = True
            yield from _list(text)
        elif name == key:
            raise text.error_at(f"it has no list {key!r}")
        elif text.next() == "[":
            for _ in _list(text):
                pass
        else:
            text.value()
        if text.next() != "}":
            text.take(",")
    text.take("}")
    if not (is_found or is_optional):
        raise text.error_at(f"it has no list {key!r}")
    if text.next():
        raise text.error_at("there is more after its end")


def _list(text: _Text) -> Iterator[Any]:
    text.take("[")
    while text.next() != "]":
        yield text.value()
        if text.next() != "]":
            text.take(",")
            if text.next() == "]":
                raise text.error_at("a comma stands before ']'")
    text.take("]")
