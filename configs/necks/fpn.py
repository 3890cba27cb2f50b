"""Feature pyramid of 5 levels, strides 8 to 128. The backbone fills in ``in_channels``."""

model = dict(
    neck=dict(
        type="FPN",
        in_channels=[256, 512, 1024, 2048],
        out_channels=256,
        start_level=1,
        add_extra_convs="on_input",
        num_outs=5,
    )
)
