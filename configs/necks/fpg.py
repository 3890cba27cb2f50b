"""Feature pyramid grid, 9 pyramids deep: mmdet's ``retinanet_r50_fpg_crop640_50e_coco``.

The backbone fills in ``in_channels``.
"""

norm_cfg = dict(type="BN", requires_grad=True)

model = dict(
    # Each level must have exactly half the size of the one below, up to stride 128.
    data_preprocessor=dict(pad_size_divisor=128),
    neck=dict(
        type="FPG",
        in_channels=[256, 512, 1024, 2048],
        out_channels=256,
        inter_channels=256,
        num_outs=5,
        add_extra_convs=True,
        start_level=1,
        stack_times=9,
        paths=["bu"] * 9,
        same_down_trans=None,
        same_up_trans=dict(
            type="conv",
            kernel_size=3,
            stride=2,
            padding=1,
            norm_cfg=norm_cfg,
            inplace=False,
            order=("act", "conv", "norm"),
        ),
        across_lateral_trans=dict(
            type="conv",
            kernel_size=1,
            norm_cfg=norm_cfg,
            inplace=False,
            order=("act", "conv", "norm"),
        ),
        across_down_trans=dict(
            type="interpolation_conv",
            mode="nearest",
            kernel_size=3,
            norm_cfg=norm_cfg,
            order=("act", "conv", "norm"),
            inplace=False,
        ),
        across_up_trans=None,
        across_skip_trans=dict(
            type="conv",
            kernel_size=1,
            norm_cfg=norm_cfg,
            inplace=False,
            order=("act", "conv", "norm"),
        ),
        output_trans=dict(
            type="last_conv", kernel_size=3, order=("act", "conv", "norm"), inplace=False
        ),
        norm_cfg=norm_cfg,
        skip_inds=[(0, 1, 2, 3), (0, 1, 2), (0, 1), (0,), ()],
    ),
)

# A name of this file only: what stays defined is part of the config.
del norm_cfg
