# Copyright 2026 The selfpose_ros developers
# SPDX-License-Identifier: Apache-2.0
"""`selfpose model import` of files as they come: weights beside the graph, other layouts, damage; whole or nothing."""
from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip('onnx')
pytest.importorskip('onnxruntime')
import colour_networks as nets
import onnx
from onnx import TensorProto, helper, numpy_helper
from raising import raises

from selfpose_ros import cli
from selfpose_ros.inference.errors import InferenceError
from selfpose_ros.inference.pose2d.importing import Request, import_model
from selfpose_ros.models import onnx_weights
from selfpose_ros.models.card import sha256_of
from selfpose_ros.models.errors import ModelError
from selfpose_ros.models.onnx_weights import outside_files, write_whole
from selfpose_ros.models.store import open_model, promote


def split(folder: Path, one_file: bool = True) -> Path:
    """A network whose weights lie beside its graph: in one file, or in one for each tensor."""
    folder.mkdir(exist_ok=True)
    model = onnx.load(str(nets.simcc(folder / 'plain.onnx')))
    onnx.save(model, str(folder / 'net.onnx'), save_as_external_data=True, all_tensors_to_one_file=one_file,
              location='net.onnx.data' if one_file else None, size_threshold=64)
    return folder / 'net.onnx'


def point_to(file: Path, **entries: str) -> None:
    """Say of every tensor outside that it lies elsewhere."""
    model = onnx.load(str(file), load_external_data=False)
    for tensor in model.graph.initializer:
        if tensor.data_location == TensorProto.EXTERNAL:
            kept = {e.key: e.value for e in tensor.external_data}
            del tensor.external_data[:]
            for key, value in {**kept, **entries}.items():
                tensor.external_data.add(key=key, value=value)
    file.write_bytes(model.SerializeToString())


def refused(folder: Path, file: Path, preset: str = 'rtmpose') -> str:
    """What is said; nothing of it may stay, and a good file can be imported to the same place."""
    out = folder / 'new' / 'parents' / 'out'
    with pytest.raises((ModelError, InferenceError)) as error:
        import_model(Request(file, out, preset))
    assert not (folder / 'new').exists()
    text = str(error.value)
    assert text.startswith(str(file)) and '.part' not in text and '\n' not in text
    return text


@pytest.mark.parametrize('one_file', [True, False])
def test_weights_beside_the_graph_are_taken_into_it(tmp_path: Path, one_file: bool):
    file = split(tmp_path / 'in', one_file)
    assert len(outside_files(file)) >= 1
    import_model(Request(file, tmp_path / 'out', 'rtmpose'))
    for weights in {f.name for f in (tmp_path / 'in').iterdir()}:
        (tmp_path / 'in' / weights).unlink()
    whole = onnx.load(str(tmp_path / 'out' / 'model.onnx'))
    onnx.checker.check_model(whole)
    plain = onnx.load(str(nets.simcc(tmp_path / 'plain.onnx')))
    for a, b in zip(plain.graph.initializer, whole.graph.initializer, strict=True):
        np.testing.assert_array_equal(numpy_helper.to_array(a), numpy_helper.to_array(b))
    assert sorted(f.name for f in (tmp_path / 'out').iterdir()) == ['card.yaml', 'golden.npz', 'model.onnx']
    assert cli.main(['model', 'verify', str(tmp_path / 'out')]) == 0
    promote(tmp_path / 'out', tmp_path / 'store', 'pose')


def test_a_file_that_is_whole_is_copied_to_the_byte(tmp_path: Path):
    file = nets.simcc(tmp_path / 'net.onnx')
    write_whole(file, tmp_path / 'copy')
    assert (tmp_path / 'copy').read_bytes() == file.read_bytes() and outside_files(file) == ()


def test_weights_within_a_subgraph_and_a_constant_are_taken_in_too(tmp_path: Path):
    def tensor(name: str) -> TensorProto:
        out = TensorProto(name=name, data_type=TensorProto.FLOAT, dims=[2], data_location=TensorProto.EXTERNAL)
        for key, value in (('location', 'w'), ('offset', '4'), ('length', '8')):
            out.external_data.add(key=key, value=value)
        return out
    (tmp_path / 'w').write_bytes(np.array([1, 2, 3], np.float32).tobytes())
    inner = helper.make_graph([helper.make_node('Constant', [], ['c'], value=tensor('deep'))], 'inner', [], [
        helper.make_tensor_value_info('c', TensorProto.FLOAT, [2])])
    node = helper.make_node('If', ['x'], ['y'], then_branch=inner, else_branch=inner)
    graph = helper.make_graph([node], 'g', [helper.make_tensor_value_info('x', TensorProto.BOOL, [])], [
        helper.make_tensor_value_info('y', TensorProto.FLOAT, [2])])
    (tmp_path / 'm.onnx').write_bytes(helper.make_model(graph).SerializeToString())
    write_whole(tmp_path / 'm.onnx', tmp_path / 'whole.onnx')
    branch = onnx.load(str(tmp_path / 'whole.onnx')).graph.node[0].attribute[0].g
    np.testing.assert_array_equal(numpy_helper.to_array(branch.node[0].attribute[0].t), [2, 3])
    assert outside_files(tmp_path / 'whole.onnx') == ()


def test_a_missing_or_short_file_of_weights_is_named(tmp_path: Path):
    file = split(tmp_path / 'in')
    data = tmp_path / 'in' / 'net.onnx.data'
    data.write_bytes(data.read_bytes()[:100])
    assert f'{data} is too short: 100 bytes' in refused(tmp_path, file)
    data.unlink()
    assert f"'net.onnx.data', and there is no {data}; copy it there" in refused(tmp_path, file)


@pytest.mark.parametrize('location', ['../secret', '/etc/hostname', 'a/../../secret', '..', '', 'a\\b', 'link'])
def test_weights_elsewhere_than_beside_the_file_are_refused(tmp_path: Path, location: str):
    file = split(tmp_path / 'in')
    (tmp_path / 'secret').write_bytes(bytes(1 << 20))
    (tmp_path / 'in' / 'link').symlink_to('../secret')
    point_to(file, location=location)
    assert 'beside it' in refused(tmp_path, file)


@pytest.mark.parametrize('entries', [{'offset': '-1'}, {'length': '-5'}, {'offset': 'x'}, {'length': '1' * 5000}])
def test_a_place_in_the_file_that_is_none_is_refused(tmp_path: Path, entries: dict[str, str]):
    file = split(tmp_path / 'in')
    point_to(file, **entries)
    refused(tmp_path, file)


def test_links_of_a_download_cache_are_followed(tmp_path: Path):
    split(tmp_path / 'blobs')
    (tmp_path / 'snapshot').mkdir()
    for name in ('net.onnx', 'net.onnx.data'):
        (tmp_path / 'snapshot' / name).symlink_to(f'../blobs/{name}')
    import_model(Request(tmp_path / 'snapshot' / 'net.onnx', tmp_path / 'out', 'rtmpose'))


def test_more_than_one_file_can_hold_is_told_before_it_is_read(tmp_path: Path, monkeypatch):
    file = split(tmp_path / 'in')
    monkeypatch.setattr(onnx_weights, 'LARGEST', 5000)
    assert 'that one ONNX file can hold' in refused(tmp_path, file)


def test_a_folder_made_by_hand_with_weights_outside_is_refused(tmp_path: Path):
    import_model(Request(split(tmp_path / 'in'), tmp_path / 'out', 'rtmpose'))
    graph, card = (tmp_path / 'in' / 'net.onnx').read_bytes(), (tmp_path / 'out' / 'card.yaml').read_text()
    before = open_model(tmp_path / 'out').card.sha256
    (tmp_path / 'out' / 'model.onnx').write_bytes(graph)
    (tmp_path / 'out' / 'net.onnx.data').write_bytes((tmp_path / 'in' / 'net.onnx.data').read_bytes())
    (tmp_path / 'out' / 'card.yaml').write_text(card.replace(before, sha256_of(tmp_path / 'out' / 'model.onnx')))
    with raises(ModelError, r'weights in other files \(net.onnx.data\).*selfpose model import',
                place=tmp_path / 'out/model.onnx'):
        open_model(tmp_path / 'out')


# -- other layouts, other files

def graph_of(path: Path, shape: tuple, kind: int = TensorProto.FLOAT, wide: int = 56) -> Path:
    """YOLO-pose's tensors, whatever the picture shows: only their shapes count."""
    number = np.float16 if kind == TensorProto.FLOAT16 else np.float32
    nodes = [helper.make_node('ReduceMean', ['images'], ['m'], axes=[1, 2, 3], keepdims=0),
             helper.make_node('Mul', ['m', 'zero'], ['z']), helper.make_node('ReduceSum', ['z'], ['s'], keepdims=0),
             helper.make_node('Add', ['table', 's'], ['output0'])]
    graph = helper.make_graph(nodes, 'g', [helper.make_tensor_value_info('images', kind, shape)], [
        helper.make_tensor_value_info('output0', kind, [1, wide, 84])], [
        numpy_helper.from_array(np.zeros((1, wide, 84), number), 'table'),
        numpy_helper.from_array(np.zeros(1, number), 'zero')])
    path.write_bytes(helper.make_model(graph, opset_imports=[helper.make_opsetid('', 13)],
                                       ir_version=8).SerializeToString())
    return path


@pytest.mark.parametrize(('shape', 'kind', 'words'), [
    ((1, 640, 640, 3), TensorProto.FLOAT, 'has channels last (N, H, W, 3); (N, 3, H, W) is needed: export it so'),
    (('n', 'h', 'w', 3), TensorProto.FLOAT, 'has channels last (N, H, W, 3)'),
    ((1, 1, 640, 640), TensorProto.FLOAT, 'has 1 channels; (N, 3, H, W) is needed'),
    ((1, 3, 640, 640), TensorProto.FLOAT16, 'must be (N, 3, H, W) tensor(float), the graph has images'),
    ((1, 3, 2, 2), TensorProto.FLOAT, 'size must be [width, height] px, from 16 to 4096, got [2, 2]'),
])
def test_another_layout_is_told_as_such(tmp_path: Path, shape: tuple, kind: int, words: str):
    assert words in refused(tmp_path, graph_of(tmp_path / 'net.onnx', shape, kind), 'yolo-pose')


def test_what_cannot_be_decoded_leaves_nothing_behind(tmp_path: Path):
    """Two classes: the graph runs, but nobody could read it."""
    file = graph_of(tmp_path / 'two.onnx', (1, 3, 64, 64), wide=57)
    assert 'got (1, 57, 84)' in refused(tmp_path, file, 'yolo-pose')
    file = graph_of(tmp_path / 'one.onnx', (1, 3, 64, 64))
    for expected in (2, 0, 2):
        out = tmp_path / 'new' / 'out'
        words = ['model', 'import', str(tmp_path / 'two.onnx' if not out.exists() and expected else file)]
        assert cli.main([*words, '--as', 'yolo-pose', '-o', str(out)]) == expected
    assert sorted(f.name for f in out.iterdir()) == ['card.yaml', 'check.png', 'golden.npz', 'model.onnx']


@pytest.mark.parametrize('stop', [KeyboardInterrupt, OSError(28, 'No space left on device'), InferenceError('no')])
def test_a_trial_that_ends_badly_leaves_nothing_behind(tmp_path: Path, stop: type[BaseException]):
    def trial(network, folder: Path) -> None:
        assert (folder / 'golden.npz').is_file()
        raise stop
    with pytest.raises((KeyboardInterrupt, ModelError, InferenceError)):
        import_model(Request(graph_of(tmp_path / 'n.onnx', (1, 3, 64, 64)), tmp_path / 'a' / 'b', 'yolo-pose'), trial)
    assert [f.name for f in tmp_path.iterdir()] == ['n.onnx']


def test_files_that_are_none_are_one_sentence_each(tmp_path: Path):
    assert 'is a folder; name the ONNX file' in refused(tmp_path, tmp_path)
    assert 'no such file' in refused(tmp_path, tmp_path / 'none.onnx')
    (tmp_path / 'empty.onnx').touch()
    assert 'is empty; copy or export the model again' in refused(tmp_path, tmp_path / 'empty.onnx')
    (tmp_path / 'text.onnx').write_text('version https://git-lfs.github.com/spec/v1')
    assert 'is no ONNX file, or a damaged one' in refused(tmp_path, tmp_path / 'text.onnx')
    file = graph_of(tmp_path / 'closed.onnx', (1, 3, 64, 64))
    file.chmod(0)
    if os.access(file, os.R_OK):
        pytest.skip('whoever runs this may read everything')
    assert 'cannot be read (Permission denied)' in refused(tmp_path, file)


def test_any_damage_ends_in_an_error_of_ours(tmp_path: Path):
    """Bytes changed, cut off, put in: seeded, so that a failure can be repeated."""
    sound = split(tmp_path / 'in').read_bytes()
    rng = np.random.default_rng(5)
    for i in range(60):
        broken = bytearray(sound[:rng.integers(1, len(sound))] if i % 3 == 0 else sound)
        for _ in range(rng.integers(1, 6)):
            at = rng.integers(len(broken))
            broken[at:at + (i % 3 == 2)] = rng.bytes(1)
        (tmp_path / 'in' / 'broken.onnx').write_bytes(broken)
        try:
            import_model(Request(tmp_path / 'in' / 'broken.onnx', tmp_path / 'out' / str(i), 'rtmpose'))
        except (ModelError, InferenceError) as error:
            assert not (tmp_path / 'out' / str(i)).exists() and '\n' not in str(error)
