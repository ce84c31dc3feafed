# Copyright (c) smallobj_mm contributors. SPDX-License-Identifier: Apache-2.0
"""Readers of annotation formats: plain functions that need no OpenMMLab detection package."""

from .bosch_yaml import BOSCH_MERGE, parse_bosch_yaml
from .coco_json import parse_coco_json, read_coco_classes
from .voc_xml import VOCAnnotation, parse_voc_xml
from .yolo_txt import DataYaml, label_path_of, parse_data_yaml, parse_yolo_txt

__all__ = [
    'BOSCH_MERGE',
    'DataYaml',
    'VOCAnnotation',
    'label_path_of',
    'parse_bosch_yaml',
    'parse_coco_json',
    'parse_data_yaml',
    'parse_voc_xml',
    'parse_yolo_txt',
    'read_coco_classes',
]
