_base_ = ["mmdet::deformable_detr/deformable-detr_r50_16xb2-50e_coco.py"]
attention = dict(embed_dims=32)
network = dict(embed_dims=32, feedforward_channels=64)
model = dict(
    num_queries=30,
    backbone=dict(depth=18, base_channels=16, init_cfg=None),
    neck=dict(in_channels=[32, 64, 128], out_channels=32),
    encoder=dict(num_layers=1, layer_cfg=dict(self_attn_cfg=attention, ffn_cfg=network)),
    decoder=dict(
        num_layers=2,
        layer_cfg=dict(self_attn_cfg=attention, cross_attn_cfg=attention, ffn_cfg=network),
    ),
    positional_encoding=dict(num_feats=16),
    bbox_head=dict(embed_dims=32),
)
