"""ResNet-18 a quarter as wide as usual, from random weights, with nothing frozen: 0.7 million weights."""

_base_ = "resnet18.py"

model = dict(
    backbone=dict(base_channels=16, stem_channels=16, frozen_stages=-1, init_cfg=None),
    neck=dict(in_channels=[16, 32, 64, 128]),
)
