# Copyright (c) smallobj_mm contributors. SPDX-License-Identifier: Apache-2.0
"""Type aliases of the layers."""

from mmengine.config import ConfigDict

#: A part of a config: what a registry builds a layer from.
ConfigType = ConfigDict | dict
