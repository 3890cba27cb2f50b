"""Settings of mmdet and mmengine that tests put into a row: what plan refuses of them, and what it takes."""

from __future__ import annotations

from typing import Any

SCORE = "coco/bbox_mAP_50"
CHECKPOINT, LOGGER = "default_hooks.checkpoint", "default_hooks.logger"
DATASET, VALIDATED = "train_dataloader.dataset", "val_dataloader.dataset"
STEPS: list[dict[str, Any]] = [
    {"type": "LoadImageFromFile"},
    {"type": "LoadAnnotations", "with_bbox": True},
    {"type": "Resize", "scale": [64, 64], "keep_ratio": True},
    {"type": "PackDetInputs"},
]


LEAF = {"type": "CocoDataset", "ann_file": "x", "data_prefix": {"img": "x"}, "pipeline": STEPS}
MIXED = {
    "type": "MultiImageMixDataset",
    "dataset": {**LEAF, "ann_file": "", "pipeline": STEPS[:2]},
    "pipeline": [
        {"type": "Mosaic", "img_scale": [64, 64]},
        {"type": "RandomAffine", "border": [-32, -32]},
        {"type": "Pad", "size": [96, 96], "pad_val": {"img": [114, 114, 114]}},
        {"type": "FilterAnnotations", "min_gt_bbox_wh": [1, 1], "keep_empty": False},
        {"type": "PackDetInputs"},
    ],
}


def steps(*given: dict[str, Any], loading: list[dict[str, Any]] = STEPS[:2]) -> dict[str, Any]:
    """A training pipeline with these steps between loading and packing."""
    return {f"{DATASET}.pipeline": [*loading, *given, *STEPS[2:]]}


def judged(**packed: Any) -> dict[str, Any]:
    """A validation pipeline that ends with this packing."""
    pack = {"type": "PackDetInputs", **packed}
    return {"val_dataloader.dataset.pipeline": [STEPS[0], STEPS[2], pack]}


def schedule(**given: Any) -> dict[str, Any]:
    return {"param_scheduler": [given]}


def optimizer(**given: Any) -> dict[str, Any]:
    return {"optim_wrapper.optimizer": {"_delete_": True, **given}}


def by_parameter(**given: Any) -> dict[str, Any]:
    return {"+optim_wrapper.paramwise_cfg": given}


def hook(**given: Any) -> dict[str, Any]:
    return {"+custom_hooks": [given]}


# By the row: what it sets, and how each message begins, behind the row's name.
LEARNING = "train_dataloader.dataset.pipeline"
PIPELINES: dict[str, tuple[dict[str, Any], str]] = {
    "unlearnt": (steps(loading=STEPS[:1]), f"{LEARNING}: no step loads the boxes"),
    "boxless": (
        steps(loading=[STEPS[0], {"type": "LoadAnnotations", "with_bbox": False}]),
        f"{LEARNING}: LoadAnnotations has with_bbox: false",
    ),
    "blind": (steps(loading=STEPS[1:2]), f"{LEARNING}: no step loads the image"),
    "unpacked": ({f"{DATASET}.pipeline": STEPS[:3]}, f"{LEARNING}: no step packs the image"),
    "alone": (
        steps({"type": "Mosaic", "img_scale": [64, 64]}),
        f"{LEARNING}.2: Mosaic takes other images",
    ),
    "masks": (steps({"type": "CopyPaste"}), f"{LEARNING}.2: CopyPaste pastes masks"),
    "arrays": (
        steps(loading=[{"type": "LoadImageFromNDArray"}, STEPS[1]]),
        f"{LEARNING}.0: LoadImageFromNDArray reads no files",
    ),
    "cache": (
        steps({"type": "CachedMosaic", "img_scale": [64, 64], "max_cached_images": 2}),
        f"{LEARNING}.2.max_cached_images: 2 is no whole number from 4 on",
    ),
    "inner": (
        steps({"type": "RandomChoice", "transforms": [[{"type": "NoSuch"}]]}),
        f"{LEARNING}.2.transforms.0.0.type: no transform 'NoSuch'",
    ),
    "flip": (steps({"type": "RandomFlip"}), f"{LEARNING}.2: RandomFlip needs 'prob'"),
    "turn": (
        steps({"type": "RandomFlip", "prob": 1.5, "direction": "left"}),
        f"{LEARNING}.2.direction: 'left'",
    ),
    "sizeless": (steps({"type": "Resize"}), f"{LEARNING}.2: Resize needs 'scale'"),
    "range": (
        steps({"type": "RandomResize", "scale": [64, 64]}),
        f"{LEARNING}.2: RandomResize of one scale needs",
    ),
    "holes": (steps({"type": "CutOut", "n_holes": 2}), f"{LEARNING}.2: CutOut needs"),
    "pad": (
        steps({"type": "Pad", "size": [64, 64], "size_divisor": 32}),
        f"{LEARNING}.2: Pad needs one of",
    ),
    "branches": (
        steps({"type": "MultiBranch", "branch_field": ["sup"], "sup": STEPS[2:]}),
        "train_dataloader: MultiBranch wants a model",
    ),
    "grey": (
        {f"+{DATASET}.pipeline.0.color_type": "grayscale"},
        "train_dataloader: color_type grayscale gives one channel",
    ),
    "switched": (
        hook(type="PipelineSwitchHook", switch_epoch=1, switch_pipeline=STEPS[:3]),
        "custom_hooks.0.switch_pipeline: no step packs",
    ),
    "moved": (
        {
            "val_dataloader.dataset.pipeline": [
                *STEPS[:3],
                {"type": "RandomFlip", "prob": 1.0},
                STEPS[3],
            ]
        },
        "val_dataloader.dataset.pipeline.3: RandomFlip moves the boxes",
    ),
    "nameless": (
        judged(meta_keys=["img_path", "ori_shape", "img_shape"]),
        "val_dataloader.dataset.pipeline.2.meta_keys: lacks img_id, scale_factor",
    ),
    "repeats": (
        {
            "train_dataloader.sampler": {"_delete_": True, "type": "ClassAwareSampler"},
            DATASET: {"_delete_": True, "type": "RepeatDataset", "times": 2, "dataset": LEAF},
        },
        "train_dataloader.sampler: RepeatDataset tells ClassAwareSampler no classes",
    ),
    "waits": (
        {"+train_dataloader.timeout": 5, "train_dataloader.num_workers": 0},
        "train_dataloader.timeout: there are no workers",
    ),
    "context": (
        {"+train_dataloader.multiprocessing_context": "spoon"},
        "train_dataloader.multiprocessing_context: 'spoon'; allowed",
    ),
    "ahead": (
        {"+train_dataloader.prefetch_factor": -2, "train_dataloader.num_workers": 1},
        "train_dataloader.prefetch_factor: -2 is no whole",
    ),
    "collated": (
        {"+train_dataloader.collate_fn": "pseudo_collate"},
        "train_dataloader.collate_fn: 'pseudo_collate' is no mapping",
    ),
    "none-a-time": (
        {"+train_dataloader.num_batch_per_epoch": 0},
        "train_dataloader.num_batch_per_epoch: 0 is no whole",
    ),
    "some": ({f"+{DATASET}.indices": "3"}, f"{DATASET}.indices: '3' takes no image"),
    "refetch": ({f"+{DATASET}.max_refetch": "x"}, f"{DATASET}.max_refetch: 'x' is no whole"),
    "filters": (
        {f"+{DATASET}.filter_cfg.filter_empty": True},
        f"{DATASET}.filter_cfg.filter_empty: filters nothing",
    ),
    "unjoined": (
        {DATASET: {"_delete_": True, "type": "ConcatDataset", "datasets": []}},
        f"{DATASET}.datasets: [] is no list of data sets",
    ),
    "nameless-file": (
        {DATASET: {"_delete_": True, "type": "CityscapesDataset", "pipeline": STEPS}},
        f"{DATASET}.ann_file: is missing",
    ),
}
RATE, LOOP, WRAPPER = "param_scheduler.0", "train_cfg.dynamic_intervals", "optim_wrapper"
NUMBERS: dict[str, tuple[dict[str, Any], str]] = {
    "factor": (
        schedule(type="LinearLR", start_factor=2.0),
        f"{RATE}.start_factor: 2.0 is not a number from 0 to 1",
    ),
    "nothing": (schedule(type="LinearLR", start_factor=0), f"{RATE}.start_factor: 0 grows by no"),
    "fraction": (
        schedule(type="LinearLR", end=1.5),
        f"{RATE}.end: 1.5 is no whole number of epochs",
    ),
    "ends": (
        schedule(type="CosineAnnealingLR", eta_min=0.1, eta_min_ratio=0.1),
        f"{RATE}: has eta_min and eta_min_ratio",
    ),
    "restart": (
        schedule(type="CosineRestartLR", periods=[2, 2], eta_min=0),
        f"{RATE}.restart_weights: [1] has not one weight",
    ),
    "gamma": (
        schedule(type="ExponentialLR", gamma="0.9"),
        f"{RATE}.gamma: '0.9' is not a number from 0 on",
    ),
    "steps": (schedule(type="StepLR", step_size=0), f"{RATE}.step_size: 0 is not a whole number"),
    "cycle": (
        schedule(type="OneCycleLR", eta_max=0.1, total_steps=2),
        f"{RATE}.total_steps: 2 epochs are over",
    ),
    "anneal": (
        schedule(type="OneCycleLR", eta_max=0.1, anneal_strategy="quad"),
        f"{RATE}.anneal_strategy: 'quad'; allowed: cos, linear",
    ),
    "grows": (
        schedule(type="ReduceOnPlateauLR", monitor=SCORE, factor=1.5),
        f"{RATE}.factor: 1.5 is not a number between 0 and 1",
    ),
    "counts": (
        schedule(type="ReduceOnPlateauLR", monitor=SCORE, by_epoch=False),
        f"{RATE}.by_epoch: ReduceOnPlateauLR follows",
    ),
    "converts": (
        schedule(type="LinearLR", by_epoch=False, convert_to_iter_based=True),
        f"{RATE}.convert_to_iter_based: it already counts",
    ),
    "last": (schedule(type="StepLR", step_size=1, last_step=5), f"{RATE}.last_step: a resume"),
    "momentum": (
        {**schedule(type="LinearMomentum"), **optimizer(type="Adagrad", lr=0.1)},
        f"{RATE}: Adagrad has no momentum",
    ),
    "closure": (optimizer(type="LBFGS"), f"{WRAPPER}.optimizer.type: LBFGS asks for the loss"),
    "sparse": (optimizer(type="SparseAdam"), f"{WRAPPER}.optimizer.type: SparseAdam takes"),
    "pair": (optimizer(type="AdamW", betas=[0.9]), f"{WRAPPER}.optimizer.betas: [0.9] are no two"),
    "rho": (optimizer(type="Adadelta", rho=2.0), f"{WRAPPER}.optimizer.rho: 2.0 is not a number"),
    "both": (
        optimizer(type="AdamW", fused=True, foreach=True),
        f"{WRAPPER}.optimizer: has 'fused' and 'foreach'",
    ),
    "norm": (
        {"optim_wrapper.clip_grad": {"_delete_": True, "max_norm": 1, "norm_type": "two"}},
        f"{WRAPPER}.clip_grad.norm_type: 'two' is no norm",
    ),
    "typo": (
        by_parameter(custom_keys={"backbone": {"lrmult": 0.1}}),
        f"{WRAPPER}.paramwise_cfg.custom_keys.backbone: has lrmult, and changes nothing",
    ),
    "number": (
        by_parameter(custom_keys={"backbone": 0.1}),
        f"{WRAPPER}.paramwise_cfg.custom_keys.backbone: 0.1 is no mapping",
    ),
    "uphill": (
        by_parameter(custom_keys={"backbone": {"lr_mult": -1}}),
        f"{WRAPPER}.paramwise_cfg.custom_keys.backbone.lr_mult: -1 is not a number",
    ),
    "text": (
        by_parameter(norm_decay_mult="0"),
        f"{WRAPPER}.paramwise_cfg.norm_decay_mult: '0' is not",
    ),
    "pairs": ({f"+{LOOP}": [[2, 0]]}, f"{LOOP}: [(2, 0)] is no list of pairs"),
    "twice": (
        hook(type="ParamSchedulerHook"),
        "custom_hooks.0: default_hooks.param_scheduler is one",
    ),
    "annealed": (
        hook(type="EMAHook", gamma=100),
        "custom_hooks.0.gamma: ExponentialMovingAverage takes no 'gamma'",
    ),
    "late": (
        hook(type="EMAHook", begin_epoch=99),
        "custom_hooks.0.begin_epoch: 99 is past the training's end, 4",
    ),
    "patience": (
        hook(type="EarlyStoppingHook", monitor=SCORE, patience="three"),
        "custom_hooks.0.patience: 'three' is no whole number",
    ),
    "switch": (
        hook(type="PipelineSwitchHook", switch_epoch="two", switch_pipeline=STEPS),
        "custom_hooks.0.switch_epoch: 'two' is no whole number",
    ),
    "profile": (
        hook(type="ProfilerHook", profile_times=100),
        "custom_hooks.0.profile_times: 100 epochs are more",
    ),
    "trace": (
        hook(type="ProfilerHook", on_trace_ready={"type": "zip"}),
        "custom_hooks.0.on_trace_ready.type: 'zip'",
    ),
    "rules": (
        {f"+{CHECKPOINT}.save_best": [SCORE], f"+{CHECKPOINT}.rule": ["greater", "less", "less"]},
        f"{CHECKPOINT}.rule: has 3 rules for 1 scores",
    ),
    "scaling": ({"auto_scale_lr!": True}, "auto_scale_lr: True is no mapping"),
}
TAKEN: dict[str, dict[str, Any]] = {
    "classwise": {"+val_evaluator.classwise": True, "+val_evaluator.use_mp_eval": True},
    "coco": {"+val_evaluator.proposal_nums": [1, 10, 100], "+val_evaluator.metric_items": ["mAP"]},
    "mmdets": {"+val_evaluator.proposal_nums": [100, 300, 1000], "+val_evaluator.iou_thrs": None},
    "listed": {"val_evaluator!": [{"type": "mmdet.CocoMetric", "metric": ["bbox"]}]},
    "best": {f"+{CHECKPOINT}.save_best": ["auto"], f"{CHECKPOINT}.max_keep_ckpts": 0},
    "renamed": {"+val_evaluator.prefix": "waste", f"+{CHECKPOINT}.save_best": "waste/bbox_mAP"},
    "quiet": {LOGGER: None, "default_hooks.timer": None, "default_hooks.visualization": None},
    "rarely": {"train_cfg.val_interval": 100, f"{CHECKPOINT}.interval": -1},
    "tested": {"test_evaluator.format_only": True, "+test_evaluator.outfile_prefix": "a"},
    "repeated": {DATASET: {"_delete_": True, "type": "RepeatDataset", "times": 2, "dataset": LEAF}},
    "mixed": {DATASET: {"_delete_": True, **MIXED}},
    "unscheduled": {"param_scheduler": None, "optim_wrapper.clip_grad": None},
    "plateau": {"param_scheduler": [{"type": "ReduceOnPlateauLR", "monitor": SCORE}]},
    "switched": hook(type="PipelineSwitchHook", switch_epoch=1, switch_pipeline=STEPS),
    "kept": {f"+{DATASET}.indices": [0, 2], f"+{DATASET}.filter_cfg.bbox_min_size": 32},
    "cached": steps(
        {"type": "CachedMosaic", "img_scale": [64, 64]},
        {"type": "Pad", "pad_to_square": True},
        {"type": "RandomFlip", "prob": [0.3, 0.3], "direction": ["horizontal", "vertical"]},
        {"type": "RandomChoice", "transforms": [[{"type": "PhotoMetricDistortion"}]]},
    ),
    "momentum": hook(type="EMAHook", ema_type="ExpMomentumEMA", gamma=2000, update_buffers=True),
    "mean": hook(type="EMAHook", ema_type="StochasticWeightAverage", interval=2),
    "judged": judged(),
    "converted": schedule(type="LinearLR", end=0.5, convert_to_iter_based=True),
    "restarted": schedule(
        type="CosineRestartLR", periods=[2, 2], restart_weights=[1, 0.5], eta_min=0
    ),
    "cycled": schedule(type="OneCycleLR", eta_max=0.02),
    "adaptive": {
        **optimizer(type="AdamW", lr=0.001, betas=[0.9, 0.99], weight_decay=0.05),
        **by_parameter(
            norm_decay_mult=0, custom_keys={"backbone": {"lr_mult": 0.1, "decay_mult": 1}}
        ),
    },
    "infinite": {"optim_wrapper.clip_grad": {"_delete_": True, "max_norm": 1, "norm_type": "inf"}},
    "dynamic": {"+train_cfg.dynamic_intervals": [[2, 1]]},
    "averaged": hook(type="EMAHook", ema_type="ExpMomentumEMA", momentum=0.0002, priority=49),
    "own": {
        "+custom_imports": {"imports": ["mine", "deep.inner.net", "os.path"]},
        **hook(type="MyHook", anything=1),
    },
}
