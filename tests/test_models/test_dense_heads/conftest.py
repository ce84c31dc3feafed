# Copyright (c) smallobj_mm contributors. SPDX-License-Identifier: Apache-2.0
"""Makes ``head_cases`` importable: pytest adds no folder with --import-mode=importlib."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent))
