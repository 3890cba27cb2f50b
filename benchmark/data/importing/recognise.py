"""Which format a folder is in, by what lies there."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from benchmark.data.importing import FORMATS
from benchmark.data.importing.base import Format
from benchmark.data.layouts import names_in
from benchmark.errors import UserError, allowed, few


def formats_of(folder: Path) -> dict[Format, str]:
    """The formats that a folder can be read as, and by what each of them knows it."""
    told = {form: form.recognise(folder) for form in FORMATS}
    return {form: evidence for form, evidence in told.items() if evidence}


def the_format_of(folder: Path, key: str | None = None) -> Format:
    """The one format of a folder.

    Args:
        folder: The folder.
        key: The format's name, where the user gives it.

    Raises:
        UserError: It is no folder, of no format, of several, or not of the one that is named.
    """
    if not folder.is_dir():
        unpacked = "a file; give the folder that it is in, or that is packed in it, as a tool has exported it"
        raise UserError(f"{folder}: {unpacked if folder.exists() else 'no such folder'}")
    found = formats_of(folder)
    if key is not None:
        found = {form: told for form, told in found.items() if form.key == _known(key)}
    if len(found) == 1:
        return next(iter(found))
    raise UserError(_several(folder, found) if found else _none(folder, key))


def _known(key: str) -> str:
    keys = [form.key for form in FORMATS]
    if key not in keys:
        raise UserError(f"--format {key}: {allowed(key, keys)}")
    return key


def _several(folder: Path, found: Mapping[Format, str]) -> str:
    told = "".join(f"\n  --format {form.key}: {form.title}, {told}" for form, told in found.items())
    return f"{folder}: is of several formats; say which is meant:{told}"


def _none(folder: Path, key: str | None) -> str:
    forms = [form for form in FORMATS if key in (None, form.key)]
    sought = "".join(f"\n  {form.title}: {form.sought}" for form in forms)
    inner = [name for name in names_in(folder) if (folder / name).is_dir()]
    near = [
        f"{folder / name} ({form.title})"
        for name in inner[:20]
        for form in formats_of(folder / name)
    ]
    hint = f"\n  in it are {few(near)}: give these" if near else ""
    return f"{folder}: is of no format that can be imported; looked for:{sought}{hint}"
