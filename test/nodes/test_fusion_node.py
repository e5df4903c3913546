# Copyright 2026 The selfpose_ros developers
# SPDX-License-Identifier: Apache-2.0
"""fusion_node over real DDS with a scripted estimator: keypoints in, everything that users subscribe to out."""
from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

pytest.importorskip('rclpy', reason='ROS 2 (rclpy) is not installed')

from raising import raises
from ros_world import LATCHED, World, pose, stamp, values
from rosgraph_msgs.msg import Clock
from scripted import Keypoints, Scripted, fuse, two_cameras
from sensor_msgs.msg import CameraInfo, MultiDOFJointState, PointCloud2
from std_msgs.msg import String
from std_srvs.srv import Trigger
from visualization_msgs.msg import MarkerArray

from selfpose_ros.core.camera import Intrinsics
from selfpose_ros.core.estimator import EstimatorConfig
from selfpose_ros.core.observation import MultiView, Skeleton3D, View2D
from selfpose_ros.core.rig import Rig
from selfpose_ros.core.skeleton import COCO17, JOINTS
from selfpose_ros.nodes import fusion_node, fusion_outputs
from selfpose_ros.nodes.errors import NodeError
from selfpose_ros.nodes.fusion_node import FusionNode
from selfpose_ros.nodes.messages import KeypointsInfo, skeletons_of
from selfpose_ros.nodes.rig_file import save_rig

OK, WARN, ERROR = b'\x00', b'\x01', b'\x02'


@pytest.fixture(autouse=True)
def _fresh() -> None:
    Scripted.made, Scripted.trust = [], False


def _placed(world: World, skeletons: list[PointCloud2], each: Callable[[], Any]) -> None:
    """Wait for skeletons before the rig, then for one whose place is known."""
    world.until(lambda: skeletons and skeletons[-1].height, 'skeletons', each)
    assert skeletons[-1].header.frame_id == 'selfpose_provisional', 'before the rig, people stand in no room'
    Scripted.trust = True
    world.until(lambda: skeletons[-1].header.frame_id == 'selfpose_world' and skeletons[-1].height, 'a rig', each)


def test_everything_that_users_subscribe_to(world: World) -> None:
    skeletons = world.listen('/fusion_node/skeletons', PointCloud2)
    shown = world.listen('/fusion_node/markers', MarkerArray)
    rigs = world.listen('/fusion_node/rig', String, qos=LATCHED)
    models = world.listen('/fusion_node/skeleton_model', String, qos=LATCHED)
    named = world.listen('/fusion_node/joint_state/person_1', MultiDOFJointState)
    infos = world.listen('/fusion_node/b/camera_info', CameraInfo, qos=LATCHED)
    fuse(world)
    a, b = Keypoints(world, 'a'), Keypoints(world, 'b')
    both = lambda: (a(), b())  # noqa: E731
    _placed(world, skeletons, both)
    world.until(lambda: infos and named and rigs and json.loads(rigs[-1].data)['solved'] and any(
        m.ns == 'cameras' for s in shown for m in s.markers), 'all topics', both)
    last = skeletons[-1]
    person, = skeletons_of(last)
    assert (person.person, person.level, person.views.tolist()) == (1, 3, [2] * 17)
    np.testing.assert_allclose(person.joints[:, :2] * 100, pose(), rtol=1e-5)
    assert (last.header.stamp.nanosec / 62_500_000) % 1 == pytest.approx(0, abs=1e-4), 'stamps of the images'
    told = [json.loads(r.data) for r in rigs]
    assert [t['solved'] for t in told] == [False] * (len(told) - 1) + [True] and told[-1]['cameras'] == ['a', 'b']
    assert json.loads(models[0].data)['joints'] == list(JOINTS)
    assert list(named[-1].joint_names) == list(JOINTS) and infos[0].k[0] == 600
    assert {m.ns for s in shown for m in s.markers} == {'joints', 'bones', 'labels', 'cameras', 'floor',
                                                        'camera_names'}
    entry = world.says('fusion_node: fusion', 'level 3 from 2 cameras', both)
    figures = values(entry)
    assert entry.level == OK and figures['rig'] == 'trusted' and figures['scale_source'] == 'adult prior'
    assert world.says('fusion_node: camera a', 'views/s', both).level == OK


def test_without_cameras_named_every_camera_that_is_announced_is_taken(world: World) -> None:
    fuse(world, cameras=[])
    skeletons = world.listen('/fusion_node/skeletons', PointCloud2)
    world.says('fusion_node: fusion', 'no camera publishes keypoints')
    a, b = Keypoints(world, 'left/a'), Keypoints(world, 'b')
    world.until(lambda: skeletons and skeletons[-1].height, 'skeletons', lambda: (a(), b()))
    assert {v.camera for m in Scripted.made[0].taken for v in m.views} == {'left/a', 'b'}


def test_a_camera_dies_and_comes_back(world: World) -> None:
    fuse(world)
    skeletons = world.listen('/fusion_node/skeletons', PointCloud2)
    a, b = Keypoints(world, 'a'), Keypoints(world, 'b')
    world.until(lambda: skeletons and skeletons[-1].height, 'skeletons', lambda: (a(), b()))
    a.die()
    count = len(skeletons)
    entry = world.says('fusion_node: camera a', 'no keypoints for', b)
    assert entry.level == ERROR
    world.until(lambda: len(skeletons) > count + 3, 'messages go on', b)
    assert skeletons[-1].height == 0, 'one camera is not two'
    again = Keypoints(world, 'a', begin=b.at)
    world.until(lambda: skeletons[-1].height, 'skeletons again', lambda: (again(), b()))
    assert world.says('fusion_node: camera a', 'views/s', lambda: (again(), b())).level == OK
    assert len(Scripted.made) == 1, 'the estimator lived through it'


def test_a_camera_that_never_comes(world: World) -> None:
    fuse(world, cameras=['a', 'b', 'c'])
    skeletons = world.listen('/fusion_node/skeletons', PointCloud2)
    a, b = Keypoints(world, 'a'), Keypoints(world, 'b')
    world.until(lambda: skeletons and skeletons[-1].height, 'skeletons of the others', lambda: (a(), b()))
    entry = world.says('fusion_node: camera c', 'nobody publishes /c/keypoints', lambda: (a(), b()))
    assert entry.level == WARN


@pytest.mark.parametrize(('names', 'words'), [
    (('nose', 'tail') + COCO17[2:], 'joint names:'), (JOINTS[:11], 'missing among 11 names'),
    (COCO17 + ('neck',), '17 columns for 18 joint names')])
def test_joint_names_that_do_not_fit(world: World, names: tuple[str, ...], words: str) -> None:
    fuse(world)
    a, b = Keypoints(world, 'a', names), Keypoints(world, 'b')
    if names[0] == 'nose' and len(names) == 17:
        a.text = json.dumps({'joint_names': ['nose', 'nose', *names[2:]], 'image_size': [320, 240]})
        a.tell()
    entry = world.says('fusion_node: camera a', words, lambda: (a(), b()))
    assert entry.level == ERROR
    world.until(lambda: Scripted.made[0].taken, 'views of the other', lambda: (a(), b()))
    assert {v.camera for m in Scripted.made[0].taken for v in m.views} == {'b'}, 'nothing of camera a is believed'


def test_keypoints_that_come_before_their_names_are_not_lost(world: World) -> None:
    node = fuse(world)
    a = Keypoints(world, 'a', info=False)
    world.says('fusion_node: camera a', '/a/keypoints_info does not say', a)
    world.until(lambda: len(node._inputs['a']._waiting) > 4, 'messages that wait', a)
    assert not Scripted.made[0].taken
    a.tell()
    world.until(lambda: len(Scripted.made[0].taken) > 4, 'views')
    stamps = [m.stamp for m in Scripted.made[0].taken]
    assert stamps == sorted(stamps)


def test_nan_and_zero_confidences(world: World) -> None:
    fuse(world)
    a, b = Keypoints(world, 'a'), Keypoints(world, 'b')

    def spoil(points: np.ndarray, confidence: np.ndarray) -> None:
        points[:, 3], confidence[:, 4], confidence[:, 5], points[:, 6] = np.nan, 0, np.nan, np.inf

    a.change = spoil
    world.until(lambda: len(Scripted.made[0].taken) > 5, 'instants', lambda: (a(), b()))
    view = next(v for v in Scripted.made[0].taken[-1].views if v.camera == 'a')
    assert np.isnan(view.keypoints[0, 3:7]).all() and (view.confidence[0, 3:7] == 0).all()
    assert np.isfinite(np.delete(view.keypoints[0], np.s_[3:7], 0)).all()


def test_a_clock_that_jumps_back_begins_anew_with_the_same_rig(world: World) -> None:
    fuse(world)
    skeletons = world.listen('/fusion_node/skeletons', PointCloud2)
    a, b = Keypoints(world, 'a', begin=1000.), Keypoints(world, 'b', begin=1000.)
    both = lambda: (a(), b())  # noqa: E731
    _placed(world, skeletons, both)
    a.at = b.at = 50.
    world.until(lambda: skeletons[-1].header.stamp.sec < 100, 'skeletons of the new time', both)
    world.until(lambda: skeletons[-1].height, 'people of the new time', both)
    assert skeletons[-1].header.frame_id == 'selfpose_world', 'the cameras stand where they stood'
    stamps = np.array([m.stamp for m in Scripted.made[0].taken])
    assert (np.diff(stamps) < 0).sum() == 1, 'in order of time, but for the one jump'
    world.until(lambda: values(world.status['fusion_node: fusion'])['clock_jumps'] == '1', 'the jump told', both)


def test_an_empty_scene_is_said_and_messages_stay_empty(world: World) -> None:
    fuse(world)
    skeletons = world.listen('/fusion_node/skeletons', PointCloud2)
    a, b = Keypoints(world, 'a'), Keypoints(world, 'b')
    a.people = b.people = 0
    entry = world.says('fusion_node: fusion', 'nobody is seen by two cameras', lambda: (a(), b()))
    assert entry.level == WARN and values(entry)['rig_reason'] == 'not enough motion'
    world.until(lambda: len(skeletons) > 3, 'messages', lambda: (a(), b()))
    assert all((m.height, len(m.data), m.header.frame_id) == (0, 0, 'selfpose_world') for m in skeletons)


def test_a_defect_in_the_estimator_is_told_and_the_rig_kept(world: World) -> None:
    fuse(world)
    skeletons = world.listen('/fusion_node/skeletons', PointCloud2)
    a, b = Keypoints(world, 'a'), Keypoints(world, 'b')
    both = lambda: (a(), b())  # noqa: E731
    _placed(world, skeletons, both)
    a.change = lambda points, confidence: points.__iadd__(900.)
    entry = world.says('fusion_node: fusion', 'defect of this program', both)
    assert entry.level == ERROR and 'FloatingPointError: a bug' in entry.message
    a.change = lambda points, confidence: None
    count = len(skeletons)
    world.until(lambda: len(skeletons) > count + 3 and skeletons[-1].height, 'skeletons go on', both)
    assert skeletons[-1].header.frame_id == 'selfpose_world'


def _trigger(world: World, name: str, each: Callable[[], Any]) -> Trigger.Response:
    client = world.node.create_client(Trigger, f'/fusion_node/{name}')
    world.until(client.service_is_ready, name)
    future = client.call_async(Trigger.Request())
    world.until(future.done, f'answer of {name}', each)
    return future.result()


def test_what_the_check_of_the_views_finds_is_said_until_it_is_mended(world: World) -> None:
    node = fuse(world)
    a, b = Keypoints(world, 'a'), Keypoints(world, 'b', info=False)
    b.change = lambda kp, conf: np.add(kp, 30, out=kp)      # another picture than a's
    b.text = json.dumps({'joint_names': JOINTS, 'image_size': [50, 40]})
    b.tell()
    both = lambda: (a(), b())  # noqa: E731
    entry = world.says('fusion_node: camera b', "% of b's joints lie outside of 50x40 px", both)
    assert entry.level == WARN and 'image size' not in world.status['fusion_node: camera a'].message
    assert 'lie outside of 50x40 px' in values(entry)['check']
    entry = world.says('fusion_node: fusion', "% of b's joints lie outside of 50x40 px", both)
    assert entry.level == WARN and entry.message.endswith('(level 1 from 2 cameras)')
    b.text = json.dumps({'joint_names': JOINTS, 'image_size': [320, 240]})
    b.tell()
    world.until(lambda: node._worker.findings == (), 'mended', both)
    assert values(world.says('fusion_node: camera b', 'views/s', both))['check'] == 'nothing found'


def test_save_reset_and_start_with_a_rig(world: World, tmp_path: Path) -> None:
    file = tmp_path / 'new' / 'rig.yaml'
    rigs = world.listen('/fusion_node/rig', String, qos=LATCHED)
    node = fuse(world, rig_file=str(file))
    a, b = Keypoints(world, 'a'), Keypoints(world, 'b')
    both = lambda: (a(), b())  # noqa: E731
    answer = _trigger(world, 'save_rig', lambda: None)
    assert not answer.success and answer.message.startswith('there is no rig yet: ')
    Scripted.trust = True
    world.until(lambda: node._worker.rig is not None, 'a rig', both)
    answer = _trigger(world, 'save_rig', both)
    assert answer.success and str(file) in answer.message and file.is_file()
    Scripted.trust = False                                 # views that are still on their way must not bring it back
    assert _trigger(world, 'reset', lambda: None).success
    world.until(lambda: json.loads(rigs[-1].data)['solved'] is False, 'the rig is withdrawn')
    assert json.loads(rigs[-1].data)['reason'] == 'reset by the service'
    world.until(lambda: node._worker.rig is None, 'the estimator forgot it')
    node.trigger_deactivate()
    world.says('fusion_node: fusion', 'not active')
    assert _trigger(world, 'reset', lambda: None).message == 'fusion_node is not active; activate it first'
    node.trigger_cleanup()
    node.bring_up()
    assert Scripted.made[-1].rig is not None and Scripted.made[-1].rig.cameras == ('a', 'b')


@pytest.mark.parametrize('content', ['{', 'cameras: [a]', '- 1', '\x00'])
def test_a_rig_file_that_holds_no_rig_is_refused(world: World, tmp_path: Path, content: str) -> None:
    file = tmp_path / 'rig.yaml'
    file.write_text(content)
    with raises(NodeError, place='parameter rig_file',
                remedy='remove it, or save the rig again with ~/save_rig') as told:
        fuse(world, rig_file=str(file))
    assert '\n' not in str(told.value)


def test_saving_without_a_name_says_which_parameter() -> None:
    with raises(NodeError, place='parameter rig_file', what='it is empty'):
        save_rig('', two_cameras())


def test_settings_reach_the_estimator(world: World) -> None:
    fuse(world, person_height_m=1.8, baseline_m=2, baseline_cameras=['b', 'a'], max_people=2, rig_solver='inline',
         rig_first_solve_s=3, lag_s=0.1, rig_min_quality=0.5)
    assert Scripted.made[0].config == EstimatorConfig(1.8, 2., ('b', 'a'), 2, 'inline', 3., 0.1, 0.5)


def test_a_lifter_that_cannot_be_used_is_told_before_anything_runs() -> None:
    assert fusion_node._lifter('none')[0] is None
    with pytest.raises(NodeError, match=r'parameter lifter: .*nowhere'):
        fusion_node._lifter('/nowhere')


def test_views_of_the_same_process_need_no_topic(world: World) -> None:
    node = world.make(FusionNode, args={'make_estimator': Scripted, 'local_cameras': ['a', 'b']})
    skeletons = world.listen('/fusion_node/skeletons', PointCloud2)
    at = [100.]

    def views() -> None:
        at[0] += 1 / 16
        for camera in 'ab':
            node.take(View2D(camera, at[0], pose()[None], np.ones((1, 17)), (320, 240)))

    world.until(lambda: skeletons and skeletons[-1].height, 'skeletons', views)
    assert values(world.says('fusion_node: camera a', 'views/s', views))['topic'] == 'this process'


def test_camera_frames_go_to_tf_where_tf2_is_installed(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    sent: list[Any] = []

    class FakePublisher:
        def publish(self, message: Any) -> None:
            sent.append(message)

    make, destroy = FusionNode.create_lifecycle_publisher, FusionNode.destroy_lifecycle_publisher
    monkeypatch.setattr(fusion_outputs, 'tf_message', lambda: SimpleNamespace)
    monkeypatch.setattr(FusionNode, 'create_lifecycle_publisher', lambda self, kind, topic, qos: FakePublisher()
                        if topic in ('/tf', '/tf_static') else make(self, kind, topic, qos))
    monkeypatch.setattr(FusionNode, 'destroy_lifecycle_publisher', lambda self, p: None
                        if isinstance(p, FakePublisher) else destroy(self, p))
    fuse(world)
    a, b = Keypoints(world, 'a'), Keypoints(world, 'b')
    world.until(lambda: len(Scripted.made[0].taken) > 5, 'instants', lambda: (a(), b()))
    assert not sent, 'not before the rig is trusted'
    Scripted.trust = True
    world.until(lambda: sent, 'transforms', lambda: (a(), b()))
    assert [t.child_frame_id for t in sent[0].transforms] == ['a_optical', 'b_optical']
    assert {t.header.frame_id for t in sent[0].transforms} == {'selfpose_world'}
    at = sent[0].transforms[0].header.stamp
    assert any(m.stamp == pytest.approx(at.sec + 1e-9 * at.nanosec) for m in Scripted.made[0].taken)


def test_info_with_calibration_reaches_the_estimator(world: World) -> None:
    fuse(world)
    a = Keypoints(world, 'a', info=False)
    known = Intrinsics(np.array([[300., 0, 160], [0, 300, 120], [0, 0, 1]]))
    a.text = KeypointsInfo('a', JOINTS, (320, 240), known).text()
    a.tell()
    world.until(lambda: Scripted.made[0].taken, 'views', a)
    intrinsics = Scripted.made[0].taken[0].views[0].intrinsics
    assert intrinsics is not None and intrinsics.K[0, 0] == 300 and intrinsics.source == 'known'


def test_simulated_time_before_and_after_it_begins(world: World) -> None:
    fuse(world, use_sim_time=True)
    skeletons = world.listen('/fusion_node/skeletons', PointCloud2)
    a, b = Keypoints(world, 'a'), Keypoints(world, 'b')
    both = lambda: (a(), b())  # noqa: E731
    world.until(lambda: skeletons and skeletons[-1].height, 'skeletons before the first /clock', both)
    clock = world.node.create_publisher(Clock, '/clock', 10)

    def tick() -> None:
        both()
        clock.publish(Clock(clock=stamp(a.at + 0.05)))

    figures = values(world.says('fusion_node: fusion', 'level 1', both))
    assert figures['latency_p50_ms'] == 'not known', 'no clock, no latency'

    def latency() -> str:
        return values(world.status['fusion_node: fusion'])['latency_p50_ms']

    world.until(lambda: latency() != 'not known' and abs(float(latency()) - 50) < 40, 'simulated latency', tick)
    count = len(skeletons)
    world.until(lambda: len(skeletons) > count + 5 and skeletons[-1].height, 'skeletons in simulated time', tick)


def test_a_pause_keeps_the_rig(world: World) -> None:
    node = fuse(world)
    skeletons = world.listen('/fusion_node/skeletons', PointCloud2)
    a, b = Keypoints(world, 'a'), Keypoints(world, 'b')
    both = lambda: (a(), b())  # noqa: E731
    _placed(world, skeletons, both)
    node.trigger_deactivate()
    timers, count = len(list(node.timers)), len(skeletons)
    node.trigger_activate()
    world.until(lambda: len(skeletons) > count and skeletons[-1].height and Scripted.made[1].taken,
                'skeletons after the pause', both)
    assert Scripted.made[0].closed and Scripted.made[1].taken[0].stamp > Scripted.made[0].taken[-1].stamp
    assert skeletons[-1].header.frame_id == 'selfpose_world' and len(list(node.timers)) == timers


def test_one_bad_message_among_good_ones_is_told(world: World) -> None:
    """The next good one comes long before the diagnostics are read, and must not take the sentence back."""
    node = fuse(world, diagnostics_period_s=.5)
    a, b = Keypoints(world, 'a'), Keypoints(world, 'b')
    b.change = lambda kp, conf: np.add(kp, 30, out=kp)      # another picture than a's
    both = lambda: (a(), b())  # noqa: E731
    world.says('fusion_node: camera a', 'views/s', both)
    a.cloud.publish(PointCloud2())
    both()
    entry = world.says('fusion_node: camera a', 'could not be used: /a/keypoints: ', both)
    assert entry.level == WARN and values(entry)['refused'] == '1'
    b.text, good = '', b.text
    b.tell()
    world.until(lambda: node._inputs['b'].refused.total, 'a text that cannot be used')
    b.text = good
    b.tell()
    world.says('fusion_node: camera b', 'could not be used: /b/keypoints_info: ', both)
    world.says('fusion_node: camera b', 'views/s', both)


class Counting(Scripted):
    """Somebody new in every instant; takes its numbers where it is told to."""

    given: list[int] = []

    def __init__(self, config: EstimatorConfig, rig: Rig | None = None, lifter: Any = None, identities: Any = None,
                 ) -> None:
        super().__init__(config, rig)
        self.identities = identities

    def update(self, observation: MultiView) -> list[Skeleton3D]:
        super().update(observation)
        Counting.given.append(self.identities.take())
        return []


def test_no_number_is_given_twice_while_the_node_lives(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """Not after a defect, nor when it is configured anew."""
    Counting.given = []
    monkeypatch.setattr(fusion_node, 'Estimator', Counting)
    node = world.make(FusionNode, cameras=['a', 'b'], lifter='none')
    a, b = Keypoints(world, 'a'), Keypoints(world, 'b')
    both = lambda: (a(), b())  # noqa: E731
    world.until(lambda: len(Counting.given) > 3, 'people', both)
    a.change = lambda points, confidence: points.__iadd__(900.)
    world.until(lambda: node._failures.total, 'a defect', both)
    a.change = lambda kp, conf: None
    count = len(Counting.given)
    world.until(lambda: len(Counting.given) > count + 3 and len(Scripted.made) > 1, 'people again', both)
    node.trigger_deactivate()
    node.trigger_cleanup()
    node.bring_up()
    count = len(Counting.given)
    world.until(lambda: len(Counting.given) > count + 3, 'people after all', both)
    assert Counting.given == list(range(1, len(Counting.given) + 1))
