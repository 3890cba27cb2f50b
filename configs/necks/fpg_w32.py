"""Feature pyramid grid of 3 levels and 32 channels, 3 pyramids deep; goes with the heads ``*_w32``."""

_base_ = "fpg.py"

model = dict(
    data_preprocessor=dict(pad_size_divisor=32),
    neck=dict(
        out_channels=32,
        inter_channels=32,
        num_outs=3,
        add_extra_convs=False,
        stack_times=3,
        paths=["bu"] * 3,
        skip_inds=[(0, 1, 2), (0, 1), (0,)],
    ),
)
