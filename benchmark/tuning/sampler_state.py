"""What Optuna's CMA-ES sampler keeps in a study's database is a pickle, and others who share it may write there.

It is loaded as what the sampler has written: numbers of numpy, and an optimizer of the package ``cmaes``. For both
others stand in while it is read (`benchmark.run.arrays`), so that nothing is called with what the database says.
"""

from __future__ import annotations

import io
import pickle
from typing import ClassVar

import cmaes  # type: ignore[import-untyped]
from optuna.samplers import _cmaes

from benchmark.errors import UserError, why
from benchmark.run.arrays import NUMPY, NumpyArray

_OTHERWISE = "Do not use this database; start the study in another one"


class _Optimizer:
    """Stands for an optimizer of ``cmaes`` while its state is read."""

    kind: ClassVar[type]

    def __setstate__(self, state: dict[str, object]) -> None:
        self.state = state

    @property
    def real(self) -> object:
        made: object = object.__new__(self.kind)
        state = {name: _real(value) for name, value in self.state.items()}
        getattr(made, "__setstate__", vars(made).update)(state)
        return made


def _real(value: object) -> object:
    return value.real if isinstance(value, NumpyArray | _Optimizer) else value


def _standing_for(kind: type) -> type[_Optimizer]:
    return type(kind.__name__, (_Optimizer,), {"kind": kind})


_KINDS = (cmaes.CMA, cmaes.SepCMA, cmaes.CMAwM)
_STAND_INS = NUMPY | {f"{kind.__module__}.{kind.__name__}": _standing_for(kind) for kind in _KINDS}


class _Unpickler(pickle.Unpickler):
    def find_class(self, module: str, name: str) -> object:
        if (found := _STAND_INS.get(f"{module}.{name}")) is None:
            raise UserError(
                f"the study's database: what stands there as the state of CmaEsSampler holds {module}.{name}, which is "
                f"code: it is not loaded. {_OTHERWISE}"
            )
        return found


class _Careful:
    """Stands for the module ``pickle`` in Optuna's sampler, which asks it for these two."""

    dumps = staticmethod(pickle.dumps)

    @staticmethod
    def loads(content: bytes) -> object:
        try:
            loaded = _real(_Unpickler(io.BytesIO(content)).load())
        except UserError:
            raise
        except Exception as error:
            loaded = why(error)
        if not isinstance(loaded, _KINDS):
            raise UserError(
                "the study's database: what stands there as the state of CmaEsSampler cannot be loaded as one: "
                f"{loaded!r:.200}. {_OTHERWISE}"
            )
        return loaded


def load_carefully() -> None:
    """Has CmaEsSampler load what it has written, and nothing else, from now on."""
    vars(_cmaes)["pickle"] = _Careful
