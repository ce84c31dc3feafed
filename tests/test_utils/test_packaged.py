# Copyright (c) smallobj_mm contributors. SPDX-License-Identifier: Apache-2.0
"""Folders of the repository that come with the package."""

import pytest

from smallobj_mm.utils.packaged import packaged_folders


@pytest.mark.parametrize(
    ('name', 'file'),
    [('configs', 'obsdm'), ('tools', 'train.py'), ('demo', 'drones/clip.mp4')],
)
def test_the_first_that_is_there_is_the_repositorys(repo_root, name, file):
    (found, *_) = [folder for folder in packaged_folders(name) if folder.is_dir()]
    assert (found / file).exists()
    assert found.resolve() == (repo_root / name).resolve()


def test_what_is_not_there_is_a_place_all_the_same():
    assert not any(folder.exists() for folder in packaged_folders('nothing'))
