# Copyright (c) smallobj_mm contributors. SPDX-License-Identifier: Apache-2.0
"""Exported files give what PyTorch gives, in any batch and size; or they are not there."""

import pytest
import torch
from deployment_toys import FORMATS, predict, scene

from smallobj_mm.deployment import load_backend
from smallobj_mm.deployment.checking import sample_images

TASKS = ('det', 'seg')


@pytest.mark.parametrize('kind', FORMATS)
@pytest.mark.parametrize('task', TASKS)
@torch.no_grad()
def test_network(systems, exports, task, kind):
    """The raw maps of the model as built, for a batch and a size that were not traced."""
    made, model = exports(task, False), systems[task].model
    assert 0 <= made.differences[kind] <= 1e-3
    backend = load_backend(made.files[kind], threads=1)
    images = sample_images((3, 96, 160), seed=5)
    images = model.data_preprocessor(dict(inputs=list(images)))['inputs']
    expected = model(images, mode='tensor')
    found = backend(images)
    assert len(found) == len(expected) == len(backend.info.outputs)
    for one, other in zip(found, expected):
        torch.testing.assert_close(one, other, atol=1e-3, rtol=1e-3)
    again = backend(images.numpy())
    assert all(torch.equal(one, other) for one, other in zip(found, again))


@pytest.mark.parametrize('kind', FORMATS)
def test_complete_detector(systems, exports, kind):
    """Two images of an odd size: what the model's own ``predict`` says of them."""
    backend = load_backend(exports('det', True).files[kind], threads=1)
    images = [scene(75, 101, seed) for seed in (1, 2)]
    batch = torch.stack([torch.from_numpy(image).permute(2, 0, 1) for image in images])
    boxes, scores, labels = backend(batch)
    assert backend.info.outputs == ('boxes', 'scores', 'labels')
    for index, sample in enumerate(predict(systems['det'], images)):
        expected = sample.pred_instances
        number = len(expected.scores)
        assert number > 5 and int((labels[index] >= 0).sum()) == number
        torch.testing.assert_close(boxes[index, :number], expected.bboxes, atol=1e-2, rtol=0)
        torch.testing.assert_close(scores[index, :number], expected.scores, atol=1e-3, rtol=0)
        assert torch.equal(labels[index, :number], expected.labels)


@pytest.mark.parametrize('kind', FORMATS)
def test_nothing_found(exports, kind):
    """An image without contrast has no box above the threshold, or some; no format stumbles."""
    backend = load_backend(exports('det', True).files[kind], threads=1)
    reference = exports('det', True).network
    images = torch.full((1, 3, 40, 50), 128, dtype=torch.uint8)
    expected = reference(images)[2]
    assert torch.equal((backend(images)[2] >= 0).sum(), (expected >= 0).sum())


@pytest.mark.parametrize('kind', FORMATS)
def test_complete_segmentor(systems, exports, kind):
    backend = load_backend(exports('seg', True).files[kind], threads=1)
    images = [scene(75, 101, seed) for seed in (1, 2)]
    batch = torch.stack([torch.from_numpy(image).permute(2, 0, 1) for image in images])
    probability, mask = backend(batch)
    assert mask.dtype == torch.uint8 and torch.equal(mask, (probability > 0.5).to(torch.uint8))
    for index, sample in enumerate(predict(systems['seg'], images)):
        torch.testing.assert_close(probability[index], sample.seg_logits.data, atol=1e-3, rtol=0)


@pytest.mark.parametrize('task', TASKS)
def test_files(exports, task):
    """The description is the same in every format, and nothing is left behind."""
    made = exports(task, False)
    infos = [load_backend(path).info for path in made.files.values()]
    assert infos == [made.info] * 3
    assert made.info.classes[-1] in ('square', 'target', 'cross', 'triangle', 'disc', 'ring')
    names = {path.name for path in made.files['onnx'].parent.iterdir()}
    assert names == {f'{task}{end}' for end in ('.onnx', '.xml', '.bin', '.torchscript')}
