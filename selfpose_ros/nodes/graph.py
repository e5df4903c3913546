# Copyright 2026 The selfpose_ros developers
# SPDX-License-Identifier: Apache-2.0
"""Who else is there: publishers of a topic, and nodes of the same name. Subscribers make no topic alive."""
from __future__ import annotations

from collections.abc import Collection, Sequence

from rclpy.node import Node
from rclpy.topic_endpoint_info import TopicEndpointInfo

__all__ = ['beside', 'offers', 'published', 'rivals', 'twins']

#: the middleware counts a process that was killed until its lease is over
_LEASE = 'one that was killed counts for another 20 s'


def beside(node: Node, topic: str, suffix: str) -> str:
    """The name by which to ask for the topic beside another one (`topic` + `suffix`), both as they were given.

    It goes where the other one was remapped to, unless it is remapped itself. A name may be remapped once: `/a:=/b`
    together with `/b:=/a` exchanges two topics. So what is asked for is what was given, not what came of it.
    """
    own = topic + suffix
    if node.resolve_topic_name(own) != node.resolve_topic_name(own, only_expand=True):
        return own
    return node.resolve_topic_name(topic) + suffix


def offers(node: Node, topic: str, *kinds: str) -> list[TopicEndpointInfo]:
    """The publishers of a topic with one of these types ('std_msgs/msg/String')."""
    return [o for o in node.get_publishers_info_by_topic(topic) if o.topic_type in kinds]


def published(node: Node, kinds: Collection[str]) -> list[str]:
    """Full names of the topics that somebody publishes with one of these types, in order."""
    return sorted(topic for topic, present in node.get_topic_names_and_types()
                  if set(kinds) & set(present) and offers(node, topic, *kinds))


def rivals(topic: str, there: Sequence[TopicEndpointInfo]) -> str:
    """A sentence if a topic that one node should publish has several publishers, which it names; '' = it has not."""
    if len(there) < 2:
        return ''
    names = sorted(f'{o.node_namespace.rstrip("/")}/{o.node_name}' for o in there)
    return (f'{len(there)} publishers on {topic} ({", ".join(names)}), what they send is mixed up; end all but one, or '
            f'give them topics of their own ({_LEASE})')


def twins(node: Node) -> str:
    """A sentence if other nodes have this node's full name; '' = none has."""
    count = node.get_node_names_and_namespaces().count((node.get_name(), node.get_namespace()))
    if count < 2:
        return ''
    return (f'{count} nodes are called {node.get_fully_qualified_name()}, what they publish is mixed up; end all but '
            f'one, or give them different names or namespaces ({_LEASE})')
