"""ResNet-101 with torchvision's ImageNet weights."""

_base_ = "resnet50.py"

model = dict(
    backbone=dict(depth=101, init_cfg=dict(type="Pretrained", checkpoint="torchvision://resnet101"))
)
