# Copyright (c) smallobj_mm contributors. SPDX-License-Identifier: Apache-2.0
"""Run by test_registration.py: builds every component in one framework's default scope.

``python build_components.py SCOPE FOLDER``: by its prefixed name, with nothing of the package
imported before; then by its plain name, after ``custom_imports``.
"""

import importlib
import importlib.util
import sys
from pathlib import Path

import torch
from mmengine.config import Config
from mmengine.optim import OptimWrapper
from mmengine.registry import init_default_scope
from mmengine.visualization import Visualizer

#: What each component needs to be built: registry -> name -> arguments.
ANCHORS = dict(
    type='mmdet.YOLOAnchorGenerator',
    base_sizes=[[(4, 4)], [(8, 8)], [(16, 16)]],
    strides=[8, 16, 32],
)
VOC = dict(ann_file='x.txt', data_root='none', lazy_init=True)
IRSTD = dict(data_root='none', lazy_init=True)


class Tested(torch.nn.Identity):
    """What a model of test-time augmentation wraps."""

    def test_step(self, data: dict) -> dict:
        """Data as they are."""
        return data


def arguments(prefix: str) -> dict:
    """Config of every component; nested types of ours have the prefix as well."""
    head_module = dict(type=f'{prefix}DecoupledCrossHeadModule', in_channels=[8, 8, 8])
    fusion_module = dict(type=f'{prefix}InteriorBoundaryFusionHeadModule', in_channels=[4, 8])
    return dict(
        MODELS=dict(
            DetSim=dict(
                backbone=dict(type='mmpretrain.ResNet', depth=18, out_indices=(0, 1, 2, 3)),
                neck=dict(type=f'{prefix}MultiStageProjector', hid_channels=8, out_channels=8),
                head=dict(type=f'{prefix}MultiStageSimilarityHead', in_channels=8),
                auxiliary_head=dict(type=f'{prefix}AugmentationAwareHead', hid_channels=8),
            ),
            FeatureDistillation=dict(
                backbone=dict(type='mmpretrain.ResNet', depth=18),
                teacher=dict(type='mmpretrain.ResNet', depth=18),
                student_channels=[512],
                teacher_channels=[512],
            ),
            MultiStageProjector=dict(hid_channels=8, out_channels=8),
            MultiStageSimilarityHead=dict(in_channels=8, hid_channels=8),
            AugmentationAwareHead=dict(hid_channels=8),
            IRSTDDataPreProcessor={},
            ProbabilityTTAModel=dict(module=Tested()),
            DualStreamEncoder=dict(channels=[4, 8], num_blocks=[1, 1]),
            NestedInteractiveNeck=dict(in_channels=[4, 8], num_blocks=[1, 1]),
            InteriorBoundaryFusionHead=dict(
                head_module=fusion_module,
                loss_decode=[dict(type=f'{prefix}MapBCELoss'), dict(type=f'{prefix}SoftIoULoss')],
            ),
            InteriorBoundaryFusionHeadModule=dict(in_channels=[4, 8]),
            SingleStreamHeadModule=dict(in_channels=[4, 8]),
            MapBCELoss={},
            ScaleAwareIoULoss={},
            NWDLoss={},
            BoxLossSum=dict(losses=[dict(type='mmdet.GIoULoss'), dict(type=f'{prefix}NWDLoss')]),
            SoftIoULoss={},
            SSLResNet18=dict(init_cfg=dict(type=f'{prefix}SSLPretrained', checkpoint='x.pth')),
            EfficientNetLite0=dict(
                init_cfg=dict(type=f'{prefix}EfficientNetLite0Pretrained', checkpoint='x.pth')
            ),
            CrossPAFPN=dict(in_channels=[8, 8, 8], widen_factor=0.0625),
            DecoupledCrossHead=dict(
                num_classes=2,
                head_module=head_module,
                prior_generator=ANCHORS,
                bbox_coder=dict(type=f'{prefix}ScaledSigmoidBBoxCoder'),
                assigner=dict(type=f'{prefix}AnchorOTAAssigner'),
            ),
            DecoupledCrossHeadModule=dict(
                num_classes=2, in_channels=[8, 8, 8], strides=[8, 16, 32]
            ),
        ),
        TASK_UTILS=dict(
            AnchorOTAAssigner={},
            IgnoreRegionAssigner=dict(
                assigner=dict(
                    type='mmdet.DynamicSoftLabelAssigner',
                    iou_calculator=dict(type='mmdet.BboxOverlaps2D'),
                )
            ),
            ScaledSigmoidBBoxCoder={},
            NWDOverlaps={},
            SimDOverlaps=dict(m=4.0, n=3.0),
        ),
        WEIGHT_INITIALIZERS=dict(
            SSLPretrained=dict(checkpoint='x.pth'), EfficientNetLite0Pretrained={}
        ),
        DATASETS=dict(
            ImageTreeDataset=dict(data_root='none', lazy_init=True),
            SmallObjectVOCDataset=VOC,
            YOLOFolderDataset=VOC,
            BoschTrafficLightsDataset=VOC,
            CocoBoxDataset=VOC,
            CustomBoxDataset=VOC,
            HITUAVDataset=VOC,
            SyntheticSmallObjectDataset=VOC,
            IRSTDDataset=IRSTD,
            BackgroundDataset=IRSTD,
            WeightedMixtureDataset=dict(
                datasets=[dict(type=f'{prefix}IRSTDDataset', **IRSTD)], lazy_init=True
            ),
            SyntheticIRSTDDataset=IRSTD,
        ),
        TRANSFORMS=dict(
            AugmentedViews=dict(views=[[], []]),
            LocalCrops={},
            PackViews={},
            RecordedBlur={},
            RecordedColorJitter={},
            RecordedCrop={},
            RecordedFlip={},
            RecordedGrayscale={},
            RecordedRotation={},
            RecordedSolarize={},
            CachedTransforms=dict(transforms=[dict(type=f'{prefix}LoadImageStrict')]),
            FlipTurn={},
            LoadImageStrict={},
            SmallObjectMosaic={},
            MosaicAffine={},
            BetaMixUp={},
            BoxCopyPaste={},
            ObjectCenteredCrop=dict(crop_size=64),
            MultiplicativeHSV={},
            SmallBoxFilter={},
            LabelDecoupling={},
            LoadBinaryMask={},
            PackIRSTDInputs={},
            RandomBitDepth={},
            RandomClutter={},
            RandomDefocus={},
            RandomEdgeCrop={},
            RandomFixedPattern={},
            RandomGammaNoise={},
            RandomIRIntensity={},
            RandomJPEG={},
            RandomPolarity={},
            RandomRot90={},
            RandomSensorNoise={},
            RandomTargetScale={},
            RandomVignetting={},
            RepeatGrey={},
            ScaledTargetCrop=dict(size=64),
            SyntheticTargets={},
            TargetAwareCrop=dict(size=64),
            TargetCopyPaste=dict(sources=[dict(type='IRSTDDataset', data_root='none')]),
        ),
        METRICS=dict(IRSTDMetric={}, SmallObjectMetric={}),
        HOOKS=dict(
            ChannelsLastHook={},
            FeatureSpreadHook={},
            FixedLRHook={},
            KNNAccuracyHook=dict(bank_dataloader={}),
            BatchScaledWeightDecayHook={},
            NaNGuardHook={},
            TrainingChecksHook={},
            ProbabilityMapHook=dict(out_dir='none'),
            RandomStateHook={},
            SafeCheckpointHook={},
            SegPicturesHook={},
            StepEMAHook=dict(ema_type='ExponentialMovingAverage'),
        ),
        VISUALIZERS=dict(IRSTDVisualizer=dict(name='pictures')),
        OPTIM_WRAPPERS={
            name: dict(optimizer=torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=0.1))
            for name in (
                'SumOptimWrapper',
                'BFloat16OptimWrapper',
                'SumAmpOptimWrapper',
                'SumBFloat16OptimWrapper',
            )
        },
        OPTIM_WRAPPER_CONSTRUCTORS=dict(
            DecayGroupsOptimWrapperConstructor=dict(
                optim_wrapper_cfg=dict(type='OptimWrapper', optimizer=dict(type='SGD', lr=0.1))
            )
        ),
        PARAM_SCHEDULERS=dict(
            (name, dict(end=10, epoch_length=5, by_epoch=True, convert_to_iter_based=True))
            for name in ('WarmupOneCycleLR', 'WarmupMomentum')
        ),
    )


def build_all(scope: str, prefix: str) -> None:
    """Build each component from the framework's own registry."""
    own = importlib.import_module(f'{scope}.registry')
    root = importlib.import_module('mmengine.registry')
    for kind, components in arguments(prefix).items():
        registry = getattr(own, kind, None) or getattr(root, kind)
        for name, options in components.items():
            if kind == 'PARAM_SCHEDULERS':
                parameter = torch.nn.Parameter(torch.zeros(1))
                optimizer = torch.optim.SGD([parameter], lr=0.1, momentum=0.9)
                options = dict(options, optimizer=OptimWrapper(optimizer))
            found = registry.get(prefix + name)
            assert found.__module__.startswith('smallobj_mm.'), found
            if name == 'SumAmpOptimWrapper' and not torch.cuda.is_available():
                continue  # float16 needs a GPU
            built = registry.build(dict(type=prefix + name, **options))
            assert isinstance(built, found), (built, found)


def check_complete() -> None:
    """Nothing of the package is missing above, and every registry in use has the scope."""
    import smallobj_mm.registry as ours

    root = importlib.import_module('mmengine.registry')
    given = arguments('')
    for kind in dir(root):
        registry = getattr(root, kind)
        if not isinstance(registry, root.Registry):
            continue
        names = {
            name
            for name, component in registry.module_dict.items()
            if component.__module__.startswith('smallobj_mm.')
        }
        if kind == 'FUNCTIONS' or not names and kind not in given:
            continue
        assert names == set(given.get(kind, ())), (kind, names ^ set(given.get(kind, ())))
        assert registry.name in ours.SCOPED, kind


def activate_compat() -> None:
    """Let the stack import on this machine, without importing the package.

    Where the stack imports by itself, nothing happens here; where it does not, mmdet's registries
    fail before they look at a prefix.
    """
    folder = Path(importlib.util.find_spec('smallobj_mm').origin).parent / 'compat'
    spec = importlib.util.spec_from_file_location(
        'compat_alone', folder / '__init__.py', submodule_search_locations=[str(folder)]
    )
    sys.modules['compat_alone'] = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(sys.modules['compat_alone'])
    sys.modules['compat_alone'].activate()


def main() -> None:
    """Both ways."""
    scope, folder = sys.argv[1:]
    activate_compat()
    init_default_scope(scope)
    Visualizer.get_instance('components')  # hooks that draw ask for the current one
    Visualizer.get_instance('visualizer')  # picture hooks ask for the current one
    assert 'smallobj_mm' not in sys.modules
    build_all(scope, 'smallobj_mm.')
    with open(f'{folder}/{scope}.py', 'w') as f:
        f.write("custom_imports = dict(imports=['smallobj_mm'], allow_failed_imports=False)\n")
    Config.fromfile(f'{folder}/{scope}.py')
    build_all(scope, '')
    check_complete()
    print('built all')


if __name__ == '__main__':
    main()
