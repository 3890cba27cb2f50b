# With deformable convolutions in its neck.
_base_ = ["mmdet::centernet/centernet_r18-dcnv2_8xb16-crop512-140e_coco.py"]
model = dict(
    backbone=dict(base_channels=16, init_cfg=None),
    neck=dict(in_channels=128, num_deconv_filters=(64, 32, 16)),
    bbox_head=dict(in_channels=16, feat_channels=16),
)
