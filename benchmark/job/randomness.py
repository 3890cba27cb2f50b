"""The random numbers of a training that goes on: those that it would have drawn next."""

from __future__ import annotations

import random
from typing import TypedDict

import numpy as np
import torch
from typing_extensions import NotRequired

_PYTHON = 3  # the version of the state that `random` gives


class Randomness(TypedDict):
    """Where the generators of a process are, in what a checkpoint may hold.

    Attributes:
        python: Those 625 integers of Python's, the pair of a normal draw's second half left out.
        numpy: The 624 integers of numpy's, int64, and the position among them.
        torch: torch's own, uint8.
        cuda: That of each GPU, uint8.
    """

    python: list[int]
    numpy: tuple[torch.Tensor, int]
    torch: torch.Tensor
    cuda: NotRequired[list[torch.Tensor]]


def drawn_so_far() -> Randomness:
    """Where the generators of this process are."""
    _, keys, position, *_ = np.random.get_state(legacy=True)
    found: Randomness = {
        "python": list(random.getstate()[1]),
        "numpy": (torch.from_numpy(np.asarray(keys).astype(np.int64)), int(position)),
        "torch": torch.get_rng_state(),
    }
    if torch.cuda.is_available():
        found["cuda"] = torch.cuda.get_rng_state_all()
    return found


def go_on_drawing(found: Randomness) -> None:
    """Puts the generators of this process where others were."""
    random.setstate((_PYTHON, tuple(found["python"]), None))
    keys, position = found["numpy"]
    np.random.set_state(("MT19937", keys.cpu().numpy().astype(np.uint32), position, 0, 0.0))
    torch.set_rng_state(found["torch"].cpu())
    states = found.get("cuda", [])
    if torch.cuda.is_available() and len(states) == torch.cuda.device_count():
        torch.cuda.set_rng_state_all([state.cpu() for state in states])
