"""What the classes of mmengine, mmdet and torch take, by what stands under which key of a config.

Written down, since importing them takes 10 s and a plan must not wait for it; a test compares the tables with the
installed classes. An argument with ``!`` must be given; ``**`` at the end says that others are handed on, so that no
name is wrong. Arguments that the runner fills in are left out.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True)
class Signature:
    """What a class takes.

    Attributes:
        arguments: Names of its arguments, in alphabetical order.
        required: Those without a default.
        open: Whether it takes others, too.
    """

    arguments: tuple[str, ...]
    required: tuple[str, ...]
    open: bool


Table = Mapping[str, Signature]


def _table(text: str) -> Table:
    """Reads ``Class, Class: argument argument! **``; a line that begins with spaces continues the one before."""
    lines = text.replace("\n    ", " ").strip().splitlines()
    return {
        name.strip(): _signature(arguments.split())
        for names, _, arguments in (line.partition(":") for line in lines)
        for name in names.split(",")
    }


def _signature(words: list[str]) -> Signature:
    names = [word for word in words if word != "**"]
    required = tuple(name.rstrip("!") for name in names if name.endswith("!"))
    return Signature(tuple(name.rstrip("!") for name in names), required, "**" in words)


HOOKS = _table(
    """
CheckInvalidLossHook, MemoryProfilerHook: interval
CheckpointHook: backend_args by_epoch file_client_args filename_tmpl greater_keys interval
    less_keys max_keep_ckpts out_dir published_keys rule save_begin save_best save_last
    save_optimizer save_param_scheduler
DetVisualizationHook, GroundingVisualizationHook: backend_args draw interval score_thr show
    test_out_dir wait_time
DistSamplerSeedHook, IterTimerHook, NumClassCheckHook, ParamSchedulerHook, RuntimeInfoHook,
    SetEpochInfoHook, SyncBuffersHook, SyncNormHook:
EMAHook: begin_epoch begin_iter ema_type strict_load **
EarlyStoppingHook: check_finite min_delta monitor! patience rule stopping_threshold strict
EmptyCacheHook: after_epoch after_iter before_epoch
LoggerHook: backend_args file_client_args ignore_last interval interval_exp_name keep_local
    log_metric_by_epoch out_dir out_suffix
MeanTeacherHook: interval momentum skip_buffer
NPUProfilerHook: begin end exit_after_profiling ge_profiling_to_std_out result_path
    use_e2e_profiler
NaiveVisualizationHook: draw_gt draw_pred interval
PipelineSwitchHook: switch_epoch! switch_pipeline!
PrepareTTAHook: tta_cfg!
ProfilerHook: activity_with_cpu activity_with_cuda by_epoch json_trace_path on_trace_ready
    profile_memory profile_times record_shapes schedule with_flops with_stack
RFSearchHook: by_epoch config mode rfstructure_file verbose
TrackVisualizationHook: backend_args draw frame_interval score_thr show test_out_dir wait_time
TrainAugmentDetVisualizationHook: backend_args draw interval show wait_time
YOLOXModeSwitchHook: num_last_epochs skip_type_keys
"""
)

LOOPS = _table(
    """
EpochBasedTrainLoop: dynamic_intervals max_epochs! val_begin val_interval
IterBasedTrainLoop: dynamic_intervals fast_forward_on_resume max_iters! val_begin val_interval
TeacherStudentValLoop, TestLoop, ValLoop: fp16
"""
)

SAMPLERS = _table(
    """
AspectRatioBatchSampler, TrackAspectRatioBatchSampler: batch_size drop_last
ClassAwareSampler: num_sample_class seed
CustomSampleSizeSampler: dataset_size! ratio_mode round_up seed
DefaultSampler: round_up seed shuffle
GroupMultiSourceSampler, MultiSourceSampler: batch_size seed shuffle source_ratio!
InfiniteSampler: seed shuffle
MultiDataAspectRatioBatchSampler: batch_size drop_last num_datasets!
MultiDataSampler: dataset_ratio! round_up seed
TrackImgSampler: seed
"""
)

WRAPPERS = _table(
    """
AmpOptimWrapper: accumulative_counts clip_grad dtype loss_scale use_fsdp
ApexOptimWrapper: accumulative_counts cast_model_outputs cast_model_type clip_grad enabled
    keep_batchnorm_fp32 loss_scale master_weights max_loss_scale min_loss_scale num_losses
    opt_level patch_torch_functions verbosity
ColossalAIOptimWrapper: accumulative_counts booster
DeepSpeedOptimWrapper:
OptimWrapper: accumulative_counts clip_grad
"""
)

OPTIMIZERS = _table(
    """
ASGD: alpha capturable differentiable foreach lambd lr maximize t0 weight_decay
Adadelta: capturable differentiable eps foreach lr maximize rho weight_decay
Adagrad: differentiable eps foreach fused initial_accumulator_value lr lr_decay maximize
    weight_decay
Adam: amsgrad betas capturable decoupled_weight_decay differentiable eps foreach fused lr
    maximize weight_decay
AdamW: amsgrad betas capturable differentiable eps foreach fused lr maximize weight_decay
Adamax: betas capturable differentiable eps foreach lr maximize weight_decay
LBFGS: history_size line_search_fn lr max_eval max_iter maximize tolerance_change tolerance_grad
Muon: adjust_lr_fn eps lr momentum nesterov ns_coefficients ns_steps weight_decay
NAdam: betas capturable decoupled_weight_decay differentiable eps foreach lr maximize
    momentum_decay weight_decay
Optimizer: defaults!
RAdam: betas capturable decoupled_weight_decay differentiable eps foreach lr maximize
    weight_decay
RMSprop: alpha capturable centered differentiable eps foreach lr maximize momentum weight_decay
Rprop: capturable differentiable etas foreach lr maximize step_sizes
SGD: dampening differentiable foreach fused lr maximize momentum nesterov weight_decay
SparseAdam: betas eps lr maximize
TorchAdafactor: beta2_decay d eps foreach lr maximize weight_decay
ZeroRedundancyOptimizer: defaults! optimizer_class! optimizer_type! overlap_with_ddp
    parameters_as_bucket_view process_group
"""
)

SCHEDULERS = _table(
    """
ConstantLR, ConstantMomentum: begin by_epoch end factor last_step verbose
ConstantParamScheduler: begin by_epoch end factor last_step param_name! verbose
CosineAnnealingLR, CosineAnnealingMomentum: T_max begin by_epoch end eta_min eta_min_ratio
    last_step verbose
CosineAnnealingParamScheduler: T_max begin by_epoch end eta_min eta_min_ratio last_step
    param_name! verbose
CosineRestartLR, CosineRestartMomentum: begin by_epoch end eta_min eta_min_ratio last_step
    periods! restart_weights verbose
CosineRestartParamScheduler: begin by_epoch end eta_min eta_min_ratio last_step param_name!
    periods! restart_weights verbose
ExponentialLR, ExponentialMomentum: begin by_epoch end gamma! last_step verbose
ExponentialParamScheduler: begin by_epoch end gamma! last_step param_name! verbose
LinearLR, LinearMomentum: begin by_epoch end end_factor last_step start_factor verbose
LinearParamScheduler: begin by_epoch end end_factor last_step param_name! start_factor verbose
MultiStepLR, MultiStepMomentum: begin by_epoch end gamma last_step milestones! verbose
MultiStepParamScheduler: begin by_epoch end gamma last_step milestones! param_name! verbose
OneCycleLR: anneal_strategy begin by_epoch div_factor end eta_max final_div_factor last_step
    pct_start three_phase total_steps verbose
OneCycleParamScheduler: anneal_strategy begin by_epoch div_factor end eta_max final_div_factor
    last_step param_name! pct_start three_phase total_steps verbose
PolyLR, PolyMomentum: begin by_epoch end eta_min last_step power verbose
PolyParamScheduler: begin by_epoch end eta_min last_step param_name! power verbose
QuadraticWarmupLR, QuadraticWarmupMomentum: begin by_epoch end last_step verbose
QuadraticWarmupParamScheduler: begin by_epoch end last_step param_name! verbose
ReduceOnPlateauLR, ReduceOnPlateauMomentum: begin by_epoch cooldown end eps factor last_step
    min_value monitor patience rule threshold threshold_rule verbose
ReduceOnPlateauParamScheduler: begin by_epoch cooldown end eps factor last_step min_value
    monitor param_name! patience rule threshold threshold_rule verbose
StepLR, StepMomentum: begin by_epoch end gamma last_step step_size! verbose
StepParamScheduler: begin by_epoch end gamma last_step param_name! step_size! verbose
"""
)

DATASETS = _table(
    """
ADE20KInstanceDataset, ADE20KPanopticDataset, BaseDetDataset, CityscapesDataset, CocoDataset,
    CocoPanopticDataset, DODDataset, DeepFashionDataset, Flickr30kDataset, LVISDataset,
    LVISV05Dataset, LVISV1Dataset, MDETRStyleRefCocoDataset, Objects365V1Dataset,
    Objects365V2Dataset, iSAIDDataset: ann_file backend_args caption_prompt data_prefix
    data_root file_client_args filter_cfg indices lazy_init max_refetch metainfo pipeline
    proposal_file return_classes seg_map_suffix serialize_data test_mode
ADE20KSegDataset, CocoSegDataset: ann_file backend_args data_prefix data_root filter_cfg
    img_suffix indices lazy_init max_refetch metainfo pipeline return_classes seg_map_suffix
    serialize_data test_mode use_label_map
BaseSegDataset: ann_file backend_args data_prefix data_root filter_cfg img_suffix indices
    lazy_init max_refetch metainfo pipeline seg_map_suffix serialize_data test_mode
    use_label_map
BaseVideoDataset: ann_file backend_args data_prefix data_root filter_cfg indices lazy_init
    max_refetch metainfo pipeline serialize_data test_mode
ClassBalancedDataset: dataset! lazy_init oversample_thr!
CocoCaptionDataset: ann_file data_prefix data_root filter_cfg indices lazy_init max_refetch
    metainfo pipeline serialize_data test_mode
ConcatDataset: datasets! ignore_keys lazy_init
CrowdHumanDataset: ann_file! backend_args caption_prompt data_prefix data_root! extra_ann_file
    file_client_args filter_cfg indices lazy_init max_refetch metainfo pipeline proposal_file
    return_classes seg_map_suffix serialize_data test_mode
DSDLDetDataset: ann_file backend_args caption_prompt data_prefix data_root file_client_args
    filter_cfg indices lazy_init max_refetch metainfo pipeline pre_transform proposal_file
    return_classes seg_map_suffix serialize_data specific_key_path test_mode with_bbox
    with_hierarchy with_imagelevel_label with_mask with_polygon
MOTChallengeDataset: ann_file backend_args data_prefix data_root filter_cfg indices lazy_init
    max_refetch metainfo pipeline serialize_data test_mode visibility_thr
MultiImageMixDataset: dataset! lazy_init max_refetch pipeline! skip_type_keys
ODVGDataset: ann_file backend_args caption_prompt data_prefix data_root file_client_args
    filter_cfg indices label_map_file lazy_init max_refetch metainfo need_text pipeline
    proposal_file return_classes seg_map_suffix serialize_data test_mode
OpenImagesChallengeDataset: ann_file! backend_args caption_prompt data_prefix data_root
    file_client_args filter_cfg hierarchy_file! image_level_ann_file indices label_file!
    lazy_init max_refetch meta_file! metainfo pipeline proposal_file return_classes
    seg_map_suffix serialize_data test_mode
OpenImagesDataset: ann_file backend_args caption_prompt data_prefix data_root file_client_args
    filter_cfg hierarchy_file! image_level_ann_file indices label_file! lazy_init max_refetch
    meta_file! metainfo pipeline proposal_file return_classes seg_map_suffix serialize_data
    test_mode
ReIDDataset: ann_file data_prefix data_root filter_cfg indices lazy_init max_refetch metainfo
    pipeline serialize_data test_mode triplet_sampler
RefCocoDataset: ann_file! data_prefix! data_root! filter_cfg indices lazy_init max_refetch
    metainfo pipeline serialize_data split split_file! test_mode text_mode
RepeatDataset: dataset! lazy_init times!
V3DetDataset: ann_file backend_args caption_prompt data_prefix data_root file_client_args
    filter_cfg indices label_file lazy_init max_refetch metainfo pipeline proposal_file
    return_classes seg_map_suffix serialize_data test_mode
VOCDataset, WIDERFaceDataset, XMLDataset: ann_file ann_subdir backend_args caption_prompt
    data_prefix data_root file_client_args filter_cfg img_subdir indices lazy_init max_refetch
    metainfo pipeline proposal_file return_classes seg_map_suffix serialize_data test_mode
YouTubeVISDataset: ann_file backend_args data_prefix data_root dataset_version! filter_cfg
    indices lazy_init max_refetch metainfo pipeline serialize_data test_mode
"""
)

TRANSFORMS = _table(
    """
Albu: bbox_params keymap skip_img_without_anno transforms!
AutoAugment: policies prob
AutoContrast, Brightness, Color, ColorTransform, Contrast, Equalize, Invert, Posterize,
    Sharpness, Solarize, SolarizeAdd: level max_mag min_mag prob
BaseFrameSample: collect_video_keys
CachedMixUp: bbox_clip_border flip_ratio img_scale max_cached_images max_iters pad_val prob
    random_pop ratio_range
CachedMosaic: bbox_clip_border center_ratio_range img_scale max_cached_images pad_val prob
    random_pop
CenterCrop: auto_pad clip_object_border crop_size! pad_cfg
Compose, RandomOrder, TestTimeAug: transforms!
CopyPaste: bbox_occluded_thr mask_occluded_thr max_num_pasted paste_by_box selected
CutOut: cutout_ratio cutout_shape fill_in n_holes!
Expand: mean prob ratio_range seg_ignore_label to_rgb
FilterAnnotations: by_box by_mask keep_empty min_gt_bbox_wh min_gt_mask_area
FixScaleResize, Resize: backend clip_object_border interpolation keep_ratio scale scale_factor
FixShapeResize: backend clip_object_border height! interpolation keep_ratio pad_val width!
GTBoxSubOne_GLIP, LoadTextAnnotations, PackLineDetectionInputs, WrapFieldsToLists:
GeomTransform, Rotate, ShearX, ShearY, TranslateX, TranslateY: img_border_value interpolation
    level mask_border_value max_mag min_mag prob reversal_prob seg_ignore_label
ImageAug: pipeline!
ImageToTensor, ToTensor: keys!
InferencerLoader: **
InstaBoost: action_candidate action_prob aug_ratio color_prob dx dy hflag scale theta
KeyMapper: allow_nonexist_keys auto_remap mapping remapping transforms
LinesToArray: img_height img_width max_lines num_points
LoadAnnotations, LoadTrackAnnotations: backend_args box_type file_client_args ignore_index
    imdecode_backend poly2mask reduce_zero_label with_bbox with_keypoints with_label with_mask
    with_seg
LoadEmptyAnnotations: seg_ignore_label with_bbox with_label with_mask with_seg
LoadImageFromFile, LoadImageFromNDArray: backend_args color_type file_client_args ignore_empty
    imdecode_backend to_float32
LoadMultiChannelImageFromFiles: backend_args color_type file_client_args imdecode_backend
    to_float32
LoadPanopticAnnotations: backend_args box_type imdecode_backend with_bbox with_label with_mask
    with_seg
LoadProposals: num_max_proposals
MinIoURandomCrop: bbox_clip_border min_crop_size min_ious
MixUp: bbox_clip_border flip_ratio img_scale max_iters pad_val ratio_range
Mosaic: bbox_clip_border center_ratio_range img_scale pad_val prob
MultiBranch: branch_field! **
MultiScaleFlipAug: allow_flip flip_cfg flip_direction resize_cfg scale_factor scales transforms!
Normalize: mean! std! to_rgb
PackDetInputs, PackReIDInputs: meta_keys
PackTrackInputs: default_meta_keys meta_keys
Pad: pad_to_square pad_val padding_mode size size_divisor
PhotoMetricDistortion: brightness_delta contrast_range hue_delta saturation_range swap_channels
ProposalBroadcaster: transforms
RandAugment: aug_num aug_space prob
RandomAffine: bbox_clip_border border border_val max_rotate_degree max_shear_degree
    max_translate_ratio scaling_ratio_range
RandomApply, RandomChoice: prob transforms!
RandomCenterCropPad: bbox_clip_border border crop_size mean ratios std test_mode
    test_pad_add_pix test_pad_mode to_rgb
RandomChoiceResize: resize_type scales! **
RandomCrop: allow_negative_crop bbox_clip_border crop_size! crop_type recompute_bbox
RandomErasing: bbox_erased_thr img_border_value mask_border_value n_patches! ratio!
    seg_ignore_label squared
RandomFlip, RandomFlip_GLIP: direction prob swap_seg_labels
RandomGrayscale: channel_weights color_format keep_channels prob
RandomResize: ratio_range resize_type scale! **
RandomSamplingNegPos: full_sampling_prob label_map_file max_tokens num_sample_negative
    tokenizer_name!
RandomShift: filter_thr_px max_shift_px prob
ResizeShortestEdge: max_size resize_type scale! **
SegRescale: backend scale_factor
TransformBroadcaster: allow_nonexist_keys auto_remap mapping remapping share_random_params
    transforms!
Transpose: keys! order!
UniformRefFrameSample: collect_video_keys filter_key_img frame_range num_ref_imgs
YOLOXHSVRandomAug: hue_delta saturation_delta value_delta
"""
)

PREPROCESSORS = _table(
    """
BaseDataPreprocessor: non_blocking
BoxInstDataPreprocessor: batch_augments bgr_to_rgb bottom_pixels_removed boxtype2tensor
    mask_pad_value mask_stride mean non_blocking pad_mask pad_seg pad_size_divisor pad_value
    pairwise_color_thresh pairwise_dilation pairwise_size rgb_to_bgr seg_pad_value std
DetDataPreprocessor: batch_augments bgr_to_rgb boxtype2tensor mask_pad_value mean non_blocking
    pad_mask pad_seg pad_size_divisor pad_value rgb_to_bgr seg_pad_value std
ImgDataPreprocessor: bgr_to_rgb mean non_blocking pad_size_divisor pad_value rgb_to_bgr std
MultiBranchDataPreprocessor: data_preprocessor!
ReIDDataPreprocessor: batch_augments mean num_classes pad_size_divisor pad_value std to_onehot
    to_rgb
TrackDataPreprocessor: batch_augments bgr_to_rgb boxtype2tensor mask_pad_value mean non_blocking
    pad_mask pad_seg pad_size_divisor pad_value rgb_to_bgr seg_pad_value std use_det_processor
"""
)


# torch's DataLoader, and what mmengine takes beside its arguments.
LOADER = _table(
    """
DataLoader: batch_sampler batch_size collate_fn dataset drop_last generator in_order
    multiprocessing_context num_batch_per_epoch num_workers persistent_workers pin_memory
    pin_memory_device prefetch_factor sampler shuffle timeout worker_init_fn
"""
)["DataLoader"]

# What torch's functions take, by mmengine's name for each.
CLIPPING = _table(
    """
norm: error_if_nonfinite foreach max_norm! norm_type
value: clip_value! foreach
"""
)
