# Copyright (c) smallobj_mm contributors. SPDX-License-Identifier: Apache-2.0
"""Makes ``tiny`` importable: with --import-mode=importlib pytest adds no folder by itself."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent))
