"""How values are worded for readers."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping

DASH = "—"
LONGEST_CELL = 300
_LONGEST_CAUSE = 200


def counted(number: int, one: str, several: str = "") -> str:
    """A number of things: ``1 class``, ``2 classes``; ``several`` is ``one`` with an s unless given."""
    return f"{number:,} {one if number == 1 else several or f'{one}s'}"


def duration(seconds: float) -> str:
    """Words a duration: ``41.2 s``, ``12 min 05 s``, ``3 h 07 min``."""
    if round(seconds, 1) < 60:
        return f"{seconds:.1f} s"
    if round(seconds) < 3600:
        return "{} min {:02d} s".format(*divmod(round(seconds), 60))
    return "{} h {:02d} min".format(*divmod(round(seconds / 60), 60))


def minutes(seconds: float) -> str:
    """Words a time that somebody sets in minutes: ``90 min``; ``12 s`` where it is less than one."""
    return f"{seconds / 60:.0f} min" if seconds >= 60 else f"{seconds:.0f} s"


def age(seconds: float) -> str:
    """Words how long ago something was, in its largest unit: ``3 d``, ``5 h``, ``12 min``, ``41 s``."""
    for unit, length in (("d", 86400), ("h", 3600), ("min", 60)):
        if seconds >= length:
            return f"{int(seconds / length)} {unit}"
    return f"{int(seconds)} s"


def size(count: int) -> str:
    """Words a number of bytes: ``2.5 GB``, ``1.3 MB``, ``18.8 kB``."""
    for unit, length in (("GB", 10**9), ("MB", 10**6)):
        if count >= length:
            return f"{count / length:.1f} {unit}"
    return f"{count / 1000:.1f} kB"


def fraction(value: float) -> str:
    """Words a fraction: ``0.4527``."""
    return f"{value:.4f}"


def between(low: float, high: float) -> str:
    """Words an interval of fractions: ``0.4312–0.4742``."""
    return f"{fraction(low)}–{fraction(high)}"


def signed(value: float) -> str:
    """Words a difference of fractions: ``+0.0312``; never ``-0.0000``."""
    return f"{round(value, 4) + 0.0:+.4f}"  # + 0.0: no "-0.0000"


def millions(value: float) -> str:
    """Words a number in millions: ``36.52``."""
    return f"{value / 1e6:.2f}"


def billions(value: float) -> str:
    """Words a number in billions: ``4.11``."""
    return f"{value / 1e9:.2f}"


def hundredths(value: float) -> str:
    """Words a number with two digits after the point."""
    return f"{value:.2f}"


def short(value: float) -> float:
    """A number at six significant digits: more are not seen, and the last may differ between machines."""
    return float(f"{value:.6g}") if isinstance(value, float) else value


def tenths(value: float) -> str:
    """Words a number with one digit after the point."""
    return f"{value:.1f}"


def shortened(text: str) -> str:
    """Cuts a cause that is too long for a line of a list."""
    return text if len(text) <= _LONGEST_CAUSE else text[: _LONGEST_CAUSE - 1] + "…"


def cut_short(text: str, longest: int = LONGEST_CELL) -> str:
    """A text for a cell: what is behind ``longest`` letters is cut, and 8 digits of the whole's SHA-256 stand for it.

    So texts that differ stay different.
    """
    if len(text) <= longest:
        return text
    digits = hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()[:8]
    return f"{text[: longest - 10]}…{digits}"


def param_text(value: object) -> str:
    """A parameter's value as in a YAML file, numbers to 4 digits."""
    if value is None:
        return "null"
    if isinstance(value, bool):
        return str(value).lower()
    return f"{value:.4g}" if isinstance(value, float) else str(value)


def params_text(params: Mapping[str, object]) -> str:
    """Parameters on one line, sorted by name: ``lr=0.02, warmup=500``; empty if there are none."""
    return ", ".join(f"{name}={param_text(value)}" for name, value in sorted(params.items()))
