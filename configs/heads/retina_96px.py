"""RetinaHead as in ``retina_w32``, with anchors from 24 pixels on: objects are that small at 96 pixels."""

_base_ = "retina_w32.py"

model = dict(bbox_head=dict(anchor_generator=dict(octave_base_scale=3)))
