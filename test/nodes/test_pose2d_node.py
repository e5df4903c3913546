# Copyright 2026 The selfpose_ros developers
# SPDX-License-Identifier: Apache-2.0
"""pose2d_node over real DDS: what goes in comes out, and what cannot be used is told."""
from __future__ import annotations

import json

import numpy as np
import pytest

pytest.importorskip('rclpy', reason='ROS 2 (rclpy) is not installed')

from ros_world import LATCHED, DotsNetwork, World, draw, jpeg, pose, raw, values
from sensor_msgs.msg import CompressedImage, Image, PointCloud2
from std_msgs.msg import String

from selfpose_ros.nodes.errors import NodeError
from selfpose_ros.nodes.messages import info_of, view_of
from selfpose_ros.nodes.pose2d_node import Pose2DNode


def _node(world: World, **parameters: object) -> Pose2DNode:
    return world.make(Pose2DNode, args={'make_network': lambda *_: DotsNetwork()}, **parameters)


def test_joints_of_raw_and_compressed_images_come_out_where_they_were_drawn(world: World) -> None:
    a, b = (world.listen(f'/{c}/keypoints', PointCloud2) for c in 'ab')
    infos = {c: world.listen(f'/{c}/keypoints_info', String, qos=LATCHED) for c in 'ab'}
    node = _node(world, cameras=['a', 'b'])
    send_a = world.node.create_publisher(Image, '/a/image_raw', 5)
    send_b = world.node.create_publisher(CompressedImage, '/b/image_raw/compressed', 5)
    t = iter(np.arange(1000) / 16 + 100.)

    def images() -> None:
        now = next(t)
        send_a.publish(raw(draw(pose()), now, frame='lens'))
        send_b.publish(jpeg(draw(pose(7.)), now))

    world.until(lambda: len(a) > 3 and len(b) > 3 and infos['a'] and infos['b'], 'keypoints', images)
    for heard, camera, shift, tolerance in ((a, 'a', 0., 0.3), (b, 'b', 7., 1.)):
        info = info_of(infos[camera][0].data, camera, 'info')
        view = view_of(heard[-1], info, 'keypoints')
        assert view.image_size == (320, 240) and view.intrinsics is None
        np.testing.assert_allclose(view.keypoints[0], pose(shift), atol=tolerance)
        assert (heard[-1].height, heard[-1].width) == (1, 17)
        assert [f.name for f in heard[-1].fields] == ['u', 'v', 'confidence', 'person']
    assert a[-1].header.frame_id == 'lens' and b[-1].header.frame_id == 'b_optical'
    assert a[-1].header.stamp.nanosec % 62_500_000 == 0, 'the stamp of the image, to the last bit'
    assert json.loads(infos['a'][0].data)['model'] == 'dots'
    entry = world.says('pose2d_node: camera a', 'images/s', images)
    assert entry.level == b'\x00' and values(entry)['reliability'] == 'reliable'
    cost = {k: float(values(entry)[k]) for k in ('network_p50_ms', 'network_per_person_ms')}
    assert all(0 < v < 1e3 for v in cost.values()), 'one person in every image: about the same'
    told = world.says('pose2d_node: network', 'ms of it a person and image', images)
    assert float(values(told)['network_per_person_ms']) > 0
    assert node.settings.workers == 2


def test_a_model_folder_sees_for_the_node(world: World, tmp_path) -> None:
    """RTMPose's tensors and a detector, as `selfpose model import` makes them: COCO's joints become the project's."""
    pytest.importorskip('onnx')
    pytest.importorskip('onnxruntime')
    import colour_networks as nets
    from colour_networks import SIZE, body

    from selfpose_ros.core.skeleton import COCO17, JOINTS
    from selfpose_ros.inference.pose2d.importing import Request, import_model
    import_model(Request(nets.simcc(tmp_path / 'p.onnx'), tmp_path / 'pose', 'rtmpose'))
    import_model(Request(nets.rtmdet(tmp_path / 'd.onnx'), tmp_path / 'people', 'rtmdet'))
    heard, infos = world.listen('/a/keypoints', PointCloud2), world.listen('/a/keypoints_info', String, qos=LATCHED)
    world.make(Pose2DNode, cameras=['a'], model=str(tmp_path / 'pose'),
               model_options=[f'detector={tmp_path / "people"}', 'detect_every=3'])
    send, points, t = world.node.create_publisher(Image, '/a/image_raw', 5), body(400, 250, .9), iter(range(1000))
    image = nets.picture(points, SIZE)
    world.until(lambda: len(heard) > 2 and infos, 'keypoints', lambda: send.publish(raw(image, 100. + next(t) / 10)))
    info = info_of(infos[0].data, 'a', 'info')
    view = view_of(heard[-1], info, 'keypoints')
    assert len(view.keypoints) == 1 and json.loads(infos[0].data)['model'] == 'pose'
    coco = [n.replace('left_', 'l_').replace('right_', 'r_') for n in COCO17]
    for name in ('l_wrist', 'r_knee', 'l_shoulder', 'r_ankle'):
        np.testing.assert_allclose(view.keypoints[0, JOINTS.index(name)], points[coco.index(name)], atol=1.)
    hips = points[[coco.index('l_hip'), coco.index('r_hip')]].mean(0)
    np.testing.assert_allclose(view.keypoints[0, 0], hips, atol=1.)


def test_a_network_that_tells_depths_needs_no_lifter(world: World, tmp_path) -> None:
    """heatmap25d's tensors: 2D as ever, depths beside it, and from them a skeleton of one camera, without a lifter."""
    pytest.importorskip('onnx')
    pytest.importorskip('onnxruntime')
    import colour_networks as nets

    from selfpose_ros.core.estimator import Estimator
    from selfpose_ros.core.observation import MultiView
    from selfpose_ros.core.rotation import similarity_alignment
    from selfpose_ros.synthetic import walker
    X = walker(1., 15., 3, 'mixed')[7] @ np.array([[1., 0, 0], [0, 0, 1], [0, -1, 0]]).T      # z up to y down
    X = X - X[0] + [.2, .1, 3.]
    points = X[:, :2] / X[:, 2:] * 640 + [320, 240]
    axis = X[0] / np.linalg.norm(X[0])
    depth = (X - X[0]) @ axis / np.linalg.norm(X[8] - X[0])
    folder = nets.points25d(tmp_path / 'deep', depth)
    heard, infos = world.listen('/a/keypoints', PointCloud2), world.listen('/a/keypoints_info', String, qos=LATCHED)
    views: list = []
    world.make(Pose2DNode, cameras=['a'], model=str(folder), args={'on_view': views.append})
    send, t = world.node.create_publisher(Image, '/a/image_raw', 5), iter(range(1000))
    image = nets.picture(points, (640, 480), 5)
    world.until(lambda: len(heard) > 4 and len(views) > 4 and infos, 'keypoints',
                lambda: send.publish(raw(image, 100. + next(t) / 10)))
    assert [f.name for f in heard[-1].fields][4:] == ['depth', 'depth_sigma']
    view = view_of(heard[-1], info_of(infos[0].data, 'a', 'info'), 'keypoints')
    np.testing.assert_allclose(view.keypoints[0], points, atol=2.)
    np.testing.assert_allclose(view.depth[0], depth, atol=1e-5)
    estimator = Estimator()
    for v in views[:5]:                                    # of the same process: no message between
        people = estimator.update(MultiView(v.stamp, (v,)))
    estimator.close()
    assert len(people) == 1 and people[0].level == 1
    s, R, at = similarity_alignment(people[0].joints, X)
    assert np.linalg.norm(s * people[0].joints @ R.T + at - X, axis=-1).mean() < .06


def test_a_model_folder_that_is_none_is_said(world: World, tmp_path) -> None:
    with pytest.raises(NodeError, match='not known; choose one of: blazepose-full, .*or name a model folder'):
        world.make(Pose2DNode, cameras=['a'], model=str(tmp_path / 'nothing'))
