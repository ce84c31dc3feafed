# Copyright (c) smallobj_mm contributors. SPDX-License-Identifier: Apache-2.0
"""The ids that a COCO file has for images and classes, so that results can be measured with it."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Union

from smallobj_mm.utils.errors import UserError
from smallobj_mm.utils.io import PathLike

ImageId = Union[int, str]


class CocoIds:
    """Ids of the images and categories of a COCO file.

    Args:
        path: The file, with the lists ``images`` and ``categories``.
        classes: Names of the classes of a model, each of which must be a category; with or
            without the same case.

    Attributes:
        categories: Id of the category of each class.

    Raises:
        FileNotFoundError: There is no such file.
        UserError: It is no COCO file, or lacks one of the classes.
    """

    def __init__(self, path: PathLike, classes: Sequence[str]) -> None:
        self.path = str(path)
        content = self._read()
        names = {str(entry['name']).lower(): entry['id'] for entry in content['categories']}
        missing = [name for name in classes if name.lower() not in names]
        if missing:
            raise UserError(
                f'{self.path}: no category for {", ".join(missing)} of the model, found '
                f'{", ".join(names) or "none"}; name the categories as the classes of the model'
            )
        self.categories = [names[name.lower()] for name in classes]
        #: Parts of a path, from its end -> id. An image is found by its longest such end.
        self._images: dict[tuple[str, ...], ImageId] = {}
        for entry in content['images']:
            name = str(entry['file_name']).replace('\\', '/')
            self._images[tuple(reversed([part for part in name.split('/') if part]))] = entry['id']

    def image(self, path: str) -> ImageId | None:
        """The id of the image at a path, None if the file has none.

        The file names of COCO files are relative to a folder that they do not tell; so an image is
        the one whose file name is the longest end of its path.
        """
        parts = tuple(reversed(Path(path).as_posix().split('/')))
        for length in range(len(parts), 0, -1):
            if parts[:length] in self._images:
                return self._images[parts[:length]]
        return None

    def _read(self) -> dict:
        try:
            content = json.loads(Path(self.path).read_text(encoding='utf-8-sig'))
            for key, names in (('images', ('id', 'file_name')), ('categories', ('id', 'name'))):
                for entry in content[key]:
                    _ = [entry[name] for name in names]
        except FileNotFoundError:
            raise FileNotFoundError(f'{self.path}: no such COCO file') from None
        except OSError as error:  # a folder, or no permission
            raise UserError(
                f'{self.path}: not readable ({error.strerror}); give a COCO file'
            ) from None
        except (ValueError, RecursionError) as error:
            reason = ' '.join(str(error).split())[:200]
            raise UserError(f'{self.path}: not readable as JSON ({reason})') from None
        except (KeyError, TypeError) as error:
            raise UserError(
                f'{self.path}: no COCO file ({type(error).__name__}: {error}), expected images '
                'with id and file_name and categories with id and name'
            ) from None
        return content
