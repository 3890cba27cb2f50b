"""RetinaHead one convolution deep for 3 levels of 32 channels; goes with the neck ``fpn_w32``."""

_base_ = "retina.py"

model = dict(
    bbox_head=dict(
        in_channels=32,
        feat_channels=32,
        stacked_convs=1,
        anchor_generator=dict(scales_per_octave=2, strides=[8, 16, 32]),
    ),
    test_cfg=dict(nms_pre=300),
)
