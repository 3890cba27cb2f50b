"""ResNeXt-101 64x4d: mmdet's ``retinanet_x101-64x4d_fpn_ms-640-800-3x_coco``."""

_base_ = "resnet50.py"

model = dict(
    backbone=dict(
        type="ResNeXt",
        depth=101,
        groups=64,
        base_width=4,
        init_cfg=dict(type="Pretrained", checkpoint="open-mmlab://resnext101_64x4d"),
    )
)
