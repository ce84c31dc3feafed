# Copyright (c) smallobj_mm contributors. SPDX-License-Identifier: Apache-2.0
"""Distillation of a trained network's feature maps into a backbone, on images without labels."""

from collections.abc import Sequence

import torch
from mmpretrain.models.selfsup import BaseSelfSupervisor
from mmpretrain.structures import DataSample
from torch import Tensor, nn
from torch.nn import functional

from smallobj_mm.models.layers.types import ConfigType
from smallobj_mm.registry import MODELS
from smallobj_mm.utils.errors import UserError

from .agreement import is_list_of_numbers


@MODELS.register_module()
class FeatureDistillation(BaseSelfSupervisor):
    """Teaches a backbone to give the feature maps of a teacher, stage by stage.

    A 1x1 convolution maps the channels of each stage of the backbone to those of the teacher. The
    teacher's map is whitened: at each position it has mean 0 and variance 1 over the channels, so
    that no stage and no channel dominates. The loss of a stage is the smooth L1 distance of both.
    The convolutions are thrown away after training; the backbone is handed over as that of
    DetSim is.

    The teacher may be any backbone of mmdet, mmpretrain (``TIMMBackbone`` with
    ``features_only=True`` for timm's) or this package whose maps have the strides of the
    student's. It is not trained and stays in evaluation mode.

    Example::

        model = dict(
            type='FeatureDistillation',
            backbone=dict(type='SSLResNet18', out_indices=(0, 1, 2)),
            teacher=dict(type='EfficientNetLite', out_indices=(1, 2, 3)),
            student_channels=[64, 128, 256],
            teacher_channels=[24, 40, 112],
            teacher_mean=[127, 127, 127],
            teacher_std=[128, 128, 128])

    Source: Wei et al., "Contrastive Learning Rivals Masked Image Modeling in Fine-tuning via
    Feature Distillation", 2022, sections 3.1 and 3.2; here at several stages, as in FitNets (Romero
    et al., 2015).

    Args:
        backbone: The student; its maps are compared in the order of its ``out_indices``.
        teacher: The teacher, with an ``init_cfg`` that brings its weights.
        student_channels: Channels of the student's maps.
        teacher_channels: Channels of the teacher's maps.
        stage_weights: Weight of each stage in the loss, 0 or more; 1 for each when not given.
        beta: Distance at which the smooth L1 loss turns from square to linear.
        teacher_mean: What the teacher wants subtracted from the values 0..255 of each channel, in
            the channel order of the data preprocessor; its own ``mean`` when not given.
        teacher_std: What it wants them divided by; the preprocessor's ``std`` when not given.
        data_preprocessor: Normalization; mmpretrain's ``SelfSupDataPreprocessor`` by default.
        init_cfg: Initialization.

    Raises:
        UserError: If the lists do not have one number for each stage, or an option is out of its
            range.
    """

    def __init__(
        self,
        backbone: ConfigType,
        teacher: ConfigType,
        student_channels: Sequence[int],
        teacher_channels: Sequence[int],
        stage_weights: Sequence[float] | None = None,
        beta: float = 2.0,
        teacher_mean: Sequence[float] | None = None,
        teacher_std: Sequence[float] | None = None,
        data_preprocessor: ConfigType | None = None,
        init_cfg: ConfigType | list[ConfigType] | None = None,
    ) -> None:
        preprocessor = dict(data_preprocessor or {})
        preprocessor.setdefault('type', 'mmpretrain.SelfSupDataPreprocessor')
        super().__init__(backbone=backbone, data_preprocessor=preprocessor, init_cfg=init_cfg)
        weights = [1.0] * len(student_channels) if stage_weights is None else list(stage_weights)
        for name, values in (
            ('student_channels', student_channels),
            ('teacher_channels', teacher_channels),
            ('stage_weights', weights),
        ):
            least = 0 if name == 'stage_weights' else 1
            if not is_list_of_numbers(values, least) or len(values) != len(student_channels):
                raise UserError(
                    f'FeatureDistillation: {name} is {values}, expected {len(student_channels)} '
                    f'numbers of {least} or more, one for each map of the backbone'
                )
        if not beta > 0:
            raise UserError(f'FeatureDistillation: beta is {beta}, expected a number above 0')
        self.teacher: nn.Module = MODELS.build(teacher)
        self.teacher.requires_grad_(False)
        self.teacher.eval()
        self.adapters = nn.ModuleList(
            nn.Conv2d(student, teacher, 1)
            for student, teacher in zip(student_channels, teacher_channels)
        )
        self.student_channels = tuple(student_channels)
        self.teacher_channels = tuple(teacher_channels)
        self.stage_weights = tuple(weights)
        self.beta = beta
        scale, shift = self._renormalization(teacher_mean, teacher_std)
        self.register_buffer('teacher_scale', scale, persistent=False)
        self.register_buffer('teacher_shift', shift, persistent=False)

    def _renormalization(
        self, mean: Sequence[float] | None, std: Sequence[float] | None
    ) -> tuple[Tensor, Tensor]:
        """Factor and offset (C, 1, 1) from the student's normalized images to the teacher's."""
        own_mean = getattr(self.data_preprocessor, 'mean', torch.zeros(3, 1, 1)).detach()
        own_std = getattr(self.data_preprocessor, 'std', torch.ones(3, 1, 1)).detach()
        new_mean = own_mean if mean is None else own_mean.new_tensor(mean).view(-1, 1, 1)
        new_std = own_std if std is None else own_std.new_tensor(std).view(-1, 1, 1)
        return own_std / new_std, (own_mean - new_mean) / new_std

    def train(self, mode: bool = True) -> 'FeatureDistillation':
        """Switch to training or evaluation; the teacher stays in evaluation."""
        super().train(mode)
        self.teacher.eval()
        return self

    def pooled_features(self, images: Tensor) -> list[Tensor]:
        """Global averages of the student's maps of each stage.

        Args:
            images: ``(N, 3, H, W)``, normalized.

        Returns:
            ``(N, C_i)`` for each stage.
        """
        return [feature_map.mean(dim=(2, 3)) for feature_map in self.extract_feat(images)]

    @torch.no_grad()
    def teacher_maps(self, images: Tensor) -> list[Tensor]:
        """Whitened maps of the teacher.

        Args:
            images: ``(N, 3, H, W)``, normalized as the student takes them.

        Returns:
            ``(N, C_i, H_i, W_i)`` for each stage, mean 0 and variance 1 over the channels of each
            position.
        """
        maps = self.teacher(images * self.teacher_scale + self.teacher_shift)
        return [whiten(feature_map.float()) for feature_map in maps]

    def loss(
        self, inputs: list[Tensor] | Tensor, data_samples: list[DataSample]
    ) -> dict[str, Tensor]:
        """Losses of a batch.

        Args:
            inputs: Views ``(N, 3, H, W)`` of one size, any number; each is an image of its own.
            data_samples: Not used; there because mmpretrain hands them over.

        Returns:
            ``loss_stageI``, weighted, and ``cosine_stageI``, the mean cosine similarity to the
            teacher's map, with I from 1.

        Raises:
            UserError: If student and teacher do not give maps of the same sizes, in the numbers of
                channels that were given.
        """
        images = inputs if isinstance(inputs, Tensor) else torch.cat(list(inputs))
        own, wanted = self.extract_feat(images), self.teacher_maps(images)
        self._check(own, wanted)
        terms = {}
        for i, (adapter, mine, target) in enumerate(zip(self.adapters, own, wanted), 1):
            mapped = adapter(mine).float()
            distance = functional.smooth_l1_loss(mapped, target, beta=self.beta)
            terms[f'loss_stage{i}'] = self.stage_weights[i - 1] * distance
            similarity = functional.cosine_similarity(mapped.detach(), target, dim=1)
            terms[f'cosine_stage{i}'] = similarity.mean()
        return terms

    def _check(self, own: Sequence[Tensor], wanted: Sequence[Tensor]) -> None:
        shapes = [tuple(m.shape[1:]) for m in own], [tuple(m.shape[1:]) for m in wanted]
        channels = tuple(s[0] for s in shapes[0]), tuple(s[0] for s in shapes[1])
        sizes = [s[1:] for s in shapes[0]], [s[1:] for s in shapes[1]]
        if channels != (self.student_channels, self.teacher_channels) or sizes[0] != sizes[1]:
            raise UserError(
                f'FeatureDistillation: the student gives maps of {shapes[0]}, the teacher of '
                f'{shapes[1]} (channels, height, width), expected the channels '
                f'{self.student_channels} and {self.teacher_channels} and the same sizes; correct '
                'their out_indices, student_channels or teacher_channels'
            )


def whiten(feature_map: Tensor) -> Tensor:
    """Mean 0 and variance 1 over the channels of each position of ``(N, C, H, W)``."""
    channels_last = feature_map.permute(0, 2, 3, 1)
    normalized = functional.layer_norm(channels_last, channels_last.shape[-1:])
    return normalized.permute(0, 3, 1, 2)
