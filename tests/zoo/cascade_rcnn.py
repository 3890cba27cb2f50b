_base_ = ["mmdet::cascade_rcnn/cascade-rcnn_r50_fpn_1x_coco.py"]
# A list takes the place of the one that it inherits from, whole.
heads = [
    dict(
        type="Shared2FCBBoxHead",
        in_channels=32,
        fc_out_channels=64,
        roi_feat_size=7,
        num_classes=80,
        reg_class_agnostic=True,
        bbox_coder=dict(type="DeltaXYWHBBoxCoder", target_stds=(std, std, 2 * std, 2 * std)),
    )
    for std in (0.1, 0.05, 0.033)
]
model = dict(
    backbone=dict(depth=18, base_channels=16, init_cfg=None),
    neck=dict(in_channels=[16, 32, 64, 128], out_channels=32),
    rpn_head=dict(in_channels=32, feat_channels=32),
    roi_head=dict(bbox_roi_extractor=dict(out_channels=32), bbox_head=heads),
)
