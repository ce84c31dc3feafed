# Copyright (c) smallobj_mm contributors. SPDX-License-Identifier: Apache-2.0
"""Detection head: assignment, losses and prediction around the head's network."""

import functools
from collections.abc import Callable, Sequence
from typing import TypeVar

import torch
from mmcv.ops import batched_nms
from mmdet.models.dense_heads.base_dense_head import BaseDenseHead
from mmdet.structures.bbox import get_box_tensor
from mmengine.structures import InstanceData
from torch import Tensor
from torch.nn import functional

from smallobj_mm.models.layers.types import ConfigType
from smallobj_mm.models.losses import aligned_ciou
from smallobj_mm.models.task_modules.anchor_ota_assigner import Candidates
from smallobj_mm.registry import MODELS, TASK_UTILS
from smallobj_mm.utils.errors import UserError

Instances = list[InstanceData]
Result = TypeVar('Result')


def at_least_float32(x: Tensor) -> Tensor:
    """``x`` in float32 where it comes from mixed precision."""
    return x.to(torch.promote_types(x.dtype, torch.float32))


def maps_of_all_levels(method: Callable[..., Result]) -> Callable[..., Result]:
    """Let a method that takes a sequence of maps take them one by one as well.

    mmdet's base class calls ``loss_by_feat(*outs, ...)`` with what the head's ``forward`` returns,
    here a tuple with a map for each level.
    """

    @functools.wraps(method)
    def call(self: BaseDenseHead, *args: object, **keywords: object) -> Result:
        count = next((i for i, arg in enumerate(args) if not isinstance(arg, Tensor)), len(args))
        return method(self, *((args[:count],) if count else ()), *args[count:], **keywords)

    return call


@MODELS.register_module()
class DecoupledCrossHead(BaseDenseHead):
    """Anchor-based head trained with optimal transport assignment.

    Losses, each a sum over levels of a mean over the level: box 1 - CIoU of the matched
    predictions; objectness BCE of all predictions, the target being the matched CIoU clamped at
    0, else 0; class BCE of the matched predictions. They are multiplied by the number of images
    in the batch, as in the authors' program: the learning rate is that of a sum over images and
    needs no scaling with the batch size. ``SumOptimWrapper`` sums over processes and
    accumulated batches likewise. The gains are those of three levels: with another number they
    are multiplied by 3 / levels, as the terms are sums over levels.

    Args:
        num_classes: Number of classes.
        head_module: Config of the network, see :class:`DecoupledCrossHeadModule`;
            ``num_classes``, ``strides`` and ``num_anchors`` are filled in.
        prior_generator: Config of the anchors, mmdet's ``YOLOAnchorGenerator``: ``base_sizes``
            (w, h in pixels) per level and ``strides``.
        bbox_coder: Config of the box coder.
        assigner: Config of the assigner.
        box_gain: Weight of the box loss.
        obj_gain: Weight of the objectness loss at ``img_size`` 640.
        cls_gain: Weight of the class loss at 80 classes.
        obj_level_weights: Weights of the levels in the objectness loss, finest first.
        img_size: Side of the training images in pixels; the objectness weight grows with its
            square.
        train_cfg: Not used by this head; there because detectors hand it over.
        test_cfg: ``score_thr``, ``nms`` (config of ``batched_nms``), ``nms_pre`` (candidates
            kept before it), ``max_per_img``, ``multi_label`` (several classes per box).
        init_cfg: Initialization, as everywhere in mmengine.

    Raises:
        UserError: If ``obj_level_weights`` does not have one number per level.

    Source: Liu et al., "Semantic Decoupling and Transfer Learning for Enhanced Small Object
    Detection", The Visual Computer, 2025.
    """

    #: What exported files call the outputs of ``forward``: box, objectness, classes in one map.
    map_names = ('predictions',)

    def __init__(
        self,
        num_classes: int,
        head_module: ConfigType,
        prior_generator: ConfigType,
        bbox_coder: ConfigType = dict(type='ScaledSigmoidBBoxCoder'),
        assigner: ConfigType = dict(type='AnchorOTAAssigner'),
        box_gain: float = 0.05,
        obj_gain: float = 0.7,
        cls_gain: float = 0.3,
        obj_level_weights: Sequence[float] = (4.0, 1.0, 0.4),
        img_size: int = 640,
        train_cfg: ConfigType | None = None,
        test_cfg: ConfigType | None = None,
        init_cfg: ConfigType | list[ConfigType] | None = None,
    ) -> None:
        super().__init__(init_cfg)
        self.num_classes = num_classes
        self.prior_generator = TASK_UTILS.build(prior_generator)
        strides = [stride[0] for stride in self.prior_generator.strides]
        if len(obj_level_weights) != len(strides):
            raise UserError(
                f'obj_level_weights: found {len(obj_level_weights)} numbers, expected '
                f'{len(strides)}, one for each stride of the prior generator'
            )
        self.head_module = MODELS.build(
            {
                **head_module,
                'num_classes': num_classes,
                'strides': strides,
                'num_anchors': self.prior_generator.num_base_priors[0],
            }
        )
        self.bbox_coder = TASK_UTILS.build(bbox_coder)
        self.assigner = TASK_UTILS.build(assigner)
        self.obj_level_weights = tuple(obj_level_weights)
        per_level = 3 / len(strides)
        self.box_gain = box_gain * per_level
        self.obj_gain = obj_gain * (img_size / 640) ** 2 * per_level
        self.cls_gain = cls_gain * num_classes / 80 * per_level
        self.train_cfg = train_cfg
        self.test_cfg = test_cfg

        base = torch.stack([torch.as_tensor(b) for b in self.prior_generator.base_anchors])
        sizes = base[..., 2:] - base[..., :2]
        self.register_buffer('anchor_sizes', sizes, persistent=False)
        self.register_buffer('strides', torch.tensor(strides).to(sizes), persistent=False)

    def forward(self, x: Sequence[Tensor]) -> tuple[Tensor, ...]:
        """Raw maps of all levels; see :class:`DecoupledCrossHeadModule`."""
        return self.head_module(x)

    @maps_of_all_levels
    def loss_by_feat(
        self,
        raw_maps: Sequence[Tensor],
        batch_gt_instances: Instances,
        batch_img_metas: Sequence[dict] | None = None,
        batch_gt_instances_ignore: Sequence[InstanceData | None] | None = None,
    ) -> dict[str, Tensor]:
        """Losses from the raw maps.

        Args:
            raw_maps: One map ``(N, A * (5 + classes), H, W)`` per level.
            batch_gt_instances: ``bboxes`` and ``labels`` of each image's targets, in pixels of
                the images as the network takes them.
            batch_img_metas: Not used.
            batch_gt_instances_ignore: ``bboxes`` of each image's regions to ignore, or None for
                an image or for all. Predictions whose cell lies in one are neither objects nor
                background.

        Returns:
            ``loss_bbox``, ``loss_obj``, ``loss_cls``.
        """
        device = raw_maps[0].device
        # (N, A, H, W, 5 + classes) views: a candidate is a row.
        maps = [
            at_least_float32(m).unflatten(1, (self.anchor_sizes.shape[1], -1)).movedim(2, -1)
            for m in raw_maps
        ]
        num_images = len(maps[0])
        targets = [
            InstanceData(bboxes=get_box_tensor(t.bboxes).to(maps[0]), labels=t.labels.to(device))
            for t in batch_gt_instances
        ]
        boxes = torch.cat([t.bboxes for t in targets])
        labels = torch.cat([t.labels for t in targets])
        matched, target = self._assign(maps, targets)
        ignore = self._ignore_masks(maps, batch_gt_instances_ignore)

        loss_bbox = loss_obj = loss_cls = maps[0].new_zeros(())
        for level, raw in enumerate(maps):
            chosen = matched.level == level
            here, at = matched.pick(chosen), target[chosen]
            index = (here.image, here.anchor, here.row, here.col)
            objectness = raw.new_zeros(raw.shape[:-1])
            # Keeps every parameter in the graph of a level without targets.
            box_loss = cls_loss = raw[:, 0, 0, 0].sum() * 0
            if len(at):
                rows = raw[index]
                decoded = self._decode(rows[:, :4], here)
                ciou = aligned_ciou(decoded, boxes[at])
                box_loss = (1 - ciou).mean()
                objectness[index] = ciou.detach().clamp(min=0)
                if self.num_classes > 1:
                    one_hot = functional.one_hot(labels[at], self.num_classes).to(rows)
                    cls_loss = functional.binary_cross_entropy_with_logits(rows[:, 5:], one_hot)
            obj_loss = self._objectness_loss(raw[..., 4], objectness, index, ignore[level])
            loss_bbox = loss_bbox + self.box_gain * box_loss
            loss_obj = loss_obj + self.obj_gain * self.obj_level_weights[level] * obj_loss
            loss_cls = loss_cls + self.cls_gain * cls_loss
        terms = dict(loss_bbox=loss_bbox, loss_obj=loss_obj, loss_cls=loss_cls)
        return {name: term * num_images for name, term in terms.items()}

    @staticmethod
    def _objectness_loss(
        logits: Tensor, target: Tensor, matched: tuple[Tensor, ...], ignore: Tensor | None
    ) -> Tensor:
        if ignore is None:
            return functional.binary_cross_entropy_with_logits(logits, target)
        ignore = ignore.expand_as(logits).clone()
        ignore[matched] = False
        loss = functional.binary_cross_entropy_with_logits(logits, target, reduction='none')
        return loss.masked_fill(ignore, 0).mean()

    @torch.no_grad()
    def _assign(self, maps: Sequence[Tensor], targets: Instances) -> tuple[Candidates, Tensor]:
        """Matched predictions and the position of each one's target in the batch."""
        boxes = torch.cat([t.bboxes for t in targets])
        image = torch.arange(len(targets), device=boxes.device).repeat_interleave(
            torch.tensor([len(t.bboxes) for t in targets], device=boxes.device)
        )
        center = (boxes[:, :2] + boxes[:, 2:]) / 2
        size = boxes[:, 2:] - boxes[:, :2]
        grids = [m.shape[2:4] for m in maps]
        near = self.assigner.candidates(image, center, size, self.anchor_sizes, self.strides, grids)
        rows = boxes.new_empty((len(near.level), maps[0].shape[-1]))
        for level, raw in enumerate(maps):
            at = (near.level == level).nonzero().squeeze(1)
            here = near.pick(at)
            rows[at] = raw.detach()[here.image, here.anchor, here.row, here.col]
        # The clamp keeps the logarithms of the cost finite where a sigmoid saturates.
        scores = (rows[:, 5:].sigmoid() * rows[:, 4:5].sigmoid()).sqrt().clamp(1e-6, 1 - 1e-6)
        stride = self.prior_generator.strides[0][0]
        shape = (grids[0][0] * stride, grids[0][1] * stride)
        predicted = self._decode(rows[:, :4], near)
        counts = torch.bincount(near.image, minlength=len(targets)).tolist()
        first, owners = 0, []
        for truth, bboxes, image_scores in zip(
            targets, predicted.split(counts), scores.split(counts)
        ):
            candidates = InstanceData(bboxes=bboxes, scores=image_scores)
            owner = self.assigner.assign(candidates, truth, img_shape=shape).gt_inds - 1
            owners.append(torch.where(owner >= 0, owner + first, -1))
            first += len(truth.bboxes)
        owner = torch.cat(owners)
        matched = (owner >= 0).nonzero().squeeze(1)
        return near.pick(matched), owner[matched]

    def _decode(self, raw: Tensor, at: Candidates) -> Tensor:
        """Boxes ``(n, 4)`` in pixels of the raw values ``(n, 4)`` of given predictions."""
        stride = self.strides[at.level]
        center = (torch.stack([at.col, at.row], dim=1) + 0.5) * stride[:, None]
        half = self.anchor_sizes[at.level, at.anchor] / 2
        return self.bbox_coder.decode(torch.cat([center - half, center + half], dim=1), raw, stride)

    def _ignore_masks(
        self, maps: Sequence[Tensor], ignored: Sequence | None
    ) -> list[Tensor | None]:
        """Per level, the cells ``(N, 1, H, W)`` whose center lies in a region to ignore."""
        if ignored is None or all(i is None or not len(i) for i in ignored):
            return [None] * len(maps)
        masks: list[Tensor | None] = []
        for raw, stride in zip(maps, self.strides):
            h, w = raw.shape[2:4]
            y = (torch.arange(h, device=raw.device) + 0.5) * stride
            x = (torch.arange(w, device=raw.device) + 0.5) * stride
            mask = raw.new_zeros((len(raw), 1, h, w), dtype=torch.bool)
            for image, regions in enumerate(ignored):
                if regions is None or not len(regions):
                    continue
                x1, y1, x2, y2 = get_box_tensor(regions.bboxes).to(raw).t()[..., None]
                rows, cols = (y >= y1) & (y < y2), (x >= x1) & (x < x2)
                mask[image, 0] = (rows[:, :, None] & cols[:, None, :]).any(dim=0)
            masks.append(mask)
        return masks

    def decode_maps(self, raw_maps: Sequence[Tensor]) -> tuple[Tensor, Tensor]:
        """Boxes and scores of every prediction.

        Args:
            raw_maps: One map ``(N, A * (5 + classes), H, W)`` per level.

        Returns:
            Boxes ``(N, n, 4)`` as x1, y1, x2, y2 in pixels of the network's input, and sigmoids
            ``(N, n, 1 + classes)`` of objectness and classes; n runs over levels, rows, columns,
            anchors.
        """
        num_anchors = self.anchor_sizes.shape[1]
        boxes, scores = [], []
        for level, raw in enumerate(raw_maps):
            h, w = raw.shape[-2:]
            rows = at_least_float32(raw).unflatten(1, (num_anchors, -1)).permute(0, 3, 4, 1, 2)
            rows = rows.reshape(len(raw), h * w * num_anchors, -1)
            priors = self.prior_generator.single_level_grid_priors(
                (h, w), level, dtype=rows.dtype, device=rows.device
            )
            stride = self.prior_generator.strides[level][0]
            boxes.append(self.bbox_coder.decode(priors, rows[..., :4], stride))
            scores.append(rows[..., 4:].sigmoid())
        return torch.cat(boxes, dim=1), torch.cat(scores, dim=1)

    @maps_of_all_levels
    def predict_by_feat(
        self,
        raw_maps: Sequence[Tensor],
        batch_img_metas: Sequence[dict],
        cfg: ConfigType | None = None,
        rescale: bool = False,
        with_nms: bool = True,
    ) -> Instances:
        """Detections from the raw maps.

        Args:
            raw_maps: One map ``(N, A * (5 + classes), H, W)`` per level.
            batch_img_metas: ``img_shape`` of each image and, for ``rescale``, ``scale_factor``.
            cfg: In place of the head's ``test_cfg``.
            rescale: Return boxes in pixels of the original images.
            with_nms: False leaves the suppression to the caller, as test-time augmentation does.

        Returns:
            ``bboxes`` (x1, y1, x2, y2), ``scores`` and ``labels`` of each image, best first.
        """
        cfg = cfg or self.test_cfg
        boxes, scores = self.decode_maps(raw_maps)
        objectness, scores = scores[..., :1], scores[..., 1:]
        scores = scores * objectness if self.num_classes > 1 else objectness
        return [
            self._select(b, s, meta, cfg, rescale, with_nms)
            for b, s, meta in zip(boxes, scores, batch_img_metas)
        ]

    @staticmethod
    def _select(
        boxes: Tensor, scores: Tensor, meta: dict, cfg: ConfigType, rescale: bool, with_nms: bool
    ) -> InstanceData:
        """Detections of one image from all its predictions."""
        if cfg['multi_label']:
            index, labels = (scores > cfg['score_thr']).nonzero(as_tuple=True)
            kept = scores[index, labels]
        else:
            kept, labels = scores.max(dim=1)
            index = (kept > cfg['score_thr']).nonzero().squeeze(1)
            kept, labels = kept[index], labels[index]
        if len(kept) > cfg['nms_pre']:
            kept, order = kept.topk(cfg['nms_pre'])
            index, labels = index[order], labels[order]
        boxes = boxes[index]

        h, w = meta['img_shape'][:2]
        boxes = boxes.minimum(boxes.new_tensor([w, h, w, h])).clamp(min=0)
        if rescale:
            boxes = boxes / boxes.new_tensor([*meta['scale_factor']] * 2)
        if with_nms and len(kept):  # mmcv's batched_nms takes no empty input
            dets, order = batched_nms(boxes, kept, labels, cfg['nms'])
            order = order[: cfg['max_per_img']]
            boxes, kept, labels = dets[: len(order), :4], dets[: len(order), 4], labels[order]
        return InstanceData(bboxes=boxes, scores=kept, labels=labels)
