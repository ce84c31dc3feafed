# Copyright (c) smallobj_mm contributors. SPDX-License-Identifier: Apache-2.0
"""Write the interior and the boundary map of every mask in a folder.

    python tools/dataset_converters/decouple_labels.py data/NUAA-SIRST/mask maps --mode authors

makes OUT/interior/NAME.png and OUT/boundary/NAME.png, 8-bit images of the masks' sizes. Masks may
have any coding. Training needs no such files, as it makes the maps itself (LabelDecoupling).
A run that was stopped is taken up where it ended when it is started again; masks that changed
since are done anew.
"""

import argparse
import os
import sys
from pathlib import Path
from typing import Dict, List, Optional

from smallobj_mm.compat import activate

activate()

import cv2  # noqa: E402
import numpy as np  # noqa: E402
from mmengine.utils import ProgressBar  # noqa: E402

from smallobj_mm.datasets.files import list_images  # noqa: E402
from smallobj_mm.datasets.label_decoupling import (  # noqa: E402
    decouple_label,
    maps_to_uint8,
)
from smallobj_mm.datasets.masks import read_mask  # noqa: E402
from smallobj_mm.datasets.stamped_folder import read_stamp  # noqa: E402
from smallobj_mm.utils.errors import UserError, errors_in_one_line  # noqa: E402
from smallobj_mm.utils.io import atomic_write_bytes, atomic_write_json  # noqa: E402

STAMP = 'decouple_labels.json'
PARTS = ('interior', 'boundary')

# Raised whenever the same mask gives other maps.
_VERSION = 1


def parse_args(argv: Optional[List[str]] = None) -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument('src', metavar='SRC_MASKS', help='folder of masks, subfolders included')
    parser.add_argument('out', metavar='OUT', help='folder to write to')
    parser.add_argument(
        '--mode',
        choices=('authors', 'exact'),
        default='authors',
        help='authors: as the iSmallNet program makes them; exact: interior + boundary is the '
        'mask, and each target reaches 255 (default: authors)',
    )
    return parser.parse_args(argv)


def find_masks(src: str, out: str) -> Dict[str, str]:
    """Relative name without ending -> path of every mask.

    Raises:
        FileNotFoundError: There is no such folder.
        UserError: It has no image, two of one name, or the output would lie in it.
    """
    if not os.path.isdir(src):
        raise FileNotFoundError(f'{src}: no such folder; expected one with mask images')
    if Path(src).resolve() in (Path(out).resolve(), *Path(out).resolve().parents):
        raise UserError(f'{out}: lies in {src}, its maps would be taken for masks; choose another')
    masks: Dict[str, str] = {}
    for path in list_images(src):
        name = os.path.splitext(os.path.relpath(path, src))[0]
        if name in masks:
            raise UserError(f'{path}: has the name of {masks[name]}, expected one mask of a name')
        masks[name] = path
    if not masks:
        raise UserError(f'{src}: no image in this folder; expected masks, *.png or the like')
    return masks


def claim(out: Path, mode: str) -> None:
    """Make sure that a folder holds the maps of one mode only.

    Raises:
        UserError: It holds those of another mode, or other files.
    """
    stamped, wanted = read_stamp(str(out), STAMP), dict(mode=mode, version=_VERSION)
    if stamped is None and out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise UserError(
            f'{out}: is not empty and has no {STAMP}, so it was not made here; choose another'
        )
    if stamped not in (None, wanted):
        raise UserError(
            f'{out}: holds maps made with {stamped or "a damaged stamp"}, but {wanted} is asked '
            'for; remove it or choose another folder'
        )
    if stamped is None:
        atomic_write_json(out / STAMP, wanted)


def is_done(mask: str, targets: List[Path]) -> bool:
    """Whether both maps are there and no older than the mask; they are written whole only."""
    try:
        changed = os.stat(mask).st_mtime
        return all(target.stat().st_mtime >= changed for target in targets)
    except FileNotFoundError:
        return False


def convert(mask: str, targets: List[Path], mode: str) -> None:
    """Write the two maps of a mask."""
    binary = read_mask(mask)
    interior, _ = decouple_label(binary, mode)
    for target, picture in zip(targets, maps_to_uint8(binary, interior)):
        write_png(target, picture)


def write_png(path: Path, picture: np.ndarray) -> None:
    """Write an 8-bit image whole or not at all."""
    atomic_write_bytes(path, cv2.imencode('.png', picture)[1].tobytes())


def main(argv: Optional[List[str]] = None) -> int:
    """Convert; returns the exit status: 1 if a mask could not be read."""
    args = parse_args(argv)
    masks, out = find_masks(args.src, args.out), Path(args.out)
    claim(out, args.mode)
    jobs = {mask: [out / part / f'{name}.png' for part in PARTS] for name, mask in masks.items()}
    waiting = {mask: targets for mask, targets in jobs.items() if not is_done(mask, targets)}
    failures: List[str] = []
    if waiting:
        progress = ProgressBar(len(waiting), file=sys.stdout)
        for mask, targets in waiting.items():
            try:
                convert(mask, targets, args.mode)
            except ValueError as error:
                failures.append(str(error))
            progress.update()
        print()
    done = len(waiting) - len(failures)
    print(f'{out}: maps of {done} masks written, {len(masks) - len(waiting)} were there before')
    for failure in failures:
        print(f'error: {failure}', file=sys.stderr)
    return int(bool(failures))


if __name__ == '__main__':
    with errors_in_one_line():
        sys.exit(main())
