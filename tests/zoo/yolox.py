_base_ = ["mmdet::yolox/yolox_tiny_8xb8-300e_coco.py"]
model = dict(
    backbone=dict(widen_factor=0.125),
    neck=dict(in_channels=[32, 64, 128], out_channels=32),
    bbox_head=dict(in_channels=32, feat_channels=32),
)
