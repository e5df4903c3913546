# Copyright 2026 The selfpose_ros developers
# SPDX-License-Identifier: Apache-2.0
"""Parameters as `ros2 param`, rqt and parameter files meet them: services, descriptors, overrides of QoS."""
from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

pytest.importorskip('rclpy', reason='ROS 2 (rclpy) is not installed')

from raising import raises
from rcl_interfaces.msg import Log, ParameterType
from rcl_interfaces.srv import DescribeParameters, GetParameters, SetParameters, SetParametersAtomically
from rclpy.parameter import Parameter
from rclpy.qos import DurabilityPolicy, QoSProfile, ReliabilityPolicy
from ros_world import DotsNetwork, World, draw, pose, raw
from sensor_msgs.msg import Image, PointCloud2

from selfpose_ros.nodes import managed_node
from selfpose_ros.nodes.errors import NodeError
from selfpose_ros.nodes.fusion_node import FusionNode
from selfpose_ros.nodes.managed_node import ManagedNode
from selfpose_ros.nodes.parameters import NODES, checked, table
from selfpose_ros.nodes.pose2d_node import Pose2DNode
from selfpose_ros.nodes.qos_overrides import QosOverrides

KINDS = {'pose2d_node': Pose2DNode, 'fusion_node': FusionNode}
TYPES = {'bool': ParameterType.PARAMETER_BOOL, 'int': ParameterType.PARAMETER_INTEGER,
         'double': ParameterType.PARAMETER_DOUBLE, 'string': ParameterType.PARAMETER_STRING,
         'string[]': ParameterType.PARAMETER_STRING_ARRAY}


def _set(world: World, node: str, *changes: Parameter) -> list[str]:
    request = SetParameters.Request(parameters=[c.to_parameter_msg() for c in changes])
    return [r.reason for r in world.call(SetParameters, f'/{node}/set_parameters', request).results]


@pytest.mark.parametrize('name', NODES)
def test_descriptors_hold_what_the_table_holds(world: World, name: str) -> None:
    world.make(KINDS[name], up=False)
    parameters = table(NODES[name])
    answer = world.call(DescribeParameters, f'/{name}/describe_parameters',
                        DescribeParameters.Request(names=[p.name for p in parameters]))
    assert len(answer.descriptors) == len(parameters)
    for p, told in zip(parameters, answer.descriptors, strict=True):
        assert (told.name, told.type, told.description) == (p.name, TYPES[p.kind], p.sentence)
        assert told.read_only == p.read_only and p.allowed in told.additional_constraints and not told.dynamic_typing
        ranges = [(r.from_value, r.to_value) for r in (*told.integer_range, *told.floating_point_range)]
        assert ranges == ([] if p.low is None else [(p.low, p.high)])
        assert len(told.integer_range) == (p.kind == 'int')
    assert any(d.integer_range for d in answer.descriptors) and any(d.floating_point_range for d in answer.descriptors)
    assert [d.name for d in answer.descriptors if d.read_only] == ['autostart']


@pytest.mark.parametrize('name', NODES)
def test_no_parameter_can_be_deleted(world: World, name: str) -> None:
    """That is a value without a type; it took the parameter away, and the node could not be configured again."""
    parameters = table(NODES[name])
    node = world.make(KINDS[name], up=False, args={'make_network': lambda *_: DotsNetwork()}
                      if name == 'pose2d_node' else {}, cameras=['a'])
    reasons = _set(world, name, *(Parameter(p.name, Parameter.Type.NOT_SET) for p in parameters))
    assert len(reasons) == len(parameters)
    for p, reason in zip(parameters, reasons, strict=True):
        assert reason.startswith(f'parameter {p.name}: it cannot be deleted; set it to its default'), reason
    node.bring_up()
    assert node.settings.cameras == ('a',)


def test_numbers_and_lists_come_in_any_type_and_are_kept_in_their_own(world: World) -> None:
    node = world.make(FusionNode, up=False, person_height_m=2, max_people=3., cameras='a, b')
    assert _set(world, 'fusion_node', Parameter('lag_s', value=1), Parameter('max_people', value=2.),
                Parameter('baseline_cameras', value='a,b')) == [''] * 3
    names = ['person_height_m', 'lag_s', 'max_people', 'cameras', 'baseline_cameras', 'keypoints_topics']
    answer = world.call(GetParameters, '/fusion_node/get_parameters', GetParameters.Request(names=names))
    kinds = {p.name: TYPES[p.kind] for p in table(NODES['fusion_node'])}
    assert [v.type for v in answer.values] == [kinds[n] for n in names]
    assert [node.get_parameter(n).value for n in names] == [2., 1., 2, ['a', 'b'], ['a', 'b'], []]
    assert _set(world, 'fusion_node', Parameter('cameras', value=[])) == ['']
    assert node.get_parameter('cameras').type_ == Parameter.Type.STRING_ARRAY, '[] without a type, as YAML has it'


def test_several_at_once_are_all_set_or_none(world: World) -> None:
    node = world.make(FusionNode)

    def at_once(**values: Any) -> Any:
        request = SetParametersAtomically.Request(
            parameters=[Parameter(n, value=v).to_parameter_msg() for n, v in values.items()])
        return world.call(SetParametersAtomically, '/fusion_node/set_parameters_atomically', request).result

    assert at_once(marker_size_m=.1, stale_after_s=5.).successful
    for refused in ({'marker_size_m': .2, 'stale_after_s': 0.}, {'marker_size_m': .2, 'use_sim_time': 'perhaps'}):
        assert not at_once(**refused).successful
        assert (node.settings.marker_size_m, node.get_parameter('marker_size_m').value) == (.1, .1), refused


def test_what_counts_at_the_start_alone_cannot_be_set_later(world: World) -> None:
    node = world.make(FusionNode, up=False)
    reason, = _set(world, 'fusion_node', Parameter('autostart', value=False))
    assert reason.startswith('parameter autostart: it takes effect when the node is started')
    assert _set(world, 'fusion_node', Parameter('autostart', value=True)) == [''], 'loading a dump changes nothing'
    assert node.get_parameter('autostart').value is True


def test_a_wrong_value_of_the_start_is_told_at_every_configure_until_it_is_set(world: World) -> None:
    node = world.make(FusionNode, up=False, person_height_m=180, world_frame='')
    for _ in range(2):
        with raises(NodeError, place='parameter person_height_m'):
            node.bring_up()
    assert _set(world, 'fusion_node', Parameter('person_height_m', value=1.8)) == ['']
    with raises(NodeError, place='parameter world_frame'):
        node.bring_up()
    assert _set(world, 'fusion_node', Parameter('world_frame', value='map')) == ['']
    node.bring_up()
    assert (node.settings.person_height_m, node.settings.world_frame) == (1.8, 'map')


def test_a_number_that_is_no_whole_number_is_refused() -> None:
    parameter = next(p for p in table(NODES['pose2d_node']) if p.name == 'workers')
    for value in (float('inf'), float('nan'), 1.5):
        with raises(NodeError, place='parameter workers', remedy='give 1 to 64'):
            checked(parameter, value)


# -- overrides of QoS

def _override(topic: str, entity: str, **policies: Any) -> dict[str, Any]:
    return {f'qos_overrides.{topic}.{entity}.{policy}': value for policy, value in policies.items()}


def _publisher(world: World, topic: str) -> Any:
    return world.until(lambda: world.node.get_publishers_info_by_topic(topic), f'a publisher of {topic}')[0].qos_profile


def test_publishers_have_the_qos_that_is_given_and_the_others_their_own(world: World) -> None:
    topic = '/fusion_node/skeletons'
    node = world.make(FusionNode, cameras=['a'], **_override(topic, 'publisher', reliability='best_effort', depth=2),
                      **_override('/diagnostics', 'publisher', durability='transient_local'))
    assert _publisher(world, topic).reliability == ReliabilityPolicy.BEST_EFFORT
    assert _publisher(world, '/fusion_node/markers').reliability == ReliabilityPolicy.RELIABLE
    assert _publisher(world, '/diagnostics').durability == DurabilityPolicy.TRANSIENT_LOCAL
    assert node.get_parameter(f'qos_overrides.{topic}.publisher.depth').value == 2
    node.trigger_deactivate()
    node.trigger_cleanup()
    node.bring_up()                                        # the same topics once more
    other = world.make(FusionNode, args={'name': 'other'}, cameras=['a'])
    assert _publisher(world, '/other/skeletons').reliability == ReliabilityPolicy.RELIABLE, 'nobody else is touched'
    assert not [n for n in other._parameters if n.startswith('qos')]


def test_a_subscription_that_follows_its_publishers_has_the_qos_that_is_given(world: World) -> None:
    """Reliable is offered and would be asked for; then another driver comes, which offers less."""
    node = world.make(Pose2DNode, args={'make_network': lambda *_: DotsNetwork()}, cameras=['a', 'b'],
                      **_override('/a/image_raw', 'subscription', reliability='best_effort'))
    heard = {c: world.listen(f'/{c}/keypoints', PointCloud2) for c in 'ab'}
    at = [100.]

    def asked() -> dict[str, list[ReliabilityPolicy]]:
        return {c: [i.qos_profile.reliability for i in world.node.get_subscriptions_info_by_topic(f'/{c}/image_raw')]
                for c in 'ab'}

    def both(kind: Callable[..., Any]) -> Callable[[], None]:
        senders = [world.node.create_publisher(Image, f'/{c}/image_raw', kind) for c in 'ab']

        def send() -> None:
            at[0] += 1 / 16
            for sender in senders:
                sender.publish(raw(draw(pose()), at[0]))
        send.end = lambda: [world.node.destroy_publisher(s) for s in senders]
        return send

    for offered in (ReliabilityPolicy.RELIABLE, ReliabilityPolicy.BEST_EFFORT):
        send = both(QoSProfile(depth=5, reliability=offered))
        before = {c: len(h) for c, h in heard.items()}
        wanted = {'a': [ReliabilityPolicy.BEST_EFFORT], 'b': [offered]}
        # joints of images of the driver before may still be under way
        world.until(lambda b=before, w=wanted: all(len(heard[c]) > b[c] for c in 'ab') and asked() == w,
                    f'keypoints of both, and subscriptions that ask for {wanted}', send)
        send.end()
    assert isinstance(node, ManagedNode)


@pytest.mark.parametrize(('policy', 'value', 'words'), [
    ('reliability', 'relaible', "'relaible' cannot be chosen; give one of: system_default, reliable, best_effort"),
    ('depth', 'many', "'many' is not a whole number"), ('depth', -1, 'negative'),
    ('deadline', 1.5, 'nanoseconds')])
def test_a_wrong_override_is_told_when_the_node_is_configured(world: World, policy: str, value: Any,
                                                              words: str) -> None:
    node = world.make(FusionNode, up=False, **_override('/diagnostics', 'publisher', **{policy: value}))
    with pytest.raises(NodeError) as told:
        node.bring_up()
    assert words in str(told.value) and f'qos_overrides./diagnostics.publisher.{policy}' in str(told.value)


def test_an_override_of_nothing_is_told() -> None:
    names = ['qos_overrides./tf.publisher.depht', 'qos_overrides./a.subscription.lifespan', 'qos_overrides.tf.depth']
    found = QosOverrides.among({**dict.fromkeys(names, 1), 'qos_overrides./tf.publisher.depth': 1, 'lag_s': 0.})
    assert [s.split()[1] for s in found.strange] == sorted(names) and not found.wrong
    assert list(found.policies) == [('/tf', 'publisher')]


def test_an_override_of_a_topic_that_the_node_has_not_is_told(
        world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(managed_node, '_SETTLED_S', 0.)
    lines = world.listen('/rosout', Log)
    world.make(FusionNode, **_override('/fusion_node/skeleton', 'publisher', depth=3),
               **_override('/fusion_node/skeletons', 'publisher', depth=3))

    def told() -> list[str]:
        return [line.msg for line in lines if 'has no effect so far' in line.msg]

    world.until(told, 'the line that says so')
    assert [t.split()[0] for t in told()] == ['qos_overrides./fusion_node/skeleton.publisher']
