"""Seeded damages of files, of their bytes and of what their format says.

A mutation is a function of (content, random generator) that gives the damaged content, or None where it has nothing to
damage. Those of bytes go for every file; those of structure write the file anew, sound but for one hostile value.
"""

from __future__ import annotations

import zlib
from collections.abc import Callable

import numpy as np

from tests.robustness import array_mutations, text_mutations

Mutation = Callable[[bytes, np.random.Generator], bytes | None]


def _with_bits_flipped(data: bytes, count: int, rng: np.random.Generator) -> bytes | None:
    if not data:
        return None
    changed = np.frombuffer(data, np.uint8).copy()
    for place in rng.integers(0, len(data), count):
        changed[place] ^= 1 << int(rng.integers(8))
    return changed.tobytes()


def _bit_flip(data: bytes, rng: np.random.Generator) -> bytes | None:
    return _with_bits_flipped(data, 1, rng)


def _several_bits(data: bytes, rng: np.random.Generator) -> bytes | None:
    return _with_bits_flipped(data, int(rng.integers(2, 40)), rng)


def _early_bit_flip(data: bytes, rng: np.random.Generator) -> bytes | None:
    """In the first 256 bytes, where formats have their headers."""
    head = _with_bits_flipped(data[:256], 1, rng)
    return None if head is None else head + data[256:]


def _truncation(data: bytes, rng: np.random.Generator) -> bytes | None:
    return data[: int(rng.integers(1, len(data)))] if len(data) > 1 else None


def _empty(data: bytes, rng: np.random.Generator) -> bytes:
    return b""


def _byte_order_mark(data: bytes, rng: np.random.Generator) -> bytes:
    """UTF-8's, as Windows programs write it, or UTF-16 throughout."""
    if rng.random() < 0.7:
        return b"\xef\xbb\xbf" + data
    return b"\xff\xfe" + data.decode("latin-1").encode("utf-16-le")


def _crlf(data: bytes, rng: np.random.Generator) -> bytes | None:
    return data.replace(b"\n", b"\r\n") if b"\n" in data else None


def _nul(data: bytes, rng: np.random.Generator) -> bytes:
    """Zeros, as a file system leaves them after a crash: put in, or over what was there."""
    place, length = int(rng.integers(len(data) + 1)), int(rng.choice([1, 8, 64, 512]))
    return data[:place] + bytes(length) + data[place + (length if rng.random() < 0.5 else 0) :]


def _duplicated_block(data: bytes, rng: np.random.Generator) -> bytes | None:
    if len(data) < 2:
        return None
    start, end = sorted(int(place) for place in rng.integers(0, len(data), 2))
    return data[:end] + data[start:end] + data[end:]


def _huge_field(data: bytes, rng: np.random.Generator) -> bytes | None:
    """What may be a size or a count of a binary format becomes the largest there is."""
    values = (b"\xff" * 4, b"\xff\xff\xff\x7f", b"\x7f\xff\xff\xff", b"\xff" * 8, b"\xff\xff", b"\0" * 4)
    value = values[int(rng.integers(len(values)))]
    if len(data) <= len(value):
        return None
    reach = min(len(data), 512) if rng.random() < 0.5 else len(data)
    place = int(rng.integers(max(1, reach - len(value))))
    return data[:place] + value + data[place + len(value) :]


def _huge_png(data: bytes, rng: np.random.Generator) -> bytes | None:
    if not data.startswith(b"\x89PNG"):
        return None
    side = int(rng.choice([30_000, 60_000, 2**31 - 1]))
    header = b"IHDR" + side.to_bytes(4, "big") * 2 + data[24:29]
    return data[:12] + header + zlib.crc32(header).to_bytes(4, "big") + data[33:]


BYTES: dict[str, Mutation] = {
    "bit flip": _bit_flip,
    "early bit flip": _early_bit_flip,
    "several bits": _several_bits,
    "truncation": _truncation,
    "empty": _empty,
    "BOM": _byte_order_mark,
    "CRLF": _crlf,
    "NUL": _nul,
    "duplicated block": _duplicated_block,
    "huge field": _huge_field,
}
STRUCTURE = (
    "type change",
    "huge number",
    "NaN",
    "infinity",
    "negative",
    "nesting",
    "wrong dtype",
    "wrong shape",
    "missing key",
    "extra key",
    "huge size",
)
KINDS = (*BYTES, *STRUCTURE)
"""Of mutations."""
ONCE = ("empty", "CRLF")
"""Kinds without chance."""

_OF_FORMAT: dict[str, Callable[[str, bytes, np.random.Generator], bytes | None]] = {
    "json": text_mutations.mutated_json,
    "lines": text_mutations.mutated_lines,
    "words": text_mutations.mutated_words,
    "toml": text_mutations.mutated_toml,
    "xml": text_mutations.mutated_xml,
    "zip": text_mutations.mutated_archive,
    "npz": array_mutations.mutated_npz,
    "npy": array_mutations.mutated_npy,
    "pickle": array_mutations.mutated_pickle,
    "mat": array_mutations.mutated_mat,
    "hdf5": array_mutations.mutated_hdf5,
    "safetensors": array_mutations.mutated_safetensors,
}
FORMATS = tuple(_OF_FORMAT)
"""Whose structure can be damaged."""


def mutated(kind: str, data: bytes, format: str, rng: np.random.Generator) -> bytes | None:
    """A file's content after one damage.

    Args:
        kind: one of `KINDS`.
        data: the sound content.
        format: one of `FORMATS`, or another word for files that are damaged by their bytes alone.
        rng: of this damage.

    Returns:
        Other content than `data`; None if this kind is not for this file.
    """
    if kind in BYTES:
        changed = BYTES[kind](data, rng)
    elif format in _OF_FORMAT:
        changed = _OF_FORMAT[format](kind, data, rng)
    else:
        changed = _huge_png(data, rng) if kind == "huge size" else None
    return None if changed == data else changed
