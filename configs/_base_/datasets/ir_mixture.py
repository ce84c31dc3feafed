# Copyright (c) smallobj_mm contributors. SPDX-License-Identifier: Apache-2.0
# For a segmentor of anybody's infrared images: NUAA and NUDT, their targets and drawn ones pasted
# into thermal frames and photographs, all degraded as cameras do. Gray throughout, 128 px crops.
# The hold-out lists beside this file are for thresholds and for choosing among variants.

data_root = 'data'  # holds NUAA-SIRST, NUDT-SIRST, HIT-UAV, svanstrom_ir, imagenet_sample
splits = '{{ fileDirname }}/splits'
crop_size = 128  # px
epoch_length = 2000  # crops
cache_mib = 0  # MiB of decoded images, for num_workers=0; about 850 hold all of them

# -------- where images come from --------
load = dict(
    type='CachedTransforms',
    transforms=[
        dict(type='LoadImageStrict', color_type='grayscale', high_bit_depth='scale'),
        dict(type='LoadBinaryMask'),
    ],
    max_mib=cache_mib,
)
# Native resolution in nine of ten crops. Below 1 the part that is cut is larger than the crop;
# images that are smaller still are mirrored beyond their borders.
crop = dict(type='ScaledTargetCrop', size=crop_size, scale=(0.67, 2.0), scale_prob=0.1, prob=0.8)
crop_large = dict(crop, scale=(0.4, 1.25))  # backgrounds that are larger than a crop
nuaa = dict(
    type='IRSTDDataset',
    data_root=f'{data_root}/NUAA-SIRST',
    split=f'{splits}/nuaa_sirst_train.txt',
    pipeline=[load, crop],
)
nudt = dict(
    type='IRSTDDataset',
    data_root=f'{data_root}/NUDT-SIRST',
    split=f'{splits}/nudt_sirst_train.txt',
    pipeline=[load, crop],
)
# Persons, cars and aircraft in these frames are ignored: neither targets nor background.
hituav = dict(
    type='BackgroundDataset',
    data_root=f'{data_root}/HIT-UAV',
    image_folder='JPEGImages',
    image_list='ImageSets/Main/flight_train.txt',
    boxes='Annotations',
    pipeline=[load, crop_large],
)
svanstrom = dict(
    type='BackgroundDataset',
    data_root=f'{data_root}/svanstrom_ir',
    image_folder='train',
    boxes='train.json',
    pipeline=[load, crop],
)
photographs = dict(
    type='BackgroundDataset',
    data_root=f'{data_root}/imagenet_sample',
    image_folder='images',
    pipeline=[load, crop_large],
)

# -------- what is done to them --------
before_pasting = [
    dict(type='RandomFlip', prob=0.5),
    dict(type='RandomRot90', prob=0.75),
    dict(type='RandomClutter', kinds=('line', 'edge', 'structure'), prob=0.03),
]
pasting = dict(
    type='TargetCopyPaste',
    num_targets=(1, 3),
    prob=0.3,
    empty_prob=0.5,
    scale=(0.75, 1.3),
    snr=(3.0, 8.0),
)
drawing = dict(type='SyntheticTargets', num_targets=(1, 3), prob=0.02, empty_prob=0.1)
after_pasting = [  # as light, detector and file meet them
    dict(type='RandomDefocus', prob=0.02),
    dict(type='RandomVignetting', prob=0.02),
    dict(type='RandomSensorNoise', prob=0.05),
    dict(type='RandomFixedPattern', prob=0.03),
    dict(type='RandomClutter', kinds=('hot_pixel',), prob=0.03),
    dict(type='RandomIRIntensity', prob=0.3),
    dict(type='RandomPolarity', prob=0.02),
    dict(type='RandomBitDepth', prob=0.03),
    dict(type='RandomJPEG', prob=0.03),
    dict(type='RepeatGrey'),
    dict(type='LabelDecoupling', mode='exact'),
    dict(type='PackIRSTDInputs'),
]
train_pipeline = [
    *before_pasting,
    dict(pasting, sources=[nuaa, nudt]),
    drawing,
    *after_pasting,
]
test_pipeline = [
    dict(type='LoadImageStrict', color_type='grayscale', high_bit_depth='scale'),
    dict(type='LoadBinaryMask'),
    dict(type='RepeatGrey'),
    dict(type='PackIRSTDInputs'),
]

train_dataloader = dict(
    batch_size=8,  # crops
    num_workers=1,
    persistent_workers=True,
    drop_last=True,
    sampler=dict(type='DefaultSampler', shuffle=True),
    dataset=dict(
        type='WeightedMixtureDataset',
        datasets=[nuaa, nudt, hituav, svanstrom, photographs],
        weights=[0.2, 0.55, 0.08, 0.07, 0.1],
        length=epoch_length,
        pipeline=train_pipeline,
    ),
)
val_dataloader = dict(
    batch_size=1,  # images
    num_workers=1,
    persistent_workers=True,
    sampler=dict(type='DefaultSampler', shuffle=False),
    dataset=dict(
        type='ConcatDataset',
        datasets=[
            dict(
                nuaa,
                split=f'{splits}/nuaa_sirst_holdout.txt',
                test_mode=True,
                pipeline=test_pipeline,
            ),
            dict(
                nudt,
                split=f'{splits}/nudt_sirst_holdout.txt',
                test_mode=True,
                pipeline=test_pipeline,
            ),
        ],
    ),
)
test_dataloader = dict(
    batch_size=1,  # images
    num_workers=1,
    persistent_workers=True,
    sampler=dict(type='DefaultSampler', shuffle=False),
    dataset=dict(nuaa, split='test', test_mode=True, pipeline=test_pipeline),
)

val_evaluator = dict(type='IRSTDMetric')
test_evaluator = val_evaluator
