# Copyright (c) smallobj_mm contributors. SPDX-License-Identifier: Apache-2.0
"""SmallObjectVOCDataset: the XML as it is."""

import pytest
from mmengine.registry import DATASETS

from smallobj_mm.datasets import SmallObjectVOCDataset
from smallobj_mm.datasets.parsers import parse_voc_xml

CLASSES = dict(classes=('car', 'person'))


def build(folder, ann_file, **kwargs):
    kwargs.setdefault('metainfo', CLASSES)
    return SmallObjectVOCDataset(ann_file=ann_file, data_root=str(folder.root), **kwargs)


def test_floats_no_offset_no_minimum_size(voc_folder, xml_object):
    person, car = xml_object('person', (1.25, 0, 3.5, 2.75)), xml_object('car', (5, 6, 7, 8))
    voc_folder.add('a', person + car)
    dataset = build(voc_folder, voc_folder.list(['a']))
    info = dataset.get_data_info(0)
    assert (info['width'], info['height'], info['img_id']) == (64, 48, 'a')
    assert info['instances'] == [
        dict(bbox=[1.25, 0.0, 3.5, 2.75], bbox_label=1, ignore_flag=0),
        dict(bbox=[5.0, 6.0, 7.0, 8.0], bbox_label=0, ignore_flag=0),
    ]
    assert dataset.get_cat_ids(0) == [1, 0]
    assert len(dataset.metainfo['palette']) == 2


def test_default_classes_and_registry():
    dataset_class = DATASETS.get('SmallObjectVOCDataset')
    assert len(dataset_class.METAINFO['classes']) == len(dataset_class.METAINFO['palette']) == 20


@pytest.mark.parametrize('difficult, flags', [('keep', [0, 0]), ('ignore', [1, 0])])
def test_difficult(voc_folder, xml_object, difficult, flags):
    voc_folder.add('a', xml_object('person', difficult=1) + xml_object('car'))
    dataset = build(voc_folder, voc_folder.list(['a']), difficult=difficult)
    instances = dataset.get_data_info(0)['instances']
    assert [i['ignore_flag'] for i in instances] == flags
    assert [i['bbox_label'] for i in instances] == [1, 0]


def test_devkit_with_two_years_and_equal_names(tmp_path, voc_folder, xml_object):
    years = []
    for year in ('VOC2007', 'VOC2012'):
        folder = type(voc_folder)(tmp_path / year)
        folder.add('1', xml_object()).add(year, xml_object(), suffix='.png')
        years.append(f'{year}/' + folder.list(['1', year], 'trainval'))
    dataset = SmallObjectVOCDataset(years, data_root=str(tmp_path), metainfo=CLASSES)
    infos = [dataset.get_data_info(i) for i in range(len(dataset))]
    assert [i['img_id'] for i in infos] == ['1', 'VOC2007', 'VOC2012/1', 'VOC2012']
    assert infos[2]['img_path'] == str(tmp_path / 'VOC2012/JPEGImages/1.jpg')
    assert infos[3]['img_path'].endswith('VOC2012.png')
    with pytest.raises(ValueError, match="'1' is listed before"):
        SmallObjectVOCDataset([years[0]] * 2, data_root=str(tmp_path), metainfo=CLASSES)


def test_crlf_list_with_blanks_and_endings(voc_folder):
    voc_folder.add('a').add('b')
    ann_file = voc_folder.list(['a.jpg  ', '', ' b'], newline='\r\n')
    dataset = build(voc_folder, ann_file)
    assert [dataset.get_data_info(i)['img_id'] for i in range(2)] == ['a', 'b']


def test_list_outside_imagesets_belongs_to_data_root(voc_folder):
    voc_folder.add('a')
    (voc_folder.root / 'mine.txt').write_text('a')
    assert len(build(voc_folder, 'mine.txt')) == 1
    assert len(build(voc_folder, str(voc_folder.root / 'mine.txt'))) == 1


@pytest.mark.parametrize('size', [None, (0, 0)])
def test_size_from_the_image_where_the_xml_has_none(voc_folder, size):
    voc_folder.add('a', size=size)
    info = build(voc_folder, voc_folder.list(['a'])).get_data_info(0)
    assert (info['width'], info['height']) == (64, 48)


@pytest.mark.parametrize(
    'xml, message',
    [
        ('<object><name>car</name><robndbox/></object>', r"object 1 \('car'\): no <bndbox>, found"),
        ('<object><bndbox/></object>', 'object 1: no <name>'),
        (
            '<object><name>car</name><bndbox><xmin>1</xmin></bndbox></object>',
            '<ymin> is None; expected a finite number',
        ),
        ('<size><width>x</width><height>2</height></size>', "<width> is 'x'"),
    ],
)
def test_malformed_xml(voc_folder, xml, message):
    voc_folder.add('a', xml=f'<annotation>{xml}</annotation>')
    with pytest.raises(ValueError, match=rf'a\.xml.*{message}') as error:
        build(voc_folder, voc_folder.list(['a']))
    assert '\n' not in str(error.value)


def test_nan_coordinate_and_truncated_xml(voc_folder, xml_object):
    voc_folder.add('a', xml_object(box=('nan', 1, 2, 3)))
    with pytest.raises(ValueError, match="<xmin> is 'nan'"):
        build(voc_folder, voc_folder.list(['a']))
    for xml in ('<annotation><object>', '<?xml version="1.0" encoding="foo"?><annotation/>'):
        voc_folder.add('a', xml=xml)
        with pytest.raises(ValueError, match='a.xml: not readable as XML'):
            build(voc_folder, voc_folder.list(['a']))


def test_a_page_in_the_place_of_an_annotation(voc_folder):
    """What a failed download leaves: not an image without objects."""
    voc_folder.add('a', xml='<html><body>404</body></html>')
    with pytest.raises(ValueError, match=r'a\.xml: the root element is <html>, expected <annota'):
        build(voc_folder, voc_folder.list(['a']))


def test_an_empty_difficult_is_none(voc_folder, xml_object):
    voc_folder.add('a', xml_object('car').replace('</name>', '</name><difficult/>', 1))
    (instance,) = build(voc_folder, voc_folder.list(['a'])).get_data_info(0)['instances']
    assert not instance.get('ignore_flag', 0)


def test_label_outside_the_classes(voc_folder, xml_object):
    voc_folder.add('a', xml_object('car') + xml_object('tram'))
    ann_file = voc_folder.list(['a'])
    with pytest.raises(ValueError, match=r"a\.xml, object 2: label 'tram'.*\('car', 'person'\)"):
        build(voc_folder, ann_file)
    kept = build(voc_folder, ann_file, unknown_labels='drop').get_data_info(0)['instances']
    assert [i['bbox_label'] for i in kept] == [0]
    kept = build(voc_folder, ann_file, unknown_labels='ignore').get_data_info(0)['instances']
    assert kept[1] == dict(bbox=[1, 2, 30, 40], bbox_label=0, ignore_flag=1, any_class=True)


def test_bad_boxes_dropped_with_a_count_or_strict(voc_folder, xml_object, logged):
    boxes = [(1, 1, 9, 9), (9, 1, 1, 9), (1, 1, 1, 9), (70, 1, 90, 9), (50, 40, 99, 99)]
    voc_folder.add('a', ''.join(xml_object('car', box) for box in boxes))
    ann_file = voc_folder.list(['a'])
    instances = build(voc_folder, ann_file).get_data_info(0)['instances']
    assert [i['bbox'] for i in instances] == [[1, 1, 9, 9], [50, 40, 64, 48]]
    assert len(logged) == 1 and '3 of 5 boxes dropped' in logged[0][1]
    with pytest.raises(ValueError, match=r'a\.xml, box 2: .* is inverted'):
        build(voc_folder, ann_file, strict=True)


def test_list_names_missing_files(voc_folder):
    voc_folder.add('a').add('b', image=False)
    with pytest.raises(FileNotFoundError, match=r"train\.txt: names 'c', but .*c\.xml"):
        build(voc_folder, voc_folder.list(['a', 'c']))
    ann_file = voc_folder.list(['a', 'b'])
    with pytest.raises(FileNotFoundError, match=r"names 'b', but there is no image b\.\*"):
        build(voc_folder, ann_file)
    dataset = build(voc_folder, ann_file, check_images=False)
    assert dataset.get_data_info(1)['img_path'].endswith('JPEGImages/b.jpg')


def test_missing_data_and_empty_list(tmp_path, voc_folder):
    with pytest.raises(FileNotFoundError) as error:
        SmallObjectVOCDataset('VOC2007/ImageSets/Main/test.txt', data_root=f'{tmp_path}/devkit/')
    text = str(error.value)
    assert '\n' not in text and f'{tmp_path}/devkit/VOC2007/ImageSets/Main/test.txt' in text
    assert 'Pascal VOC' in text and 'host.robots.ox.ac.uk' in text and 'VOCdevkit/VOC2007/' in text
    with pytest.raises(ValueError, match='the list is empty'):
        build(voc_folder, voc_folder.list([]))


def test_filter_cfg_and_options(voc_folder, xml_object):
    voc_folder.add('a', xml_object('car')).add('b').add('c', xml_object('car', difficult=1))
    ann_file = voc_folder.list(['a', 'b', 'c'])
    assert len(build(voc_folder, ann_file)) == 3
    assert len(build(voc_folder, ann_file, filter_cfg=dict(filter_empty_gt=True))) == 1
    with pytest.raises(ValueError, match='leaves none of 3 images'):
        build(voc_folder, ann_file, filter_cfg=dict(min_size=49))
    assert len(build(voc_folder, ann_file, filter_cfg=dict(min_size=49), test_mode=True)) == 3
    assert len(build(voc_folder, ann_file, indices=2)) == 2
    with pytest.raises(ValueError, match='bbox_min_size'):
        build(voc_folder, ann_file, filter_cfg=dict(bbox_min_size=32))
    with pytest.raises(ValueError, match='difficult'):
        build(voc_folder, ann_file, difficult='maybe')
    with pytest.raises(ValueError, match='unknown_labels'):
        build(voc_folder, ann_file, unknown_labels='maybe')
    with pytest.raises(ValueError, match='ann_file is empty'):
        build(voc_folder, '')


def test_lazy_init_reads_at_first_use(tmp_path, voc_folder, xml_object):
    ann_file = 'ImageSets/Main/train.txt'
    dataset = build(voc_folder, ann_file, lazy_init=True)
    voc_folder.add('a', xml_object()).list(['a'])
    assert len(dataset) == 1


DEEP = '<annotation>' + '<a>' * 100_000
LAUGHS = (
    '<!DOCTYPE annotation [<!ENTITY a "'
    + 'x' * 1000
    + '">'
    + ''.join(f'<!ENTITY {n} "{f"&{p};" * 20}">' for p, n in zip('abcde', 'bcdef'))
    + ']><annotation><object><name>&f;</name></object></annotation>'
)


@pytest.mark.parametrize(
    'xml, message',
    [
        (DEEP, 'not readable as XML'),
        (LAUGHS, 'not readable as XML'),
        (f'<annotation><object><name>{"n" * 9999}</name></object></annotation>', 'no <bndbox>'),
        (f'<{"t" * 9999}/>', 'the root element is'),
        (
            '<annotation><object><name>a</name><bndbox><xmin>'
            + '9' * 99999
            + 'e9</xmin></bndbox></object></annotation>',
            'expected a finite number',
        ),
    ],
)
def test_files_made_to_exhaust_the_machine(tmp_path, xml, message):
    path = tmp_path / 'a.xml'
    path.write_text(xml)
    with pytest.raises(ValueError, match=rf'a\.xml.*{message}') as error:
        parse_voc_xml(str(path))
    assert '\n' not in str(error.value) and len(str(error.value)) < 500


def test_file_beyond_the_limit(tmp_path, monkeypatch):
    monkeypatch.setattr('smallobj_mm.datasets.parsers.voc_xml.MAX_BYTES', 20)
    (tmp_path / 'a.xml').write_text('<annotation></annotation>')
    with pytest.raises(
        ValueError, match=r'a\.xml: not readable as XML \(25 bytes; expected at most'
    ):
        parse_voc_xml(str(tmp_path / 'a.xml'))


def test_folder_of_xml_files_with_images_beside(tmp_path, image_writer, xml_object):
    for split, name in (('train', 'a'), ('train', 'b'), ('valid', 'c')):
        image_writer(tmp_path / split / f'{name}.jpg')
        (tmp_path / split / f'{name}.xml').write_text(
            f'<annotation><filename>{name}.jpg</filename>{xml_object("car")}</annotation>'
        )
    dataset = SmallObjectVOCDataset('train', data_root=str(tmp_path))
    infos = [dataset.get_data_info(index) for index in range(2)]
    assert [info['img_id'] for info in infos] == ['a', 'b']
    assert infos[1]['img_path'] == str(tmp_path / 'train' / 'b.jpg') and infos[1]['instances']
    assert len(SmallObjectVOCDataset(['train', 'valid'], data_root=str(tmp_path))) == 3
    (tmp_path / 'train' / 'b.jpg').unlink()
    with pytest.raises(FileNotFoundError, match="names 'b', but there is no image"):
        SmallObjectVOCDataset('train', data_root=str(tmp_path))
    (tmp_path / 'empty').mkdir()
    with pytest.raises(ValueError, match='empty: no XML file in this folder'):
        SmallObjectVOCDataset('empty', data_root=str(tmp_path))


@pytest.mark.parametrize(
    'name, text',
    [
        (
            'labelmap.txt',
            '# label:color_rgb:parts:actions\nbackground:0,0,0::\nkite:1,2,3::\nbat:::',
        ),
        ('class_names.txt', '_background_\nkite\r\nbat\n'),
    ],
)
def test_classes_and_folder_of_an_export(voc_folder, xml_object, name, text):
    voc_folder.add('a', xml_object('bat'))
    (voc_folder.root / name).write_text(text)
    dataset = SmallObjectVOCDataset('Annotations', data_root=str(voc_folder.root))
    assert dataset.metainfo['classes'] == ('kite', 'bat')
    assert [i['bbox_label'] for i in dataset.get_data_info(0)['instances']] == [1]
    kwargs = dict(data_root=str(voc_folder.root), metainfo=dict(classes=['bat']))
    dataset = SmallObjectVOCDataset(voc_folder.list(['a']), **kwargs)
    assert dataset.metainfo['classes'] == ('bat',)
