model = dict(
    neck=dict(type="FPN", out_channels=16, start_level=1, add_extra_convs="on_input", num_outs=5)
)
