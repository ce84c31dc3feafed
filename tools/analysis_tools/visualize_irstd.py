# Copyright (c) smallobj_mm contributors. SPDX-License-Identifier: Apache-2.0
"""Draw input, truth, prediction, interior and boundary of infrared images, a PNG for each.

Either a CONFIG and a CHECKPOINT, whose test images are drawn, or --pred-dir, --gt-dir and
--img-dir with probability maps, masks and images of any program.
"""

import argparse
from collections.abc import Iterator
from pathlib import Path

import smallobj_mm  # noqa: F401  isort: skip  (compat before anything imports torchvision or mmcv)
import numpy as np
import torch
from mmengine.config import Config, ConfigDict, DictAction
from mmengine.dataset import pseudo_collate
from mmengine.model import BaseModel
from mmengine.registry import init_default_scope
from mmengine.structures import BaseDataElement
from torch import Tensor
from torch.nn.functional import interpolate

from smallobj_mm.checkpoints.reading import load_plain
from smallobj_mm.checkpoints.state_dict import load_weights
from smallobj_mm.datasets.files import list_images, strip_image_suffix
from smallobj_mm.evaluation.irstd_maps import pair_maps, read_probability_map
from smallobj_mm.registry import DATASETS, MODELS
from smallobj_mm.utils.configs import read_config
from smallobj_mm.utils.errors import DEBUG_VARIABLE, UserError, errors_in_one_line
from smallobj_mm.utils.io import atomic_write_bytes
from smallobj_mm.utils.probability_maps import foreground_probability
from smallobj_mm.utils.sync_bn import disable_sync_bn_on_cpu
from smallobj_mm.visualization.irstd_figure import draw_figure, figure_png, gray
from smallobj_mm.visualization.irstd_surface import draw_surfaces

#: Name, image (H, W, 3) uint8 BGR, and maps (H, W) by their names.
Sample = tuple[str, np.ndarray, dict[str, np.ndarray]]


def parse_args(argv: list[str] | None = None) -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        epilog=f'{DEBUG_VARIABLE}=1 shows the traceback of every error.',
    )
    parser.add_argument('config', nargs='?', help='config of a segmentation model')
    parser.add_argument('checkpoint', nargs='?', help='its checkpoint')
    parser.add_argument('--pred-dir', help='folder of probability maps')
    parser.add_argument('--gt-dir', help='folder of masks')
    parser.add_argument('--img-dir', help='folder of images')
    parser.add_argument('--out', required=True, help='folder for the pictures')
    parser.add_argument('--limit', type=int, help='number of images; all if not given')
    parser.add_argument('--threshold', type=float, default=0.5, help='predicted is what is above')
    parser.add_argument(
        '--surface', action='store_true', help='also NAME_surface.png: intensities as 3D surfaces'
    )
    parser.add_argument('--device', help='where the network runs; default: CUDA if there is one')
    parser.add_argument('--cfg-options', nargs='+', action=DictAction, help='overrides key=value')
    args = parser.parse_args(argv)
    folders = (args.pred_dir, args.gt_dir, args.img_dir)
    if any(folders) != all(folders) or (args.checkpoint is None) != any(folders):
        parser.error('give CONFIG and CHECKPOINT, or --pred-dir, --gt-dir and --img-dir')
    if args.limit is not None and args.limit < 1:
        parser.error(f'--limit is {args.limit}, expected 1 or more')
    if not 0 <= args.threshold < 1:
        parser.error(f'--threshold is {args.threshold}, expected a number in [0, 1)')
    return args


def read_picture(path: str | Path) -> np.ndarray:
    """An image as 8 bits BGR."""
    from smallobj_mm.datasets.transforms.loading import LoadImageStrict

    return LoadImageStrict(high_bit_depth='scale')(dict(img_path=str(path)))['img']


def folder_samples(args: argparse.Namespace) -> Iterator[Sample]:
    """Name, image and maps of each image of the three folders."""
    from smallobj_mm.datasets.masks import read_mask

    pairs, problems = pair_maps(args.pred_dir, args.gt_dir, every_mask=False)
    if problems:
        raise UserError(problems[0])
    images = {Path(strip_image_suffix(path)).name: path for path in list_images(args.img_dir)}
    for pair in pairs:
        if pair.name not in images:
            raise UserError(f'{pair.prediction}: no image {pair.name} in {args.img_dir}')
        image = read_picture(images[pair.name])
        maps = dict(probability=read_probability_map(pair.prediction), truth=read_mask(pair.truth))
        for values in maps.values():
            if values.shape != image.shape[:2]:
                raise UserError(
                    f'{pair.prediction}: image, map and mask are {image.shape[:2]}, '
                    f'{maps["probability"].shape} and {maps["truth"].shape}, expected equal sizes'
                )
        yield pair.name, image, maps


def build_model(cfg: Config, checkpoint: str, device: str) -> BaseModel:
    """The model of a config with the weights of a checkpoint, ready to predict."""
    disable_sync_bn_on_cpu(cfg)
    if cfg.get('data_preprocessor') is not None:
        cfg.model.setdefault('data_preprocessor', cfg.data_preprocessor)
    model = MODELS.build(cfg.model)
    load_weights(model, load_plain(checkpoint), checkpoint)
    return model.to(device).eval()


@torch.no_grad()
def model_samples(args: argparse.Namespace) -> Iterator[Sample]:
    """Name, image and maps of each test image of a config."""
    if not Path(args.checkpoint).is_file():
        raise FileNotFoundError(f'{args.checkpoint}: no such checkpoint')
    cfg = read_config(args.config, args.cfg_options)
    scope = cfg.get('default_scope')
    if scope != 'mmseg' or cfg.get('test_dataloader') is None:
        raise UserError(
            f'{args.config}: default_scope {scope!r}, expected a config of mmseg with a '
            'test_dataloader'
        )
    init_default_scope(scope)
    device = args.device or ('cuda' if torch.cuda.is_available() else 'cpu')
    dataset = DATASETS.build(ConfigDict(cfg.test_dataloader.dataset))
    model = build_model(cfg, args.checkpoint, device)
    for index in range(len(dataset)):
        data = model.data_preprocessor(pseudo_collate([dataset[index]]), False)
        inputs, samples = data['inputs'], data['data_samples']
        outputs = model(inputs, mode='tensor')
        (sample,) = model(inputs, samples, mode='predict')
        path = sample.img_path
        if 'gt_sem_seg' not in sample:
            raise UserError(f'{path}: has no truth, expected LoadBinaryMask in the test pipeline')
        maps = dict(
            probability=foreground_probability(sample, path),
            truth=sample.gt_sem_seg.data[0].cpu().numpy().astype(np.uint8),
        )
        if isinstance(outputs, (tuple, list)) and len(outputs) == 3:
            maps['interior'], maps['boundary'] = (
                at_native(output, sample) for output in outputs[:2]
            )
        yield Path(path).stem, read_picture(path), maps


def at_native(logits: Tensor, sample: BaseDataElement) -> np.ndarray:
    """Logits (1, 1, H, W) of the padded input as probabilities (h, w) of the original image."""
    left, right, top, bottom = sample.get('img_padding_size', sample.get('padding_size', [0] * 4))
    height, width = logits.shape[2:]
    logits = logits[..., top : height - bottom, left : width - right].float()
    native = interpolate(logits, sample.ori_shape[:2], mode='bilinear', align_corners=False)
    return native.sigmoid()[0, 0].cpu().numpy()


def main(argv: list[str] | None = None) -> None:
    """Draw images."""
    args = parse_args(argv)
    samples = model_samples(args) if args.checkpoint else folder_samples(args)
    drawn = 0
    for name, image, maps in samples:
        figure = draw_figure(image, **maps, threshold=args.threshold, name=name)
        atomic_write_bytes(Path(args.out) / f'{name}.png', figure_png(figure))
        if args.surface:
            surfaces = [
                ('Input', gray(image)),
                ('Ground truth', (maps['truth'] == 1).astype(np.float32)),
                ('Prediction', maps['probability']),
            ]
            picture = figure_png(draw_surfaces(surfaces))
            atomic_write_bytes(Path(args.out) / f'{name}_surface.png', picture)
        drawn += 1
        if drawn == args.limit:
            break
    print(f'pictures of {drawn} images are in {args.out}')


if __name__ == '__main__':
    with errors_in_one_line():
        main()
