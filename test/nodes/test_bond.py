# Copyright 2026 The selfpose_ros developers
# SPDX-License-Identifier: Apache-2.0
"""The bond with a lifecycle manager. The package `bond` is not on PyPI: its messages are stood in for here."""
from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

pytest.importorskip('rclpy', reason='ROS 2 (rclpy) is not installed')

from ros_world import World
from scripted import Scripted, fuse

from selfpose_ros.nodes import bond
from selfpose_ros.nodes.fusion_node import FusionNode


class Status(SimpleNamespace):
    """bond/msg/Status."""


class Publisher:
    def __init__(self) -> None:
        self.sent: list[Any] = []
        self.listeners, self.destroyed = 1, False

    def publish(self, message: Any) -> None:
        assert not self.destroyed
        self.sent.append(message)

    def get_subscription_count(self) -> int:
        return self.listeners


def _bonds(monkeypatch: pytest.MonkeyPatch) -> list[Publisher]:
    """Publishers of bonds of nodes under test: a real one wants real messages."""
    made: list[Publisher] = []
    create, destroy = FusionNode.create_publisher, FusionNode.destroy_publisher

    def create_publisher(self: Any, kind: Any, topic: str, *args: Any, **kwargs: Any) -> Any:
        if kind is not Status:
            return create(self, kind, topic, *args, **kwargs)
        assert topic == 'bond'
        made.append(Publisher())
        return made[-1]

    def destroy_publisher(self: Any, publisher: Any) -> bool:
        if isinstance(publisher, Publisher):
            publisher.destroyed = True
            return True
        return bool(destroy(self, publisher))

    monkeypatch.setattr(FusionNode, 'create_publisher', create_publisher)
    monkeypatch.setattr(FusionNode, 'destroy_publisher', destroy_publisher)
    monkeypatch.setattr(bond, 'bond_messages', lambda: SimpleNamespace(Status=Status))
    Scripted.made, Scripted.trust = [], False
    return made


def test_it_beats_while_the_node_is_active_and_ends_in_order(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    made = _bonds(monkeypatch)
    node = fuse(world, bond_period_s=.02)
    world.until(lambda: len(made[0].sent) > 5, 'beats')
    beats = made[0].sent[:5]
    assert {(b.id, b.active, b.heartbeat_period) for b in beats} == {('fusion_node', True, .02)}
    assert len({b.instance_id for b in beats}) == 1 and beats[0].heartbeat_timeout > 1 and beats[0].header.stamp.sec
    node.trigger_deactivate()
    assert not made[0].sent[-1].active and made[0].destroyed, 'the end is said once'
    assert [b.active for b in made[0].sent].count(False) == 1
    node.trigger_activate()
    world.until(lambda: made[1].sent, 'beats of the next life')
    assert made[1].sent[0].instance_id != beats[0].instance_id


def test_it_is_silent_where_nobody_listens_or_wants_it(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    made = _bonds(monkeypatch)
    node = fuse(world, bond_period_s=0.)
    assert not made
    node.trigger_deactivate()
    steady = node._steady
    alone = bond.bonded(node, .01, steady)
    assert alone is not None
    made[0].listeners = 0
    world.until(lambda: alone._timer.time_until_next_call() >= 0, 'the timer')
    alone._beat()
    assert not made[0].sent
    alone.close()
    monkeypatch.setattr(bond, 'bond_messages', lambda: None)
    assert bond.bonded(node, .1, steady) is None
