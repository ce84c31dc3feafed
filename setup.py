# Copyright (c) smallobj_mm contributors. SPDX-License-Identifier: Apache-2.0
"""Packaging of smallobj_mm.

``mim`` and the registries of OpenMMLab look for configs, tools and the model index in
``smallobj_mm/.mim``, and the page for the images of the demo: links to the folders of the
repository in an editable install, copies in source and binary distributions.
"""

import os
import shutil
import sys
from pathlib import Path

from setuptools import find_packages, setup

ROOT = Path(__file__).resolve().parent
MIM = ROOT / 'smallobj_mm' / '.mim'
MIM_CONTENT = ('configs', 'tools', 'demo', 'model-index.yml')


def read_requirements(name: str) -> list:
    """Lines of requirements/NAME.txt without comments."""
    lines = (ROOT / 'requirements' / f'{name}.txt').read_text(encoding='utf-8').splitlines()
    return [line.strip() for line in lines if line.strip() and not line.startswith('#')]


def read_extras() -> dict:
    """Extras by name: a file of requirements each, those of the stack with its common ones."""
    mm = read_requirements('mminstall')
    extras = {
        path.stem: read_requirements(path.stem)
        for path in sorted((ROOT / 'requirements').glob('*.txt'))
        if path.stem not in ('constraints', 'runtime')
    }
    stack = ('det', 'seg', 'ssl')
    extras.update({name: mm + extras[name] for name in stack})
    extras['all'] = sorted({line for name in stack for line in extras[name]})
    extras['mim'] = mm  # as mminstall: both names are in use among OpenMMLab packages
    return extras


def read_version() -> str:
    """The version, read without importing the package (it would import torch)."""
    scope: dict = {}
    exec((ROOT / 'smallobj_mm' / 'version.py').read_text(encoding='utf-8'), scope)
    return scope['__version__']


def fill_mim(link: bool) -> None:
    """Put configs, tools, images of the demo and model index into smallobj_mm/.mim.

    Args:
        link (bool): Relative symbolic links, where the system allows them; else copies.
    """
    shutil.rmtree(MIM, ignore_errors=True)
    MIM.mkdir(parents=True)
    for name in MIM_CONTENT:
        source, target = ROOT / name, MIM / name
        if link:
            try:
                target.symlink_to(os.path.relpath(source, MIM))
                continue
            except OSError:
                pass  # Windows without the right to make links
        if source.is_dir():
            shutil.copytree(source, target, ignore=shutil.ignore_patterns('__pycache__'))
        else:
            shutil.copy2(source, target)


def mim_files() -> list:
    """Files below smallobj_mm/.mim, relative to the package."""
    files = (path for path in MIM.rglob('*') if path.is_file())
    return [path.relative_to(MIM.parent).as_posix() for path in files]


def main() -> None:
    """Set up, with .mim as the command asks for."""
    commands = set(sys.argv[1:])
    linked = MIM.is_dir() and any(path.is_symlink() for path in MIM.iterdir())
    copies = bool(commands & {'sdist', 'bdist_wheel', 'build', 'install'})
    if copies:
        fill_mim(link=False)
    elif commands & {'develop', 'editable_wheel'}:
        fill_mim(link=True)

    extras = read_extras()
    readme = ROOT / 'README.md'
    try:
        setup(
            name='smallobj_mm',
            version=read_version(),
            description='Detection, segmentation and pre-training of small objects for OpenMMLab',
            long_description=readme.read_text(encoding='utf-8') if readme.exists() else '',
            long_description_content_type='text/markdown',
            author='smallobj_mm contributors',
            license='Apache-2.0',
            license_files=['LICENSE'],
            keywords='computer vision, small object detection, OpenMMLab',
            classifiers=[
                'Development Status :: 4 - Beta',
                'Operating System :: OS Independent',
                'Programming Language :: Python :: 3',
                'Topic :: Scientific/Engineering :: Artificial Intelligence',
            ],
            packages=find_packages(include=['smallobj_mm', 'smallobj_mm.*']),
            package_data={
                'smallobj_mm': [
                    'py.typed',
                    'weights/*.safetensors',
                    'app/*.css',
                    *(mim_files() if copies else []),
                ],
            },
            include_package_data=True,
            python_requires='>=3.10',
            install_requires=read_requirements('runtime'),
            extras_require=extras,
            entry_points={'console_scripts': ['smallobj-mm=smallobj_mm.cli:main']},
            zip_safe=False,
        )
    finally:
        if copies:  # stale copies beside the sources would be found instead of them
            shutil.rmtree(MIM, ignore_errors=True)
            if linked:
                fill_mim(link=True)


if __name__ == '__main__':
    main()
