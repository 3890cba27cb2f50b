"""12 epochs over the data three times, at sizes of 640 to 800: mmdet's ``common/ms_3x_coco``."""

_base_ = "step_1x.py"

param_scheduler = [
    dict(type="LinearLR", start_factor=0.001, by_epoch=False, begin=0, end=500),
    dict(type="MultiStepLR", begin=0, end=12, by_epoch=True, milestones=[9, 11], gamma=0.1),
]

train_dataloader = dict(
    dataset=dict(
        _delete_=True,
        type="RepeatDataset",
        times=3,
        dataset=dict(
            type="CocoDataset",
            data_root="",
            ann_file="train.json",
            data_prefix=dict(img="images/"),
            filter_cfg=dict(filter_empty_gt=True, min_size=32),
            pipeline=[
                dict(type="LoadImageFromFile", backend_args=None),
                dict(type="LoadAnnotations", with_bbox=True),
                dict(type="RandomResize", scale=[(1333, 640), (1333, 800)], keep_ratio=True),
                dict(type="RandomFlip", prob=0.5),
                dict(type="PackDetInputs"),
            ],
            backend_args=None,
        ),
    )
)
