# Copyright (c) smallobj_mm contributors. SPDX-License-Identifier: Apache-2.0
"""The page in the browser."""
