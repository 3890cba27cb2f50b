"""ConvNeXt-tiny of mmpretrain with ImageNet weights; trained as ConvNeXt-large is."""

_base_ = "convnext_large.py"

model = dict(
    backbone=dict(
        arch="tiny",
        init_cfg=dict(
            # The weights of mmdet's own mask-rcnn_convnext-t-p4-w7_fpn_amp-ms-crop-3x_coco.
            checkpoint=(
                "https://mmassets.onedl.ai/mmclassification/v0/convnext/downstream/"
                "convnext-tiny_3rdparty_32xb128-noema_in1k_20220301-795e9634.pth"
            ),
        ),
    ),
    neck=dict(in_channels=[96, 192, 384, 768]),
)
