"""``step_50e`` for seconds on a CPU: 16 epochs on 96 x 96 crops of images at 77 to 115 pixels, cut after 10 and 13."""

_base_ = "step_50e.py"

train_cfg = dict(max_epochs=16, val_interval=8)

param_scheduler = [
    dict(type="LinearLR", start_factor=0.1, by_epoch=False, begin=0, end=20),
    dict(type="MultiStepLR", begin=0, end=16, by_epoch=True, milestones=[10, 13], gamma=0.1),
]

# As in `step_8e`.
optim_wrapper = dict(
    optimizer=dict(_delete_=True, type="AdamW", lr=0.002, weight_decay=0.01, fused=True),
    clip_grad=dict(max_norm=10, norm_type=2),
)
auto_scale_lr = dict(base_batch_size=8)

model = dict(
    data_preprocessor=dict(
        pad_size_divisor=32,
        batch_augments=[dict(type="BatchFixedSizePad", size=(96, 96))],
    )
)

train_dataloader = dict(
    num_workers=0,
    dataset=dict(
        pipeline=[
            dict(type="LoadImageFromFile", backend_args=None),
            dict(type="LoadAnnotations", with_bbox=True),
            dict(type="RandomResize", scale=(96, 96), ratio_range=(0.8, 1.2), keep_ratio=True),
            dict(type="RandomCrop", crop_size=(96, 96)),
            dict(type="RandomFlip", prob=0.5),
            dict(type="PackDetInputs"),
        ]
    ),
)

val_dataloader = dict(
    dataset=dict(
        pipeline=[
            dict(type="LoadImageFromFile", backend_args=None),
            dict(type="Resize", scale=(96, 96), keep_ratio=True),
            dict(type="LoadAnnotations", with_bbox=True),
            dict(
                type="PackDetInputs",
                meta_keys=("img_id", "img_path", "ori_shape", "img_shape", "scale_factor"),
            ),
        ]
    )
)
test_dataloader = val_dataloader
