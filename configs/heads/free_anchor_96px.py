"""FreeAnchorRetinaHead for 3 levels of 32 channels at 96 pixels, as ``retina_96px`` is RetinaHead."""

_base_ = "free_anchor.py"

model = dict(
    bbox_head=dict(
        in_channels=32,
        feat_channels=32,
        stacked_convs=1,
        anchor_generator=dict(octave_base_scale=3, scales_per_octave=2, strides=[8, 16, 32]),
    ),
    test_cfg=dict(nms_pre=300),
)
