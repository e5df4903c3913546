# Copyright 2026 The selfpose_ros developers
# SPDX-License-Identifier: Apache-2.0
"""Another model while the nodes work: nothing stops, no frame is lost, and what is no good does not stay."""
from __future__ import annotations

import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip('rclpy', reason='ROS 2 (rclpy) is not installed')

from rcl_interfaces.srv import SetParameters
from rclpy.parameter import Parameter
from ros_world import LATCHED, DotsNetwork, World, draw, pose, raw, values
from scripted import Keypoints, Scripted, fuse
from sensor_msgs.msg import Image, PointCloud2
from std_msgs.msg import String
from std_srvs.srv import Trigger

from selfpose_ros.inference.errors import InferenceError, InputError
from selfpose_ros.nodes.errors import NodeError
from selfpose_ros.nodes.fusion_node import FusionNode
from selfpose_ros.nodes.model_swap import ModelSwap, Version
from selfpose_ros.nodes.pose2d_node import Pose2DNode
from selfpose_ros.nodes.trial_lifter import TrialLifter


class Named(DotsNetwork):
    """Finds dots; 'weak' fails from its third image on, 'bad' cannot be made, 'slow' waits until it may be there."""

    made: list[Named]
    may_be_there = threading.Event()

    def __init__(self, name: str) -> None:
        super().__init__()
        if name == 'bad':
            raise InputError('the file is damaged')
        if name == 'slow':
            assert self.may_be_there.wait(30)
        self.name = name
        Named.made.append(self)

    def infer(self, image_bgr: np.ndarray) -> Any:
        if self.name == 'weak' and self.seen >= 2:
            self.seen += 1
            raise InferenceError('out of memory')
        return super().infer(image_bgr)


class Stream:
    """Sends images one after the other: each is answered by its joints before the next is sent."""

    def __init__(self, world: World, cameras: tuple[str, ...] = ('a', 'b')) -> None:
        self.world, self.at, self.sent = world, 100., 0
        self.heard = {c: world.listen(f'/{c}/keypoints', PointCloud2) for c in cameras}
        self.infos = {c: world.listen(f'/{c}/keypoints_info', String, qos=LATCHED) for c in cameras}
        self.publishers = {c: world.node.create_publisher(Image, f'/{c}/image_raw', 5) for c in cameras}
        world.until(lambda: all(p.get_subscription_count() for p in self.publishers.values()), 'subscriptions')

    def __call__(self) -> None:
        self.at, self.sent = self.at + .0625, self.sent + 1
        for publisher in self.publishers.values():
            publisher.publish(raw(draw(pose()), self.at))
        self.world.until(lambda: all(len(h) == self.sent for h in self.heard.values()), f'joints of image {self.sent}')

    def complete(self) -> bool:
        """Every image has its joints, once, in order."""
        wanted = [round((100 + .0625 * (k + 1)) * 1e9) for k in range(self.sent)]
        return all([m.header.stamp.sec * 10**9 + m.header.stamp.nanosec for m in h] == wanted
                   and all(m.height == 1 for m in h) for h in self.heard.values())


def _node(world: World) -> Pose2DNode:
    Named.made = []
    Named.may_be_there.clear()
    return world.make(Pose2DNode, args={'make_network': lambda _, s: Named(s.model)}, cameras=['a', 'b'], model='first')


def _set(world: World, node: str, **given: Any) -> str:
    request = SetParameters.Request(parameters=[Parameter(n, None, v).to_parameter_msg() for n, v in given.items()])
    result, = world.call(SetParameters, f'/{node}/set_parameters', request).results
    return '' if result.successful else str(result.reason)


def _trigger(world: World, name: str) -> tuple[bool, str]:
    answer = world.call(Trigger, name, Trigger.Request())
    return answer.success, answer.message


def _parameter(node: Any, name: str = 'model') -> str:
    return str(node.get_parameter(name).value)


def test_a_model_set_at_run_time_is_loaded_beside_the_first_and_no_image_is_lost(world: World) -> None:
    node = _node(world)
    stream = Stream(world)
    stream()
    assert _set(world, 'pose2d_node', model='slow') == ''
    entry = world.says('pose2d_node: model', 'first on CPU (test) runs while slow is loaded and checked', stream)
    assert values(entry)['loading'] == 'slow' and all(n.name == 'first' for n in Named.made)
    Named.may_be_there.set()
    entry = world.says('pose2d_node: model', 'slow on CPU (test) runs; ~/rollback_model returns to first on', stream)
    for _ in range(3):
        stream()
    assert stream.complete() and [n.seen >= 5 for n in Named.made if n.name == 'slow'] == [True, True]
    assert all('"model": "slow"' in infos[-1].data for infos in stream.infos.values()), 'and told beside the joints'
    ok, sentence = _trigger(world, '/pose2d_node/rollback_model')
    assert ok and sentence == 'first on CPU (test) runs again; slow on CPU (test) is kept'
    world.says('pose2d_node: network', 'first on CPU', stream)
    assert _parameter(node) == 'first' and stream.complete() and not any(n.closed for n in Named.made)


def test_a_model_that_cannot_be_loaded_changes_nothing(world: World) -> None:
    node = _node(world)
    stream = Stream(world)
    assert _set(world, 'pose2d_node', model='bad') == ''
    world.says('pose2d_node: model', 'bad was refused, first on CPU (test) goes on: the file is damaged', stream)
    world.until(lambda: _parameter(node) == 'first', 'the parameter tells what runs')
    assert stream.complete()
    ok, sentence = _trigger(world, '/pose2d_node/rollback_model')
    assert not ok and 'there is no model to return to' in sentence


def test_a_model_that_fails_at_its_work_gives_way_and_the_image_is_seen_by_the_one_before(world: World) -> None:
    node = _node(world)
    stream = Stream(world)
    assert _set(world, 'pose2d_node', model='weak') == ''
    world.says('pose2d_node: model', 'weak failed at its work, first on CPU (test) has taken over again', stream)
    world.until(lambda: _parameter(node) == 'first', 'the parameter tells what runs')
    for _ in range(3):
        stream()
    assert stream.complete(), 'the image that it failed on, too'
    assert all(n.closed for n in Named.made if n.name == 'weak')


def test_reload_takes_what_is_in_the_folder_now(world: World) -> None:
    _node(world)
    stream = Stream(world)
    stream()
    ok, sentence = _trigger(world, '/pose2d_node/reload_model')
    assert ok and sentence.startswith('first is loaded and checked beside first on CPU (test)')
    world.until(lambda: len(Named.made) == 4 and values(world.status['pose2d_node: model'])['changes'] == '1',
                'two new ones', stream)
    stream()
    assert [n.closed for n in Named.made] == [False] * 4 and stream.complete()
    _trigger(world, '/pose2d_node/reload_model')
    world.until(lambda: len(Named.made) == 6 and all(n.closed for n in Named.made[:2]), 'the oldest are given back',
                stream)


def test_a_name_that_no_model_has_is_refused_at_once(world: World) -> None:
    world.make(Pose2DNode, cameras=['a'], model='rendered_pose')
    assert 'parameter model: 2D network' in _set(world, 'pose2d_node', model='/no/such/folder')
    world.says('pose2d_node: model', 'rendered_pose on CPU')


def test_a_model_folder_replaces_the_other_in_real_networks(world: World, tmp_path: Path) -> None:
    pytest.importorskip('onnxruntime')
    import shutil

    from selfpose_ros.models.store import open_model
    folder = tmp_path / 'mine'
    shutil.copytree(open_model('rendered_pose').folder, folder)
    world.make(Pose2DNode, cameras=['a'], model='rendered_pose')
    assert _set(world, 'pose2d_node', model=str(folder)) == ''
    world.says('pose2d_node: model', f'({folder}) runs; ~/rollback_model returns to rendered_pose on CPU')


# -- the fusion's


class Lifts(Scripted):
    """A scripted estimator that remembers its lifters."""

    lifters: list[Any]

    def lift_with(self, lifter: Any) -> None:
        Lifts.lifters.append(lifter)


def test_another_lifter_goes_to_the_same_estimator(world: World) -> None:
    pytest.importorskip('onnxruntime')
    Scripted.made, Scripted.trust, Lifts.lifters = [], False, []
    node = world.make(FusionNode, args={'make_estimator': Lifts}, cameras=['a', 'b'], lifter='none')
    a, b = Keypoints(world, 'a'), Keypoints(world, 'b')
    both: Callable[[], Any] = lambda: (a(), b())  # noqa: E731
    skeletons = world.listen('/fusion_node/skeletons', PointCloud2)
    world.until(lambda: skeletons, 'skeletons', both)
    assert 'parameter lifter: ' in _set(world, 'fusion_node', lifter='rendered_pose')
    assert _set(world, 'fusion_node', lifter='lifter') == ''
    world.says('fusion_node: model', '~/rollback_model returns to no lifter', both)
    world.until(lambda: Lifts.lifters, 'the estimator has it', both)
    assert Lifts.lifters[0].frames == 1 and len(Scripted.made) == 1
    assert _trigger(world, '/fusion_node/rollback_model')[0]
    world.until(lambda: Lifts.lifters[-1] is None, 'it has none again', both)
    assert _parameter(node, 'lifter') == 'none'


def test_fuse_has_no_model_to_return_to(world: World) -> None:
    Scripted.made, Scripted.trust = [], False
    fuse(world)
    assert not _trigger(world, '/fusion_node/rollback_model')[0]


class Half:
    """A lifter that fails when it is told to."""

    frames, interval_s, fails = 1, 0., False

    def lift(self, pose: np.ndarray) -> Any:
        if self.fails:
            raise InferenceError('no more')
        return np.full((len(pose), 17, 3), id(self) % 7 + 1.), np.ones((len(pose), 17))


def test_the_spare_lifter_answers_what_the_new_one_cannot() -> None:
    new, old = Half(), Half()
    told: list[Exception] = []
    lifter, ask = TrialLifter(new, old, told.append), np.zeros((2, 17, 3), np.float32)
    assert lifter.lift(ask)[0][0, 0, 0] == id(new) % 7 + 1
    new.fails = True
    assert lifter.lift(ask)[0][0, 0, 0] == id(old) % 7 + 1 and len(told) == 1
    assert lifter.lift(ask)[0].shape == (2, 17, 3) and len(told) == 1


def test_of_several_requests_the_newest_counts_and_a_defect_of_loading_is_told() -> None:
    go, loaded, closed, used = threading.Event(), [], [], []

    def load(parameters: Any) -> tuple[str, str]:
        go.wait(30)
        loaded.append(parameters['model'])
        if parameters['model'] == 'odd':
            raise ZeroDivisionError('0')
        return parameters['model'].upper(), parameters['model']

    swap: ModelSwap[str] = ModelSwap(load, lambda model, spare: used.append((model, spare)), closed.append)
    swap.start(Version({'model': 'one'}, 'ONE', 'one'))
    for name in ('two', 'three', 'four'):
        swap.request({'model': name})
    assert swap.wanted == {'model': 'four'}
    with pytest.raises(NodeError, match='two is being loaded'):
        swap.rollback()

    def settle() -> None:
        while swap.loading is not None:
            thread = swap._thread
            assert thread is not None
            thread.join(30)
            swap.tend()

    go.set()
    settle()
    assert loaded == ['two', 'four'] and used == [('two', 'one'), ('four', 'two')] and closed == ['one']
    swap.request({'model': 'odd'})
    settle()
    assert 'odd was refused, FOUR goes on: defect of this program: ZeroDivisionError' in swap.entry().message
    swap.fail('four', InferenceError('broken'))
    assert swap.tend() and used[-1] == ('two', None) and closed == ['one', 'four'] and swap.before is None
    swap.fail('four', InferenceError('broken'))
    assert not swap.tend(), 'told twice'
    assert swap.close(1.) == '' and closed == ['one', 'four', 'two']
