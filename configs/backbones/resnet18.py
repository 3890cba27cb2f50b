"""ResNet-18 with torchvision's ImageNet weights: mmdet's ``retinanet_r18_fpn_1x_coco``."""

_base_ = "resnet50.py"

model = dict(
    backbone=dict(depth=18, init_cfg=dict(type="Pretrained", checkpoint="torchvision://resnet18")),
    neck=dict(in_channels=[64, 128, 256, 512]),
)
