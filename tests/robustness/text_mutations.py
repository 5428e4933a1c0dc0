"""Damages of what JSON, TOML, XML, tables and archives of text say."""

from __future__ import annotations

import io
import json
import re
import zipfile
from collections.abc import Callable
from typing import Any

import numpy as np

DIGITS = "9" * 5000
"""Of a number that Python refuses to read."""
_NUMBERS = {
    "huge number": ("1e30", "-1e30", "1e308", "1e999", "99999999999999999999", "2147483648", "-9223372036854775809", DIGITS),
    "NaN": ("NaN",),
    "infinity": ("Infinity", "-Infinity", "1e999"),
    "negative": ("-1", "-0.5", "-1000000"),
}  # fmt: skip
_TYPES = ("null", "true", "false", '"text"', '""', "[]", "{}", "1.5", "0", '"1"', "[[1, 2], 3]", '"\\u0000"')
_DEPTHS = (40, 900, 100_000)
_MARK = "@@hostile@@"


def choose(rng: np.random.Generator, values: Any) -> Any:
    return values[int(rng.integers(len(values)))]


def _literal(kind: str, rng: np.random.Generator) -> str | None:
    """A hostile value as JSON."""
    if kind == "nesting":
        depth = choose(rng, _DEPTHS)
        return choose(rng, ["[" * depth + "]" * depth, '{"a":' * depth + "1" + "}" * depth])
    return (
        choose(rng, _TYPES if kind == "type change" else _NUMBERS[kind])
        if kind in (*_NUMBERS, "type change")
        else None
    )


def _is_number(value: object) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool)


def place_in(
    tree: Any, rng: np.random.Generator, wanted: Callable[[Any], bool], stop: float = 0.25
) -> tuple[Any, Any] | None:
    """(container, key) of a value in nested dicts and lists, near the root as often as far from it."""
    for _ in range(30):
        at: tuple[Any, Any] | None = None
        value = tree
        while isinstance(value, (dict, list)) and value:
            if at is not None and wanted(value) and rng.random() < stop:
                return at
            key = choose(rng, list(value)) if isinstance(value, dict) else int(rng.integers(len(value)))
            at, value = (value, key), value[key]
        if at is not None and wanted(value):
            return at
    return None


def _rearranged(kind: str, tree: Any, rng: np.random.Generator) -> bool:
    """Remove, add or rearrange something in nested dicts and lists; False if there is nothing."""
    if kind == "missing key":
        if (at := place_in(tree, rng, lambda value: True)) is None:
            return False
        del at[0][at[1]]
        return True
    if kind == "extra key":
        at = place_in(tree, rng, lambda value: isinstance(value, (dict, list)))
        container = tree if at is None or rng.random() < 0.3 else at[0][at[1]]
        if isinstance(container, dict):
            container[choose(rng, ["unknown", "", "__class__", "x" * 5000])] = choose(
                rng, [1, "text", None, [1]]
            )
        else:
            container.append(choose(rng, [1, "text", None, [], {}]))
        return True
    if (at := place_in(tree, rng, lambda value: isinstance(value, list))) is None:
        return False
    values = at[0][at[1]]
    at[0][at[1]] = choose(
        rng, [values[:-1], values + values, [values], [], values[::-1], [[value] for value in values]]
    )
    return True


def mutated_json(kind: str, data: bytes, rng: np.random.Generator) -> bytes | None:
    tree = json.loads(data)
    if not isinstance(tree, (dict, list)):
        return None
    literal = _literal(kind, rng)
    if literal is None:
        known = kind in ("missing key", "extra key", "wrong shape")
        return json.dumps(tree).encode() if known and _rearranged(kind, tree, rng) else None
    at = place_in(tree, rng, _is_number if kind in _NUMBERS else lambda value: True)
    if at is None:
        return None
    at[0][at[1]] = _MARK
    return json.dumps(tree).replace(json.dumps(_MARK), literal, 1).encode()


def mutated_lines(kind: str, data: bytes, rng: np.random.Generator) -> bytes | None:
    """One line of a file of JSON lines."""
    lines = data.splitlines()
    index = choose(rng, [number for number, line in enumerate(lines) if line.strip()])
    changed = mutated_json(kind, lines[index], rng)
    return None if changed is None else b"\n".join([*lines[:index], changed, *lines[index + 1 :]]) + b"\n"


_WORD = re.compile(r"[^\s,;:<>\"=\[\]{}()]+")
_NUMBER = re.compile(r"(?<![\w.])-?\d+(?:\.\d*)?(?:e[+-]?\d+)?(?![\w.])", re.IGNORECASE)
_WORDS = {
    "type change": ("text", "", "-", "1", "true", "é", '"', "\x00", "a,b", "%s"),
    "huge number": (*_NUMBERS["huge number"], "1e40", "1e18"),
    "NaN": ("nan", "NaN", "-nan(ind)"),
    "infinity": ("inf", "-inf", "1e999", "Infinity"),
    "negative": ("-1", "-0.5", "-1000000"),
    "nesting": ("(" * 20_000, "[" * 20_000, "{" * 20_000, '"' * 20_001, "a." * 20_000),
    "extra key": ("1 1", "unknown 1", "1,1", "x" * 200_000, "1\n1"),
    "missing key": ("",),
}


def mutated_words(kind: str, data: bytes, rng: np.random.Generator) -> bytes | None:
    """A word or number of a text, or one of its lines."""
    text = data.decode("utf-8", "surrogateescape")
    if kind == "wrong shape":
        lines = text.splitlines(keepends=True)
        index = int(rng.integers(len(lines)))
        lines[index : index + 1] = choose(
            rng,
            [
                [],
                [lines[index]] * 2,
                ["\n"],
                [lines[index].rstrip("\n")],
                [lines[index].split(" ")[0] + "\n"],
            ],
        )
        return "".join(lines).encode("utf-8", "surrogateescape")
    if kind not in _WORDS:
        return None
    # Headers are few and numbers many: half of the damages are in the first hundred words.
    found = list((_NUMBER if kind in _NUMBERS else _WORD).finditer(text))
    if not found:
        return None
    word = choose(rng, found[:100] if rng.random() < 0.5 else found)
    changed = text[: word.start()] + choose(rng, _WORDS[kind]) + text[word.end() :]
    return changed.encode("utf-8", "surrogateescape")


def mutated_toml(kind: str, data: bytes, rng: np.random.Generator) -> bytes | None:
    """One value, key or table."""
    lines = data.decode().splitlines()
    settings = [index for index, line in enumerate(lines) if "=" in line]
    index = choose(rng, settings)
    key = lines[index].partition("=")[0]
    if kind == "missing key":
        del lines[index]
    elif kind == "extra key":
        lines.insert(
            index, choose(rng, ['unknown = "x"', lines[index], "[unknown]", "__class__ = 1", '"" = 1'])
        )
    elif kind == "nesting":
        depth = choose(rng, _DEPTHS)
        lines[index] = choose(
            rng, [f"{key}= " + "[" * depth + "]" * depth, "a." * depth + "b = 1", "[" + "a." * depth + "b]"]
        )
    else:
        words = {
            "type change": ("true", '"text"', "1", "1.5", "[]", "[1]", "{}", "{a = 1}", "2020-01-01", "07:30:00", '[["a"]]', "0x10"),
            "huge number": ("1e30", "1e308", "1e999", "99999999999999999999", DIGITS, "-1e30"),
            "NaN": ("nan",),
            "infinity": ("inf", "-inf"),
            "negative": ("-1", "-0.5"),
        }.get(kind)  # fmt: skip
        if words is None:
            return None
        lines[index] = f"{key}= {choose(rng, words)}"
    return ("\n".join(lines) + "\n").encode()


_BOMB = '<!DOCTYPE a [<!ENTITY a "aaaaaaaaaa">' + "".join(
    f'<!ENTITY {name} "{f"&{below};" * 10}">' for below, name in zip("abcdefgh", "bcdefghi", strict=True)
)


def mutated_xml(kind: str, data: bytes, rng: np.random.Generator) -> bytes | None:
    text = data.decode()
    if kind == "nesting":
        depth = choose(rng, _DEPTHS)
        start = text.index("<", 2)
        return (text[:start] + "<a>" * depth + text[start:] + "</a>" * depth).encode()
    if kind == "huge size":
        start = text.index("?>") + 2 if text.startswith("<?xml") else 0
        return (
            text[:start] + _BOMB + "]>" + re.sub(r"(?<=>)[^<]+(?=<)", "&i;", text[start:], count=1)
        ).encode()
    return mutated_words(kind, data, rng)


def mutated_archive(kind: str, data: bytes, rng: np.random.Generator) -> bytes | None:
    """One member of a zip archive of texts, or what its directory says."""
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    name = choose(rng, list(members))
    if kind == "huge size":  # as the directory declares it: what the member takes when it is read
        place = data.rindex(b"PK\x01\x02") + 24
        return data[:place] + choose(rng, [b"\xff\xff\xff\x7f", b"\xf0\xff\xff\xff"]) + data[place + 4 :]
    if kind == "missing key":
        del members[name]
    elif kind == "extra key":
        members[
            choose(rng, ["../outside.bvh", "/absolute.bvh", "empty.bvh", "x" * 300 + ".bvh", "a\x1fb.bvh"])
        ] = b""
    else:
        changed = mutated_words(kind, members[name], rng)
        if changed is None:
            return None
        members[name] = changed
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        for member, content in members.items():
            archive.writestr(member, content)
    return file.getvalue()
