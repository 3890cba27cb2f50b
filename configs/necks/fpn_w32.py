"""Feature pyramid of 3 levels, strides 8 to 32, and 32 channels; goes with the head ``retina_w32``."""

_base_ = "fpn.py"

model = dict(neck=dict(out_channels=32, add_extra_convs=False, num_outs=3))
