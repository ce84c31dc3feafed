# Copyright (c) smallobj_mm contributors. SPDX-License-Identifier: Apache-2.0
"""The metrics of infrared small target segmentation, with their definitions."""

from __future__ import annotations

from typing import Any, Sequence

import numpy as np
from mmengine.evaluator import BaseMetric
from mmengine.logging import MMLogger

from smallobj_mm.registry import METRICS
from smallobj_mm.utils.errors import UserError
from smallobj_mm.utils.io import atomic_write_json
from smallobj_mm.utils.probability_maps import foreground_probability

from .irstd_counts import MATCH_DISTANCE, count_image
from .irstd_summary import (
    check_options,
    evaluate_images,
    threshold_name,
    without_nan,
)
from .irstd_table import format_table, write_per_image

_NAMES = ('IoU', 'nIoU', 'Pd', 'Fa', 'precision', 'recall', 'F1')


@METRICS.register_module()
class IRSTDMetric(BaseMetric):
    """IoU, nIoU, Pd, Fa, precision, recall, F1, curves and Pd by size, at several thresholds.

    Everything is at the original image size; a pixel is predicted if its probability is strictly
    above the threshold; pixels whose truth is 255 count nowhere.

    - IoU: of targets, sum of intersections / sum of unions over the whole set.
    - nIoU: mean over images of the IoU of an image.
    - Pd: detected targets / targets. Components are 8-connected; a target is detected if the
      centroid of a predicted component lies strictly within ``match_distance`` of its own; each
      prediction serves one target.
    - Fa: pixels of predicted components that serve no target / all pixels. Some published programs
      lose false alarms of the same area as a component that serves; this one does not.
    - precision, recall, F1: of pixels, over the whole set.
    - AUC, AP: area under the ROC and the precision-recall curve of pixels.

    The metrics carry the names above, but for ``Fa_1e-6``, which is Fa in millionths, at the main
    threshold; that is 0.5 if it is among ``thresholds``, else the first of them. At the others
    ``@`` and the threshold follow (``IoU@0.25``). A quotient of nothing by nothing is nan, '-' in
    the table and null in the file; precision is 0 where nothing is predicted.

    In a distributed run each image counts once: mmengine cuts off what the sampler padded, and an
    image that still comes twice is counted once with a warning.

    Args:
        thresholds: Thresholds in [0, 1); one pass over the images serves all.
        matching: Which predicted component serves a target: 'first' reproduces the greedy scan of
            the field's programs, 'optimal' is the assignment that detects most.
        empty: What an image without target and prediction adds to nIoU: 'one', 'zero' (what ACM
            and others do) or 'skip'.
        match_distance: Pixels between centroids from which a component is too far.
        curves: Compute ROC, precision-recall and Pd-Fa curves; costs about 1 ms an image of 256².
        authors: Print the figures of the script of iSmallNet's authors as well.
        json_file: Where to write everything, the curves included (see ``plot_irstd_curves.py``).
        per_image_file: Where to write a CSV table with a line for each image and threshold.
        collect_device: 'cpu' or 'gpu', where results of several processes are collected.
        prefix: Prefix of the names of the metrics, ``irstd`` if None.

    Raises:
        UserError: If an argument is none of the above; when used: if a sample lacks prediction or
            truth, their sizes differ, or the prediction is no probability.
    """

    default_prefix = 'irstd'

    def __init__(
        self,
        thresholds: Sequence[float] = (0.5,),
        matching: str = 'first',
        empty: str = 'one',
        match_distance: float = MATCH_DISTANCE,
        curves: bool = True,
        authors: bool = False,
        json_file: str | None = None,
        per_image_file: str | None = None,
        collect_device: str = 'cpu',
        prefix: str | None = None,
    ) -> None:
        super().__init__(collect_device=collect_device, prefix=prefix)
        check_options('IRSTDMetric', thresholds, matching, empty)
        if match_distance <= 0:
            raise UserError(f'IRSTDMetric: match_distance is {match_distance}, expected above 0')
        self.thresholds = tuple(float(threshold) for threshold in thresholds)
        self.matching = matching
        self.empty = empty
        self.match_distance = match_distance
        self.curves = curves
        self.authors = authors
        self.json_file = json_file
        self.per_image_file = per_image_file

    def process(self, data_batch: Any, data_samples: Sequence[dict]) -> None:
        """Count the images of a batch.

        Args:
            data_batch: Not used; the signature is mmengine's.
            data_samples: Samples as dicts with ``seg_logits`` (data (1, H, W), probabilities) and
                ``gt_sem_seg`` (data (1, H, W): 0, 1, 255), and the optional ``img_path``.
        """
        for sample in data_samples:
            name = sample.get('img_path') or 'an image without img_path'
            if 'gt_sem_seg' not in sample:
                raise UserError(
                    f'IRSTDMetric: {name} has no gt_sem_seg: put LoadBinaryMask into the test '
                    'pipeline'
                )
            truth = sample['gt_sem_seg']['data']
            truth = truth.detach().cpu().numpy() if hasattr(truth, 'detach') else truth
            probability = foreground_probability(sample, f'IRSTDMetric: {name}')
            try:
                counts = count_image(
                    probability,
                    np.asarray(truth).reshape(np.shape(truth)[-2:]),
                    self.thresholds,
                    self.matching,
                    self.match_distance,
                    self.curves,
                )
            except ValueError as error:
                raise UserError(
                    f'IRSTDMetric: {name}: {error}; in the test pipeline LoadBinaryMask comes '
                    'after Resize'
                ) from None
            self.results.append(dict(name=sample.get('img_path'), counts=counts))

    def compute_metrics(self, results: list[dict]) -> dict[str, float]:
        """Compute and print the table.

        Args:
            results: What :meth:`process` kept, each image of the data set once.

        Returns:
            The metrics by name, without prefix.
        """
        logger = MMLogger.get_current_instance()
        first: dict = {}
        for index, record in enumerate(results):
            first.setdefault(record['name'] or index, record)
        kept = list(first.values())
        if len(kept) < len(results):
            logger.warning(
                f'IRSTDMetric: {len(results) - len(kept)} of {len(results)} results are of an '
                'image that had been there before (same img_path) and are left out'
            )
        if not kept:
            raise UserError('IRSTDMetric: no image was evaluated: check the evaluated data set')
        images = [record['counts'] for record in kept]
        result = evaluate_images(
            images, self.thresholds, self.matching, self.empty, self.match_distance, self.curves,
            self.authors,
        )  # fmt: skip
        logger.info('\n' + format_table(result))
        if self.json_file is not None:
            atomic_write_json(self.json_file, without_nan(result), indent=1)
            logger.info(f'metrics and curves are in {self.json_file}')
        if self.per_image_file is not None:
            names = [record['name'] or '' for record in kept]
            write_per_image(self.per_image_file, names, images, self.thresholds)
            logger.info(f'counts of each image are in {self.per_image_file}')
        return self._named(result)

    def _named(self, result: dict) -> dict[str, float]:
        main = 0.5 if 0.5 in self.thresholds else self.thresholds[0]
        values = {}
        for threshold in self.thresholds:
            suffix = '' if threshold == main else f'@{threshold_name(threshold)}'
            metrics = result[threshold_name(threshold)]
            for name in _NAMES:
                # A log has four decimals: false alarms are some millionths of the pixels.
                scaled = ('Fa_1e-6', metrics['Fa'] * 1e6) if name == 'Fa' else (name, metrics[name])
                values[scaled[0] + suffix] = scaled[1]
        if 'curves' in result:
            values.update(AUC=result['curves']['AUC'], AP=result['curves']['AP'])
        for name, value in result.get('authors', {}).items():
            values[f'authors_{name}'] = value
        return values
