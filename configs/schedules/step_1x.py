"""12 epochs, the rate cut after 8 and 11: mmdet's ``retinanet_r50_fpn_1x_coco``."""

train_cfg = dict(type="EpochBasedTrainLoop", max_epochs=12, val_interval=1)
val_cfg = dict(type="ValLoop")
test_cfg = dict(type="TestLoop")

param_scheduler = [
    dict(type="LinearLR", start_factor=0.001, by_epoch=False, begin=0, end=500),
    dict(type="MultiStepLR", begin=0, end=12, by_epoch=True, milestones=[8, 11], gamma=0.1),
]

optim_wrapper = dict(
    type="OptimWrapper",
    optimizer=dict(type="SGD", lr=0.01, momentum=0.9, weight_decay=0.0001),
)

# 8 GPUs x 2 images.
auto_scale_lr = dict(enable=False, base_batch_size=16)

# Batches of 2 are too small to learn batch statistics from, so a backbone's stay as pretrained.
# A backbone without such a switch drops it with `_delete_`.
model = dict(data_preprocessor=dict(pad_size_divisor=32), backbone=dict(norm_eval=True))
