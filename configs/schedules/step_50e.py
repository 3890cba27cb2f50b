"""50 epochs on 640 x 640 crops, batches of 8: mmdet's ``retinanet_r50_fpn_crop640-50e_coco``."""

train_cfg = dict(type="EpochBasedTrainLoop", max_epochs=50, val_interval=2)
val_cfg = dict(type="ValLoop")
test_cfg = dict(type="TestLoop")

param_scheduler = [
    dict(type="LinearLR", start_factor=0.1, by_epoch=False, begin=0, end=1000),
    dict(type="MultiStepLR", begin=0, end=50, by_epoch=True, milestones=[30, 40], gamma=0.1),
]

optim_wrapper = dict(
    type="OptimWrapper",
    optimizer=dict(type="SGD", lr=0.08, momentum=0.9, weight_decay=0.0001),
    paramwise_cfg=dict(norm_decay_mult=0, bypass_duplicate=True),
)

# 8 GPUs x 8 images.
auto_scale_lr = dict(enable=False, base_batch_size=64)

# Every batch has the same shape, so that it pays to let cuDNN search for the fastest kernels.
env_cfg = dict(cudnn_benchmark=True)

model = dict(
    data_preprocessor=dict(
        pad_size_divisor=64,
        batch_augments=[dict(type="BatchFixedSizePad", size=(640, 640))],
    ),
    # Batches of 8 are large enough to learn batch statistics from.
    backbone=dict(norm_eval=False),
)

train_dataloader = dict(
    batch_size=8,
    num_workers=4,
    dataset=dict(
        pipeline=[
            dict(type="LoadImageFromFile", backend_args=None),
            dict(type="LoadAnnotations", with_bbox=True),
            dict(type="RandomResize", scale=(640, 640), ratio_range=(0.8, 1.2), keep_ratio=True),
            dict(type="RandomCrop", crop_size=(640, 640)),
            dict(type="RandomFlip", prob=0.5),
            dict(type="PackDetInputs"),
        ]
    ),
)

val_dataloader = dict(
    dataset=dict(
        pipeline=[
            dict(type="LoadImageFromFile", backend_args=None),
            dict(type="Resize", scale=(640, 640), keep_ratio=True),
            dict(type="LoadAnnotations", with_bbox=True),
            dict(
                type="PackDetInputs",
                meta_keys=("img_id", "img_path", "ori_shape", "img_shape", "scale_factor"),
            ),
        ]
    )
)
test_dataloader = val_dataloader
