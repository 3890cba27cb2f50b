"""Cells of CSV files: spreadsheets take a text that begins with ``=`` for a formula, and run it."""

from __future__ import annotations

import re

from benchmark.writing.words import cut_short

# As https://owasp.org/www-community/attacks/CSV_Injection has it, with the wide forms that some programs take as well.
_FORMULA = re.compile(r"\s*[=+\-@\t\r\n\uff1d\uff0b\uff0d\uff20]")
_NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?")


def cell(value: object) -> object:
    """A value as a CSV file may hold it: a long text is cut, and a formula has ``'`` before it, which makes it a text.

    Numbers, and texts that are numbers, stay as they are.
    """
    if not isinstance(value, str):
        return value
    text = cut_short(value)
    formula = _FORMULA.match(text) and not _NUMBER.fullmatch(text)
    return f"'{text}" if formula else text
