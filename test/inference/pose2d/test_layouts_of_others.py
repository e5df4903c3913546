# Copyright 2026 The selfpose_ros developers
# SPDX-License-Identifier: Apache-2.0
"""Networks of others in the layouts in which they are published: MoveNet as TensorFlow Lite, whole bodies of 133."""
from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from selfpose_ros import cli
from selfpose_ros.core.skeleton import COCO17, JOINT_SETS, joint_map
from selfpose_ros.inference.pose2d import make_pose2d


def test_movenet_for_several_people_as_tensorflow_lite(tmp_path: Path, capsys) -> None:
    """(1, 6, 56) rows of y, x, score of 17 joints, box and score, of an int32 image with channels last: two people."""
    pytest.importorskip('ai_edge_litert')
    import lite_graphs
    rng = np.random.default_rng(2)
    rows, at = np.zeros((1, 6, 56)), rng.uniform(.2, .8, (2, 17, 2))           # x, y
    for k, (row, score) in enumerate(((1, .8), (4, .6))):
        rows[0, row, :51] = np.column_stack([at[k][:, ::-1], np.full(17, .9)]).ravel()
        rows[0, row, 51:] = [*at[k][:, ::-1].min(0), *at[k][:, ::-1].max(0), score]
    file, folder = lite_graphs.rows_whatever_it_sees(tmp_path / 'multipose.tflite', rows), tmp_path / 'model'
    assert cli.main(['model', 'import', str(file), '--as', 'movenet-multipose', '-o', str(folder)]) == 0
    assert 'pose2d, movenet, 64 x 64 px, 17 joints\n2 people in a picture' in capsys.readouterr().out
    net = make_pose2d(str(folder))
    assert 'LiteRT' in net.device and net.joint_names == COCO17
    # a square image: shares of its sides are places in it
    people = net.infer(np.zeros((480, 480, 3), np.uint8))
    assert len(people) == 2
    assert np.abs(people.keypoints - (at * 480 - .5)).max() < 1.
    np.testing.assert_allclose(people.confidence, .9, rtol=1e-5)


def _with_more_joints(file: Path, more: int) -> Path:
    """The same graph with so many further joints in its outputs (N, J, bins), of which nothing is seen."""
    import onnx
    from onnx import helper, numpy_helper
    model = onnx.load(str(file))
    for out in list(model.graph.output):
        name, count = out.name, out.type.tensor_type.shape.dim[1]
        for node in model.graph.node:
            node.output[:] = [f'{name}_body' if n == name else n for n in node.output]
        beyond = np.array([0, 0, 0, 0, more, 0], np.int64)
        model.graph.initializer.append(numpy_helper.from_array(beyond, f'{name}_pad'))
        model.graph.node.append(helper.make_node('Pad', [f'{name}_body', f'{name}_pad'], [name]))
        count.dim_value += more
    onnx.save(model, str(file))
    return file


def test_whole_bodies_of_133_joints_are_bodies_by_their_first_17(tmp_path: Path) -> None:
    """RTMW's and DWPose's tensors: SimCC of 133 points, of which those of hands, face and feet are left out."""
    pytest.importorskip('onnx')
    import colour_networks as nets
    from colour_networks import SIZE, body

    from selfpose_ros.inference.pose2d.importing import Request, import_model
    from selfpose_ros.inference.views import ViewMap
    file = _with_more_joints(nets.simcc(tmp_path / 'w.onnx'), 116)
    names = import_model(Request(file, tmp_path / 'w', 'rtmpose')).model.card.joints
    assert names == JOINT_SETS['wholebody133'] and len(names) == 133
    net, points = make_pose2d(str(tmp_path / 'w')), body(SIZE[0] / 2, SIZE[1] / 2, 1.)
    image = nets.picture(points, SIZE)
    people = net.infer(image)
    assert net.joint_names == names and people.keypoints.shape == (1, 133, 2)
    view = ViewMap.of(net).view(people, 'a', 0., SIZE)
    wanted, _ = joint_map(COCO17).apply(points[None], np.ones((1, 17)))
    assert np.nanmax(np.abs(view.keypoints - wanted)) < 2. and (view.confidence[0] > 0).sum() >= 15
