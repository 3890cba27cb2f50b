"""RegNetX, bottlenecks in groups of 8 channels as in ResNeXt, 16 to 128 channels wide."""

_base_ = "resnet18_w16.py"

model = dict(
    backbone=dict(
        _delete_=True,
        type="RegNet",
        # By RegNet's rule stages of 1, 1, 3, 3 blocks of 16, 32, 64, 128 channels: as wide as `resnet18_w16`.
        arch=dict(w0=16, wa=16, wm=2.0, group_w=8, depth=8, bot_mul=1.0),
        out_indices=(0, 1, 2, 3),
        frozen_stages=-1,
        norm_cfg=dict(type="BN", requires_grad=True),
        norm_eval=False,
        style="pytorch",
        init_cfg=None,
    )
)
