"""Writing TOML as a person would: one joint a line, comments above what was guessed, and every float exact."""

from __future__ import annotations

import json
import re
import textwrap
from collections.abc import Mapping, Sequence
from typing import Any

WIDTH = 120
_BARE = re.compile(r"[A-Za-z0-9_-]+")


def toml_text(table: Mapping[str, Any], comments: Mapping[str, str] | None = None) -> str:
    """Return the TOML text of a table; `tomllib` reads exactly the same values back.

    A list of tables is written with one of them a line, except where a table holds such a list itself.

    Args:
        table: Text, numbers, booleans, lists and tables; TOML has nothing for None.
        comments: A comment for the line above a key of ``table``.
    """
    notes = comments or {}
    return "".join(comment(notes.get(key, "")) + f"{_key(key)} = {_value(value)}\n" for key, value in table.items())


def tables_text(name: str, tables: Sequence[Mapping[str, Any]], notes: Sequence[str] = ()) -> str:
    """Return the text of an array of tables, each under its own ``[[name]]``, after a comment where one is given."""
    padded = [*notes, *[""] * len(tables)]
    return "".join(
        f"\n{comment(note)}[[{_key(name)}]]\n{toml_text(table)}" for table, note in zip(tables, padded, strict=False)
    )


def lines_text(key: str, lines: Sequence[str]) -> str:
    """Return a key with a list of texts, one of them a line, so that a person can delete one."""
    inside = "".join(f"  {_string(line)},\n" for line in lines)
    return f"{_key(key)} = [\n{inside}]\n"


def comment(text: str) -> str:
    """Return comment lines, each wrapped; control characters, which TOML forbids there, become question marks."""
    lines = [printable(line) for line in text.splitlines()]
    return "".join(
        f"{part}\n"
        for line in lines
        for part in textwrap.wrap(line, WIDTH, initial_indent="# ", subsequent_indent="# ", break_on_hyphens=False)
    )


def printable(text: str) -> str:
    """Return text with a question mark in place of every control character, line breaks included."""
    return "".join(letter if letter.isprintable() else "?" for letter in text)


def _value(value: Any, indent: str = "") -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, str):
        return _string(value)
    if isinstance(value, int | float):
        return repr(value)
    if isinstance(value, Mapping):
        inside = ", ".join(f"{_key(key)} = {_value(item, indent)}" for key, item in value.items())
        return f"{{ {inside} }}" if inside else "{}"
    return _list(value, indent)


def _list(values: Sequence[Any], indent: str) -> str:
    if not any(isinstance(value, Mapping) for value in values):
        return f"[{', '.join(_value(value, indent) for value in values)}]"
    deeper = indent + "  "
    lines = "".join(f"{deeper}{_value(value, deeper)},\n" for value in values)
    return f"[\n{lines}{indent}]"


def _key(key: str) -> str:
    return key if _BARE.fullmatch(key) else _string(key)


def _string(text: str) -> str:
    """Quote as JSON does; TOML wants DEL escaped, too, and knows no lone surrogates."""
    known = text.encode("utf-8", "replace").decode()
    return json.dumps(known, ensure_ascii=False).replace("\x7f", "\\u007f")
