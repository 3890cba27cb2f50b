"""FCOS on ResNet-18 a quarter as wide as usual, with 3 levels of 32 channels and a head one convolution deep."""

_base_ = "mmdet::fcos/fcos_r50-caffe_fpn_gn-head-center-normbbox-centeronreg-giou_1x_coco.py"

model = dict(
    # No weights to fit: images are scaled to a deviation of about 1.
    data_preprocessor=dict(std=[57.375, 57.12, 58.395]),
    backbone=dict(
        depth=18,
        base_channels=16,
        stem_channels=16,
        frozen_stages=-1,
        norm_cfg=dict(requires_grad=True),
        norm_eval=False,
        init_cfg=None,
    ),
    neck=dict(
        in_channels=[16, 32, 64, 128],
        out_channels=32,
        add_extra_convs=False,
        num_outs=3,
    ),
    bbox_head=dict(
        in_channels=32,
        feat_channels=32,
        stacked_convs=1,
        strides=[8, 16, 32],
        # Which level an object is for, by its size: at 96 pixels nearly all are for the first two.
        regress_ranges=((-1, 32), (32, 64), (64, 1e8)),
        norm_cfg=dict(type="GN", num_groups=8, requires_grad=True),
    ),
    test_cfg=dict(nms_pre=300),
)
