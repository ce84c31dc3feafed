# Copyright (c) smallobj_mm contributors. SPDX-License-Identifier: Apache-2.0
import cv2
import numpy as np
import PIL.Image
import pytest
import torch
from mmengine.config import Config
from safetensors.torch import save_file

from smallobj_mm.inference import SmallObjectInferencer, find_targets, list_sources
from smallobj_mm.utils import configs

#: Small ones on and off the seams of 100 px tiles, and one larger than the overlap (20 px).
BOXES = [(10, 12, 16, 18), (84, 50, 92, 58), (96, 96, 104, 104), (150, 60, 190, 90),
         (230, 140, 239, 149)]  # fmt: skip


@pytest.fixture(scope='module')
def detector(models):
    return SmallObjectInferencer(models / 'det.py', models / 'det.pth')


@pytest.fixture(scope='module')
def segmentor(models):
    return SmallObjectInferencer(models / 'seg.py', models / 'seg.pth')


def boxes_of(sample):
    return sorted(tuple(map(int, box)) for box in find_targets(sample).bboxes.round())


@pytest.mark.parametrize('tile', [None, 640, 100, 64])
@pytest.mark.parametrize('kind', ['detector', 'segmentor'])
def test_each_object_once_whatever_the_tiles(toys, request, kind, tile):
    """Objects on seams and corners and larger than the overlap, through the same call."""
    inferencer = request.getfixturevalue(kind)
    image = toys.scene(150, 240, BOXES)
    (sample,) = inferencer(image, batch_size=3, tile=tile, overlap=0.2)
    assert sample.ori_shape == (150, 240)
    assert boxes_of(sample) == sorted(BOXES)
    targets = find_targets(sample)
    centers = (targets.bboxes[:, :2] + targets.bboxes[:, 2:]) / 2
    np.testing.assert_allclose(targets.centroids, centers, atol=0.01)
    sides = targets.bboxes[:, 2:] - targets.bboxes[:, :2]
    np.testing.assert_allclose(targets.areas, sides.prod(axis=1), rtol=1e-3)


def test_samples_are_those_of_the_framework(toys, detector, segmentor):
    from mmdet.structures import DetDataSample
    from mmseg.structures import SegDataSample

    image = toys.scene(150, 240, BOXES)
    assert isinstance(detector(image)[0].sample, DetDataSample)
    for tile in (None, 64):
        (sample,) = segmentor(image, tile=tile)
        assert isinstance(sample.sample, SegDataSample)
        probability, mask = sample.seg_logits.data, sample.pred_sem_seg.data
        assert probability.shape == mask.shape == (1, 150, 240)
        expected = torch.sigmoid((torch.from_numpy(image[..., 0]).float() - toys.LEVEL) * 0.1)
        torch.testing.assert_close(probability[0], expected, atol=1e-5, rtol=0)
        assert torch.equal(mask[0] > 0, expected > 0.5)
    assert segmentor.classes == ('background', 'target') and segmentor.default_threshold == 0.5
    assert detector.classes == ('light', 'lamp') and detector.task == 'detection'


def test_the_network_sees_tiles_only(toys, detector):
    """Batches have the size of tiles, not of the image, and as many as asked for."""
    detector.model.sizes.clear()
    detector(toys.scene(300, 500, BOXES), batch_size=4, tile=128, overlap=0.25)
    assert {size[2:] for size in detector.model.sizes} == {(128, 128)}
    counts = [size[0] for size in detector.model.sizes]
    assert counts[:-1] == [4] * (len(counts) - 1) and sum(counts) == 3 * 5


def test_images_of_different_sizes(toys, detector, segmentor):
    """Results do not depend on the batch."""
    images = [toys.scene(h, w, BOXES[:2]) for h, w in ((64, 100), (64, 100), (90, 130), (70, 99))]
    for inferencer in (detector, segmentor):
        for size in (1, 3, 8):
            samples = inferencer(images, batch_size=size)
            assert [sample.ori_shape for sample in samples] == [i.shape[:2] for i in images]
            assert all(boxes_of(sample) == sorted(BOXES[:2]) for sample in samples)


def test_resize_of_the_pipeline(toys, models):
    """A Resize applies to images and tiles alike; results are in pixels of the image."""
    image = toys.scene(120, 160, [(40, 40, 60, 60)])
    for config, weights in (
        (toys.detection_config((320, 240)), 'det.pth'),
        (toys.segmentation_config((320, 320)), 'seg.pth'),
    ):
        inferencer = SmallObjectInferencer(Config(config), models / weights)
        for tile in (None, 80):
            (sample,) = inferencer(image, tile=tile)
            np.testing.assert_allclose(find_targets(sample).bboxes, [[40, 40, 60, 60]], atol=1)


def test_whole_numbers_may_be_floats(toys, detector):
    """As a division gives them."""
    image = toys.scene(150, 240, BOXES)
    assert boxes_of(detector(image, batch_size=2.0, tile=100.0)[0]) == sorted(BOXES)


def test_thresholds(toys, detector, segmentor):
    image = toys.scene(64, 64, [(10, 10, 16, 16)], bright=120)
    image[30:36, 30:36] = 220
    assert len(find_targets(detector(image)[0]).scores) == 2
    assert boxes_of(detector(image, threshold=0.7)[0]) == [(30, 30, 36, 36)]
    assert len(find_targets(segmentor(image)[0]).scores) == 2
    assert boxes_of(segmentor(image, threshold=0.95)[0]) == [(30, 30, 36, 36)]


def test_paths_gray_arrays_and_nothing_found(toys, detector, segmentor, tmp_path):
    image = toys.scene(64, 80, BOXES[:1])
    cv2.imwrite(str(tmp_path / 'a.png'), image)
    for inferencer in (detector, segmentor):
        samples = inferencer([tmp_path / 'a.png', image, image[..., 0], image[..., :1] * 0])
        assert samples[0].img_path == str(tmp_path / 'a.png')
        assert [boxes_of(sample) for sample in samples] == [BOXES[:1]] * 3 + [[]]


def test_images_of_one_name_in_two_folders(toys, detector, tmp_path):
    """Nothing is written that one could replace."""
    for name in ('a', 'b'):
        (tmp_path / name).mkdir()
        cv2.imwrite(str(tmp_path / name / 'x.png'), toys.scene(64, 80, BOXES[:1]))
    results = detector([tmp_path / 'a' / 'x.png', tmp_path / 'b' / 'x.png'])
    assert [boxes_of(result) for result in results] == [BOXES[:1]] * 2


def test_stream_goes_on_after_an_unreadable_file(toys, detector, tmp_path):
    for name in ('a', 'c'):
        cv2.imwrite(str(tmp_path / f'{name}.png'), toys.scene(150, 240, BOXES))
    (tmp_path / 'b.png').write_bytes(b'no image')
    progress = []
    results = list(
        detector.stream(list_sources(tmp_path), batch_size=4, tile=100, on_progress=progress.append)
    )
    assert [result.source.name for result in results] == ['a', 'b', 'c']
    assert [result.error is None for result in results] == [True, False, True]
    assert 'b.png: not readable as an image' in str(results[1].error)
    assert boxes_of(results[2].sample) == sorted(BOXES)
    assert progress == sorted(progress) and 0 < progress[0] < 1 and progress[-1] == 3
    with pytest.raises(ValueError, match='b.png: not readable as an image'):
        detector(tmp_path)


@pytest.mark.parametrize('kind', ['detector', 'segmentor'])
def test_what_a_file_may_be_an_array_and_a_pil_image_may_be_too(toys, request, kind, tmp_path):
    """Alpha, one channel and 16 bits give what the file of the same pixels gives."""
    inferencer = request.getfixturevalue(kind)
    image = toys.scene(64, 80, BOXES[:1])
    deep = (image.astype(np.uint16) + 3) * 150
    alpha = np.concatenate([image, np.full((64, 80, 1), 7, np.uint8)], axis=2)
    for number, array in enumerate((image, image[..., 0], alpha, deep, deep[..., 0])):
        path = tmp_path / f'{number}.png'
        cv2.imwrite(str(path), array)
        of_file, of_array, of_pil = inferencer([path, array, PIL.Image.open(path)])
        assert len(of_file.targets.scores) == 1
        # Pillow itself reads a PNG of 16 bits and three channels as one of 8.
        for other in (of_array,) if array is deep else (of_array, of_pil):
            for one, two in zip(of_file.targets, other.targets):
                np.testing.assert_array_equal(one, two)
            np.testing.assert_array_equal(of_file.image, other.image)


def test_one_bad_file_stays_in_its_place(toys, detector, tmp_path):
    image = toys.scene(64, 80, BOXES[:1])
    (tmp_path / 'bad.png').write_bytes(b'no image')
    inputs = [image, tmp_path / 'bad.png', tmp_path / 'gone.png', np.zeros((3, 3)), image]
    with pytest.raises(FileNotFoundError, match='gone.png'):
        detector(inputs)
    results = detector(inputs, errors='keep')
    assert [result.error is None for result in results] == [True, False, False, False, True]
    assert boxes_of(results[4]) == BOXES[:1]
    words = ('bad.png: not readable as an image', 'gone.png: no such file', 'array 3: array 3 x 3')
    for result, text in zip(results[1:4], words):
        assert text in str(result.error) and text in repr(result)
        assert result.sample is None and result.image is None and result._repr_png_() is None
        with pytest.raises(ValueError, match='has no result'):
            result.to_coco()
        with pytest.raises(AttributeError, match='was not read'):
            result.pred_instances  # noqa: B018
    with pytest.raises(ValueError, match='errors is .ignore., expected raise or keep'):
        detector(image, errors='ignore')


@pytest.mark.parametrize(
    ('options', 'words'),
    [(dict(batch_size=0), 'batch_size is 0'), (dict(tile=0), 'tile is 0'),
     (dict(overlap=1.0), 'overlap is 1.0'), (dict(threshold=2), 'threshold is 2')],
)  # fmt: skip
def test_options_out_of_range(detector, options, words):
    with pytest.raises(ValueError, match=words):
        detector(np.zeros((8, 8, 3), np.uint8), **options)


@pytest.mark.parametrize('array', [np.zeros((8, 8)), np.zeros((8, 8, 2), np.uint8),
                                   np.zeros((8, 8), bool), np.zeros((8, 8, 5), np.uint16),
                                   np.zeros((0, 8), np.uint8)])  # fmt: skip
def test_arrays_that_are_no_images(detector, array):
    with pytest.raises(ValueError, match='array 0: array .* expected uint8 or uint16, H x W'):
        detector(array)


def test_weights_that_do_not_fit(toys, models, tmp_path):
    for state, words in (
        ({}, 'holds no weights'),
        (dict(toys.DETECTOR, other=torch.zeros(1)), 'unknown to the model'),
        (dict(level=torch.zeros(2)), r'another shape \(first: level \(2,\), expected \(\)\)'),
    ):
        torch.save(dict(state_dict=state), tmp_path / 'bad.pth')
        with pytest.raises(ValueError, match=words):
            SmallObjectInferencer(models / 'det.py', tmp_path / 'bad.pth')
    torch.save(dict(state_dict=toys.DETECTOR, code=Config()), tmp_path / 'code.pth')
    with pytest.raises(ValueError, match='refused, it holds code'):
        SmallObjectInferencer(models / 'det.py', tmp_path / 'code.pth')
    with pytest.raises(FileNotFoundError, match='nowhere.pth: no such file of weights'):
        SmallObjectInferencer(models / 'det.py', 'nowhere.pth')
    with pytest.raises(FileNotFoundError, match='det: no weights come with the package'):
        SmallObjectInferencer(models / 'det.py')


def test_half_precision_and_wrapped_weights(toys, models, tmp_path):
    state = {f'module.{k}': v.half() for k, v in toys.DETECTOR.items()}
    save_file(state, tmp_path / 'half.safetensors')
    inferencer = SmallObjectInferencer(models / 'det.py', tmp_path / 'half.safetensors')
    assert inferencer.model.level.dtype == torch.float32
    assert boxes_of(inferencer(toys.scene(150, 240, BOXES))[0]) == sorted(BOXES)


def test_configs_that_do_not_fit(toys, models, tmp_path):
    weights = models / 'det.pth'
    for change, words in (
        (dict(default_scope='mmpretrain'), "default_scope 'mmpretrain', expected"),
        (dict(test_dataloader=None), 'no test pipeline'),
        (dict(test_dataloader=dict(dataset=dict(pipeline=[dict(type='Resize')]))),
         'the test pipeline starts with Resize'),
    ):  # fmt: skip
        with pytest.raises(ValueError, match=words):
            SmallObjectInferencer(Config(dict(toys.detection_config(), **change)), weights)
    with pytest.raises(FileNotFoundError, match='no_such.py: no such file'):
        SmallObjectInferencer('no_such.py', weights)
    with pytest.raises(FileNotFoundError, match='one of .*ismallnet_s_nuaa'):
        SmallObjectInferencer('no_such', weights)
    with pytest.raises(ValueError, match='config is a int'):
        SmallObjectInferencer(3, weights)


def test_names_of_shipped_configs(repo_root):
    path = configs.find_config('ismallnet_s_nuaa')
    assert path.resolve() == repo_root / 'configs' / 'ismallnet' / 'ismallnet_s_nuaa.py'


def test_boxes_of_no_size_are_none(toys, models, monkeypatch):
    """What an untrained detector gives: thousands of boxes of zero area with score 1."""
    inferencer = SmallObjectInferencer(models / 'det.py', models / 'det.pth')
    predict = type(inferencer.model).predict

    def untrained(self, *arguments, **options):
        samples = predict(self, *arguments, **options)
        for sample in samples:
            found = sample.pred_instances
            found.bboxes[0, 2:] = found.bboxes[0, :2]
            found.bboxes[1, 0] = float('nan')
            found.scores[2] = float('inf')
        return samples

    monkeypatch.setattr(type(inferencer.model), 'predict', untrained)
    (result,) = inferencer(toys.scene(150, 240, BOXES), tile=None)
    assert len(result.targets.scores) == len(BOXES) - 3
