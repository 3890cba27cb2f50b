"""ConvNeXt-large of mmpretrain with ImageNet-21k weights, AdamW and a rate decaying by layer."""

custom_imports = dict(imports=["mmpretrain.models"], allow_failed_imports=False)

model = dict(
    data_preprocessor=dict(
        type="DetDataPreprocessor",
        mean=[123.675, 116.28, 103.53],
        std=[58.395, 57.12, 57.375],
        bgr_to_rgb=True,
    ),
    backbone=dict(
        _delete_=True,  # of the schedule's norm_eval: there is no batch norm here
        type="mmpretrain.ConvNeXt",
        arch="large",
        out_indices=[0, 1, 2, 3],
        drop_path_rate=0.5,
        layer_scale_init_value=1.0,
        gap_before_final_norm=False,
        init_cfg=dict(
            type="Pretrained",
            # The address in mmpretrain's own configs/convnext/metafile.yml.
            checkpoint=(
                "https://mmassets.onedl.ai/mmclassification/v0/convnext/"
                "convnext-large_3rdparty_in21k_20220124-41b5a79f.pth"
            ),
            prefix="backbone.",
        ),
    ),
    neck=dict(in_channels=[192, 384, 768, 1536]),
)

# The settings of mmdet's mask-rcnn_convnext-t-p4-w7, without mixed precision.
optim_wrapper = dict(
    constructor="LearningRateDecayOptimizerConstructor",
    paramwise_cfg=dict(_delete_=True, decay_rate=0.95, decay_type="layer_wise", num_layers=6),
    optimizer=dict(_delete_=True, type="AdamW", lr=0.0001, betas=(0.9, 0.999), weight_decay=0.05),
    clip_grad=dict(max_norm=35, norm_type=2),
)

# The rate above was chosen for this batch.
train_dataloader = dict(batch_size=4, num_workers=7)
