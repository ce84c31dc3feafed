# Copyright (c) smallobj_mm contributors. SPDX-License-Identifier: Apache-2.0
"""Loading images such that a bad file stops the run with its name."""

import io
import os.path as osp
from typing import Optional

import mmcv
import mmengine.fileio as fileio
import numpy as np
from mmcv.transforms import LoadImageFromFile

from smallobj_mm.registry import TRANSFORMS
from smallobj_mm.utils.errors import UserError
from smallobj_mm.utils.image_headers import MAX_PIXELS, read_header

from .high_bit_depth import CHOICES, decode_deep, to_eight_bits, with_channels

_PNG_SIGNATURE = b'\x89PNG\r\n\x1a\n'
_PNG_END = b'IEND\xae\x42\x60\x82'


def truncation(data: bytes) -> Optional[str]:
    """Find out from the container whether the end of an image file is missing.

    OpenCV decodes a truncated JPEG without an error and fills the rest with gray.

    Args:
        data (bytes): Content of the file.

    Returns:
        str | None: What is missing, None if the file is complete or of an unknown format.
    """
    if data[:2] == b'\xff\xd8':
        return None if _jpeg_ends(data) else 'its JPEG end marker is missing'
    if data[:8] == _PNG_SIGNATURE:
        return None if _PNG_END in data else 'its PNG end chunk is missing'
    declared = 0
    if data[:4] == b'RIFF' and data[8:12] == b'WEBP':
        declared = int.from_bytes(data[4:8], 'little') + 8
    elif data[:2] == b'BM':
        declared = int.from_bytes(data[2:6], 'little')
    return f'its header declares {declared} bytes' if declared > len(data) else None


def _jpeg_ends(data: bytes) -> bool:
    """Whether an end marker follows the first scan.

    The segments before it are stepped over, as an embedded thumbnail has an end marker too;
    within a scan a byte 0xFF is always escaped, so that the marker cannot occur by chance.
    """
    position = 2
    while position + 4 <= len(data):
        if data[position] != 0xFF:
            return False
        marker = data[position + 1]
        if marker == 0xFF:  # fill byte
            position += 1
            continue
        length = int.from_bytes(data[position + 2 : position + 4], 'big')
        position += 2 + length
        if marker == 0xDA:
            return data.find(b'\xff\xd9', position) >= 0
    return False


@TRANSFORMS.register_module()
class LoadImageStrict(LoadImageFromFile):
    """Load an image, or stop with one line that names the file and what is wrong with it.

    A file that is cut short is found in every common format. Damage in the middle of a compressed
    image is found where the format has checksums (PNG); a JPEG decodes to wrong pixels.

    Required keys: img_path; height and width (px), where present, are compared with the image.
    Added keys: img (uint8 or float32, shape (H, W, 3) or (H, W)), img_shape, ori_shape.

    Args:
        to_float32 (bool): Whether to convert the image to float32. Defaults to False.
        color_type (str): Flag of :func:`mmcv.imfrombytes`. Defaults to 'color'.
        imdecode_backend (str): Backend of :func:`mmcv.imfrombytes`. Defaults to 'cv2'.
        backend_args (dict, optional): File backend; None for local files.
        high_bit_depth (str): What becomes of images of more than 8 bits a channel, unless they are
            loaded unchanged or by tifffile. 'error': they stop the run; 'scale': each is scaled
            from its own smallest..largest value to 0..255: its contrast stays, as far as 256 levels
            hold it, its absolute values do not. Defaults to 'error'.
        max_pixels (int): Pixels of the largest image, by its header, that is decoded. Defaults to
            2**29, a square of 23,170 px.

    Raises:
        UserError: If high_bit_depth is another word.
    """

    def __init__(
        self,
        to_float32: bool = False,
        color_type: str = 'color',
        imdecode_backend: str = 'cv2',
        backend_args: Optional[dict] = None,
        high_bit_depth: str = 'error',
        max_pixels: int = MAX_PIXELS,
    ) -> None:
        if high_bit_depth not in CHOICES:
            raise UserError(
                f'LoadImageStrict: high_bit_depth is {high_bit_depth!r}, expected one of '
                f'{", ".join(CHOICES)}'
            )
        self.high_bit_depth = high_bit_depth
        self.max_pixels = max_pixels
        super().__init__(
            to_float32=to_float32,
            color_type=color_type,
            imdecode_backend=imdecode_backend,
            backend_args=backend_args,
        )

    def transform(self, results: dict) -> dict:
        """Load the image.

        Args:
            results (dict): The sample.

        Returns:
            dict: The sample with its image.

        Raises:
            FileNotFoundError: If there is no such file.
            UserError: If the file is empty, truncated, not an image or of a format whose size is
                not known before decoding, the image is too large, has more than 8 bits and is not
                to be scaled, or its size differs from the annotation's.
        """
        path = results['img_path']
        img = self._decode(path)
        height, width = img.shape[:2]
        expected = (results.get('width', width), results.get('height', height))
        if (width, height) != expected:
            hint = ', turned by its EXIF orientation' if (height, width) == expected else ''
            raise UserError(
                f'{path}: the image is {width}x{height}{hint}, but its annotation says '
                f'{expected[0]}x{expected[1]}; use the image that was annotated or correct the size'
            )
        results['img'] = img.astype('float32') if self.to_float32 else img
        results['img_shape'] = (height, width)
        results['ori_shape'] = (height, width)
        return results

    def _decode(self, path: str) -> np.ndarray:
        """Read and decode; the errors name the file."""
        advice = 'replace the file or take it off the list'
        try:
            data = fileio.get(path, backend_args=self.backend_args)
        except FileNotFoundError:
            raise FileNotFoundError(f'{path}: no such image; {advice}') from None
        except IsADirectoryError:
            raise UserError(f'{path}: a folder, expected an image file; {advice}') from None
        kind = osp.splitext(path)[1] or 'no ending'
        try:
            read_header(io.BytesIO(data), self.max_pixels)
        except ValueError as error:
            raise UserError(
                f'{path}: not readable as an image ({len(data)} bytes, {kind}): {error}; {advice}'
            ) from None
        missing = truncation(data)
        if missing:
            raise UserError(f'{path}: truncated image ({len(data)} bytes, {missing}); {advice}')
        if self.color_type != 'unchanged' and self.imdecode_backend != 'tifffile':
            deep = decode_deep(data, upright=not self.color_type.endswith('ignore_orientation'))
            if deep is not None:
                return self._eight_bits(path, deep)
        try:
            img = mmcv.imfrombytes(data, flag=self.color_type, backend=self.imdecode_backend)
            detail = ''
        except Exception as error:  # each backend has its own; all mean an unreadable file
            img, detail = None, f', {" ".join(str(error).split())[:120]}'
        if img is None:
            raise UserError(
                f'{path}: not readable as an image ({len(data)} bytes, {kind}{detail}); {advice}'
            )
        return img

    def _eight_bits(self, path: str, img: np.ndarray) -> np.ndarray:
        """Scale an image of more than 8 bits, or say what it is."""
        low, high = float(img.min()), float(img.max())
        description = f'{path}: an image of {img.dtype}, values {low:g} to {high:g}'
        if self.high_bit_depth == 'error':
            raise UserError(
                f"{description}, expected 8 bits; give LoadImageStrict high_bit_depth='scale' "
                '(each image from its own range to 0..255) or convert the files to 8 bits'
            )
        if not np.isfinite([low, high]).all():
            raise UserError(
                f'{description}, expected finite values; replace the file or take it off the list'
            )
        return with_channels(to_eight_bits(img), gray=self.color_type.startswith('grayscale'))
