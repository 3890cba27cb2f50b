"""ResNet-34 a quarter as wide as usual, from random weights: 1.3 million weights."""

_base_ = "resnet18_w16.py"

model = dict(backbone=dict(depth=34))
