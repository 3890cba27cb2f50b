"""Classes by their names: configs of the new kind name them as Python imports them."""

from __future__ import annotations

from benchmark.config.tree import Config

# Keys under which mmengine and mmdet look up a class.
_NAMING = ("type", "constructor", "ema_type")
_OURS = ("mmcv", "mmdet", "mmengine")
_OTHERS = ("mmcls", "mmpretrain", "mmseg")

# Classes that registries know by another name than their own.
REGISTERED_AS = {
    "mmcv.cnn.bricks.conv_ws.ConvAWS2d": "ConvAWS",
    "mmcv.cnn.bricks.conv_ws.ConvWS2d": "ConvWS",
    "mmcv.cnn.bricks.upsample.PixelShufflePack": "pixel_shuffle",
    "mmcv.cnn.bricks.wrappers.Conv2d": "Conv",
    "mmcv.ops.carafe.CARAFEPack": "carafe",
    "mmcv.ops.deform_conv.DeformConv2dPack": "DCN",
    "mmcv.ops.modulated_deform_conv.ModulatedDeformConv2dPack": "DCNv2",
    "mmcv.ops.saconv.SAConv2d": "SAC",
    "mmcv.ops.sync_bn.SyncBatchNorm": "MMSyncBN",
    "mmdet.models.layers.brick_wrappers.FrozenBatchNorm2d": "FrozenBN",
    "mmengine.model.weight_init.Caffe2XavierInit": "Caffe2Xavier",
    "mmengine.model.weight_init.ConstantInit": "Constant",
    "mmengine.model.weight_init.KaimingInit": "Kaiming",
    "mmengine.model.weight_init.NormalInit": "Normal",
    "mmengine.model.weight_init.PretrainedInit": "Pretrained",
    "mmengine.model.weight_init.TruncNormalInit": "TruncNormal",
    "mmengine.model.weight_init.UniformInit": "Uniform",
    "mmengine.model.weight_init.XavierInit": "Xavier",
    "torch.nn.modules.activation.ELU": "ELU",
    "torch.nn.modules.activation.GELU": "GELU",
    "torch.nn.modules.activation.Hardswish": "HSwish",
    "torch.nn.modules.activation.LeakyReLU": "LeakyReLU",
    "torch.nn.modules.activation.PReLU": "PReLU",
    "torch.nn.modules.activation.RReLU": "RReLU",
    "torch.nn.modules.activation.ReLU": "ReLU",
    "torch.nn.modules.activation.ReLU6": "ReLU6",
    "torch.nn.modules.activation.SiLU": "SiLU",
    "torch.nn.modules.activation.Sigmoid": "Sigmoid",
    "torch.nn.modules.activation.Tanh": "Tanh",
    "torch.nn.modules.batchnorm.BatchNorm1d": "BN1d",
    "torch.nn.modules.batchnorm.BatchNorm2d": "BN",
    "torch.nn.modules.batchnorm.BatchNorm3d": "BN3d",
    "torch.nn.modules.batchnorm.SyncBatchNorm": "SyncBN",
    "torch.nn.modules.conv.Conv1d": "Conv1d",
    "torch.nn.modules.conv.Conv2d": "Conv2d",
    "torch.nn.modules.instancenorm.InstanceNorm2d": "IN",
    "torch.nn.modules.linear.Linear": "Linear",
    "torch.nn.modules.normalization.GroupNorm": "GN",
    "torch.nn.modules.normalization.LayerNorm": "LN",
}
"""By import path; a test compares them with the installed registries."""
# Packages hand their classes on: torch.nn.ReLU is torch.nn.modules.activation.ReLU.
_SHORT = {
    (path.partition(".")[0], path.rpartition(".")[2]): name for path, name in REGISTERED_AS.items()
}


def use_registered_names(config: Config) -> None:
    """Puts the name that a registry knows a class by in the place of the class, or of its import path, in place.

    ``mmdet.models.detectors.FasterRCNN`` becomes ``FasterRCNN``, ``torch.optim.AdamW`` becomes ``AdamW``,
    ``torch.nn.BatchNorm2d`` becomes ``BN``, and ``mmpretrain.models.ConvNeXt`` becomes ``mmpretrain.ConvNeXt``. Any
    other class, ``torch.nn.Dropout``, is named by its whole path, by which mmengine imports it.

    Args:
        config: A config, or a mapping within one.
    """
    for key, value in config.items():
        config[key] = _named(value, is_name=key in _NAMING)


def _named(value: object, is_name: bool = False) -> object:
    if isinstance(value, dict):
        use_registered_names(value)
        return value
    if isinstance(value, list | tuple):
        return type(value)(map(_named, value))
    if callable(value):
        return _registered(path) if (path := _importable(value)) else value
    return _registered(value) if is_name and isinstance(value, str) else value


def _importable(value: object) -> str:
    """The import path of a class or function; empty of what is made in the config file itself."""
    module, name = getattr(value, "__module__", None), getattr(value, "__qualname__", "")
    # What a file defines has the module of the builtins, since it is no module.
    return f"{module}.{name}" if name.isidentifier() and module not in (None, "builtins") else ""


def _registered(path: str) -> str:
    first, _, rest = path.partition(".")
    inner, _, last = rest.rpartition(".")
    if not inner:
        return path
    if (first, last) in _SHORT:
        return _SHORT[first, last]
    if first in _OURS or path.startswith("torch.optim."):
        return last
    return f"{first}.{last}" if first in _OTHERS else path
