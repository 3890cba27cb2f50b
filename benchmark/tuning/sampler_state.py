"""What Optuna's CMA-ES sampler keeps in a study's database is a pickle, and others who share it may write there.

It is loaded as what the sampler has written: numbers of numpy, and an optimizer of the package ``cmaes``.
"""

from __future__ import annotations

import io
import pickle

from optuna.samplers import _cmaes

from benchmark.errors import UserError

_NAMES = frozenset(
    {
        ("cmaes._cma", "CMA"),
        ("cmaes._sepcma", "SepCMA"),
        ("cmaes._cmawm", "CMAwM"),
        ("numpy", "dtype"),
        ("numpy", "ndarray"),
        ("numpy._core.multiarray", "_reconstruct"),
        ("numpy._core.multiarray", "scalar"),
        ("numpy.core.multiarray", "_reconstruct"),
        ("numpy.core.multiarray", "scalar"),
    }
)


class _Unpickler(pickle.Unpickler):
    def find_class(self, module: str, name: str) -> object:
        if (module, name) not in _NAMES:
            raise UserError(
                f"the study's database: what stands there as the state of CmaEsSampler holds {module}.{name}, which is "
                "code: it is not loaded. Do not use this database; start the study in another one"
            )
        found: object = super().find_class(module, name)
        return found


class _Careful:
    """Stands for the module ``pickle`` in Optuna's sampler, which asks it for these two."""

    dumps = staticmethod(pickle.dumps)

    @staticmethod
    def loads(content: bytes) -> object:
        loaded: object = _Unpickler(io.BytesIO(content)).load()
        return loaded


def load_carefully() -> None:
    """Has CmaEsSampler load what it has written, and nothing else, from now on."""
    vars(_cmaes)["pickle"] = _Careful
