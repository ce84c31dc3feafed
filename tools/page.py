#!/usr/bin/env python
# Copyright (c) smallobj_mm contributors. SPDX-License-Identifier: Apache-2.0
"""The page in the browser; see smallobj_mm/app/main.py."""

import smallobj_mm  # noqa: F401, I001  (compat before anything imports mmcv or torchvision)

from smallobj_mm.app.main import main
from smallobj_mm.utils.errors import errors_in_one_line

if __name__ == '__main__':
    with errors_in_one_line():
        main()
