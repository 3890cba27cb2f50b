"""ATSS on ResNet-18 a quarter as wide as usual, with 3 levels of 32 channels and a head one convolution deep."""

_base_ = "mmdet::atss/atss_r50_fpn_1x_coco.py"

model = dict(
    backbone=dict(
        depth=18,
        base_channels=16,
        stem_channels=16,
        frozen_stages=-1,
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
        norm_cfg=dict(type="GN", num_groups=8, requires_grad=True),
        # Anchors from 32 pixels on: objects are that small at 96 pixels.
        anchor_generator=dict(octave_base_scale=4, strides=[8, 16, 32]),
    ),
    test_cfg=dict(nms_pre=300),
)
