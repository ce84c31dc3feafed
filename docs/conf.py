# Copyright (c) smallobj_mm contributors. SPDX-License-Identifier: Apache-2.0
"""Configuration of Sphinx: the pages, and the API reference from the docstrings.

python -m sphinx -W --keep-going -b html docs docs/_build
"""

import importlib
import pkgutil
import sys
from pathlib import Path

from docutils import nodes
from sphinx.addnodes import pending_xref
from sphinx.application import Sphinx
from sphinx.environment import BuildEnvironment

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))  # this checkout's package

import smallobj_mm  # noqa: E402, I001  (compat before anything imports mmcv or torchvision)

from mmcv.transforms.utils import cache_randomness  # noqa: E402

project = 'smallobj_mm'
author = 'smallobj_mm contributors'
copyright = author
version = release = smallobj_mm.__version__

extensions = [
    'myst_parser',
    'sphinx.ext.autodoc',
    'sphinx.ext.autosummary',
    'sphinx.ext.napoleon',
]
templates_path = ['_templates']
exclude_patterns = ['_build']
html_theme = 'furo'
html_title = 'smallobj_mm'
html_show_copyright = False
myst_heading_anchors = 3
suppress_warnings = ['myst.xref_missing']  # links to the READMEs of configs, outside of docs
toc_object_entries_show_parents = 'hide'

# Base classes of OpenMMLab have their own documentation: inherited members are left out.
autodoc_default_options = {'member-order': 'bysource', 'show-inheritance': True}
autodoc_inherit_docstrings = False
autodoc_typehints = 'description'
autodoc_typehints_description_target = 'documented_params'
napoleon_numpy_docstring = False
napoleon_use_ivar = True  # fields of dataclasses are described once
napoleon_custom_sections = ['Shape']
add_module_names = False

#: Names of all packages; the template gives each a page of its own, with its modules.
PACKAGES = sorted(
    ['smallobj_mm']
    + [
        module.name
        for module in pkgutil.walk_packages(smallobj_mm.__path__, 'smallobj_mm.')
        if module.ispkg
    ]
)
autosummary_context = {'packages': PACKAGES}


_bound = cache_randomness.__get__


def _bound_or_plain(self: cache_randomness, instance: object | None, owner: type) -> object:
    """mmcv's decorator can be read from an instance only; from the class, give the function."""
    return self.func if instance is None else _bound(self, instance, owner)


cache_randomness.__get__ = _bound_or_plain


def resolve_alias(
    app: Sphinx, env: BuildEnvironment, node: pending_xref, content: nodes.TextElement
) -> nodes.Element | None:
    """Lead references to a name that a package re-exports to where the name is documented."""
    target = node.get('reftarget', '')
    parent, _, name = target.rpartition('.')
    if node.get('refdomain') != 'py' or parent not in PACKAGES:
        return None
    found = getattr(importlib.import_module(parent), name, None)
    home = getattr(found, '__module__', None)
    if home is None or home == parent:
        return None
    domain = env.domains.python_domain
    return domain.resolve_xref(
        env, node['refdoc'], app.builder, 'obj', f'{home}.{name}', node, content
    )


def setup(app: Sphinx) -> None:
    """Called by Sphinx."""
    app.connect('missing-reference', resolve_alias)
