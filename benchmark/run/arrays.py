"""What stands in a stranger's pickle for objects of numpy: these hold the values, and call nothing of numpy's.

numpy's own functions would take sizes, flags and pointers from the file (`np.ndarray(1, object, buffer)`).
"""

from __future__ import annotations

import re
from collections.abc import Callable
from pickle import UnpicklingError
from typing import cast

import numpy as np
from numpy.typing import NDArray

from benchmark.run.pickles import DATA

_PLAIN_DTYPE = re.compile(r"[|<>=]?[?biufcSU]\d*")


class NumpyDtype:
    """A data type of numbers or texts, as numpy writes it: its name, then its byte order in the state.

    Attributes:
        real: numpy's.
    """

    def __init__(self, name: str, *_flags: object) -> None:
        if not isinstance(name, str) or not _PLAIN_DTYPE.fullmatch(name):
            raise UnpicklingError(f"numpy's data type {name!r:.60} is none of numbers")
        self.real: np.dtype[np.generic] = np.dtype(name)

    def __setstate__(self, state: tuple[object, ...]) -> None:
        order = state[1]
        if order == ">":
            self.real = self.real.newbyteorder(">")


class NumpyArray:
    """An array, as numpy writes it: made empty (``_reconstruct``), then given its state.

    Attributes:
        real: numpy's.
    """

    def __init__(self, *_made_empty: object) -> None:
        self.real: NDArray[np.generic] = np.empty(0)

    def __setstate__(self, state: tuple[object, ...]) -> None:
        shape, dtype, by_columns, values = state[-4:]
        if not isinstance(dtype, NumpyDtype) or not isinstance(values, bytes):
            raise UnpicklingError("an array of other things than numbers")
        flat = np.frombuffer(values, dtype.real)
        order = "F" if by_columns else "C"
        self.real = flat.reshape(cast("tuple[int, ...]", shape), order=order).copy(order)  # type: ignore[call-overload]


class NumpyKind:
    """Names ``numpy.ndarray`` where numpy asks for the kind of an array; nothing can be made with it."""


def numpy_scalar(dtype: NumpyDtype, value: bytes) -> np.generic:
    """A scalar of numpy's, from its data type and its bytes."""
    if not isinstance(dtype, NumpyDtype) or not isinstance(value, bytes):
        raise UnpicklingError("a scalar of numpy's of something else than a number")
    return cast("np.generic", np.frombuffer(value, dtype.real, 1)[0])


_STANDING: dict[str, Callable[..., object]] = {
    "_reconstruct": NumpyArray,
    "scalar": numpy_scalar,
    "dtype": NumpyDtype,
    "ndarray": NumpyKind,
}
NUMPY = {name: _STANDING[name.rpartition(".")[2]] for name in DATA if name.startswith("numpy.")}
"""What stands in for each name of numpy that a pickle may hold."""
