"""What plan takes the classes of mmengine, mmdet and torch to be is what is installed."""

from __future__ import annotations

import inspect

import pytest

from benchmark.config.retarget.names import REGISTERED_AS
from benchmark.config.vocabulary import signatures
from benchmark.config.vocabulary.signatures import Signature, Table

REGISTRIES = {
    "HOOKS": "HOOKS",
    "LOOPS": "LOOPS",
    "SAMPLERS": "DATA_SAMPLERS",
    "WRAPPERS": "OPTIM_WRAPPERS",
    "OPTIMIZERS": "OPTIMIZERS",
    "SCHEDULERS": "PARAM_SCHEDULERS",
    "DATASETS": "DATASETS",
    "TRANSFORMS": "TRANSFORMS",
    "PREPROCESSORS": "MODELS",
}
# What the runner, the data loader or the scheduler's base class hands over.
HANDED = {
    "LOOPS": {"runner", "dataloader", "evaluator"},
    "SAMPLERS": {"dataset", "sampler"},
    "WRAPPERS": {"optimizer"},
    "OPTIMIZERS": {"params"},
    "SCHEDULERS": {"optimizer"},
}


@pytest.mark.slow
@pytest.mark.parametrize("name", REGISTRIES)
def test_tables_are_what_is_installed(name: str) -> None:
    import mmdet.engine
    import mmdet.models
    import mmdet.registry
    import mmengine.registry
    import mmpretrain  # noqa: F401 - as a job has it

    table: Table = getattr(signatures, name)
    registry = REGISTRIES[name]
    both = (getattr(module, registry).module_dict for module in (mmengine.registry, mmdet.registry))
    installed = {key: value for found in both for key, value in found.items()}
    for key, takes in table.items():
        if key in installed:
            assert takes == signature_of(installed[key], key, HANDED.get(name, set())), key
    if name == "PREPROCESSORS":  # they share their registry with all other modules
        installed = {key: v for key, v in installed.items() if key.endswith("Preprocessor")}
    missing = {
        key for key, value in installed.items() if value.__module__.startswith(("mm", "torch"))
    }
    assert missing <= table.keys()
    assert len(table.keys() & installed.keys()) > 0.9 * len(table)


@pytest.mark.slow
def test_classes_that_go_by_another_name_are_those_of_the_installed_registries() -> None:
    import mmdet.models  # noqa: F401 - registers its classes
    from mmdet.registry import MODELS
    from mmengine.registry import MODELS as BASE
    from mmengine.registry import WEIGHT_INITIALIZERS

    names: dict[str, set[str]] = {}
    for registry in (MODELS, BASE, WEIGHT_INITIALIZERS):
        for name, found in registry.module_dict.items():
            names.setdefault(f"{found.__module__}.{found.__name__}", set()).add(name)
    others = {
        path
        for path, known in names.items()
        if path.rpartition(".")[2] not in known and path.startswith("mm")
    }
    served = {
        path for path in others if "parrots" in path
    }  # mmengine's name for torch's own SyncBatchNorm
    assert others - served <= REGISTERED_AS.keys()
    for path, name in REGISTERED_AS.items():
        if path in names:
            assert name in names[path], path
    assert len(names.keys() & REGISTERED_AS.keys()) > 0.9 * len(REGISTERED_AS)


def signature_of(class_: type, name: str, handed: set[str]) -> Signature:
    """The arguments of a class and of those that it hands the rest of them on to."""
    found: dict[str, bool] = {}
    is_open = False
    for base in class_.__mro__:
        if "__init__" not in vars(base) or base is object:
            continue
        parameters = list(inspect.signature(vars(base)["__init__"]).parameters.values())[1:]
        kinds = (inspect.Parameter.POSITIONAL_OR_KEYWORD, inspect.Parameter.KEYWORD_ONLY)
        for parameter in [p for p in parameters if p.kind in kinds]:
            found.setdefault(parameter.name, parameter.default is parameter.empty)
        is_open = any(p.kind is inspect.Parameter.VAR_KEYWORD for p in parameters)
        if not is_open:
            break
    if name.endswith(("LR", "Momentum")):
        handed = handed | {"param_name"}
    names = sorted(found.keys() - handed)
    found = {key: needed and key != "batch_size" for key, needed in found.items()}  # the loader's
    # Its other arguments would go to a function that takes none of them.
    is_open = is_open and name != "CheckpointHook"
    return Signature(tuple(names), tuple(n for n in names if found[n]), is_open)
