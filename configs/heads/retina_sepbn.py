"""RetinaSepBNHead: RetinaHead with batch norm of its own at each of the neck's 5 levels.

From mmdet's ``retinanet_r50_fpn_crop640-50e_coco``, which the NAS-FPN and FPG rows build on.
"""

_base_ = "retina.py"

model = dict(
    bbox_head=dict(type="RetinaSepBNHead", num_ins=5, norm_cfg=dict(type="BN", requires_grad=True)),
    train_cfg=dict(assigner=dict(neg_iou_thr=0.5)),
)
