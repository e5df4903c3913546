# Copyright 2026 The selfpose_ros developers
# SPDX-License-Identifier: Apache-2.0
"""ROS in this process: started, or one sentence on what stands in its way."""
from __future__ import annotations

import os
import re
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import rclpy
from rclpy.executors import ExternalShutdownException, SingleThreadedExecutor
from rclpy.node import Node

from .errors import NodeError

__all__ = ['nodes_begin', 'spin_beside', 'start_ros']

_LAST_DOMAIN = 232


def start_ros(args: Sequence[str] = (), **options: Any) -> None:
    """`rclpy.init`.

    Args:
        args: command line, program name first; what lies after `--ros-args` is for ROS.
        options: of `rclpy.init`.

    Raises:
        NodeError: it does not start; the message has what to do: about its log, its domain, or the arguments.
    """
    domain = os.environ.get('ROS_DOMAIN_ID', '')
    if domain and not (domain.isdecimal() and int(domain) <= _LAST_DOMAIN):        # else found out by the first node
        raise NodeError(f'ROS cannot start: ROS_DOMAIN_ID is {domain!r}; set it to a whole number from 0 to '
                        f'{_LAST_DOMAIN}, the same on all hosts, best below 102')
    try:
        rclpy.init(args=list(args), **options)
    except Exception as error:  # RCLError, UnknownROSArgsError and others: their classes are private
        raise NodeError(f'ROS cannot start{_why(error, args[1:])}') from error


@contextmanager
def nodes_begin() -> Iterator[None]:
    """Around the making of nodes: the middleware starts with the first of them.

    Raises:
        NodeError: it does not start; the message has its reason, DDS Security without keys, say.
    """
    try:
        yield
    except RuntimeError as error:                          # the class RCLError is private
        if 'error creating node' not in str(error):
            raise
        raise NodeError(f'ROS cannot start{_why(error, ())}') from error


def spin_beside(node: Node) -> threading.Thread:
    """Serve a node in a thread of its own until ROS ends in this process."""
    executor = SingleThreadedExecutor()
    executor.add_node(node)

    def spin() -> None:
        try:
            executor.spin()
        except ExternalShutdownException:
            return

    thread = threading.Thread(target=spin, name=node.get_name(), daemon=True)
    thread.start()
    return thread


def _why(error: Exception, arguments: Sequence[str]) -> str:
    words = ' '.join(str(error).split())
    text = re.sub(r', at \S+:\d+$', '', words)
    if re.search(r'\blogging\b|log director', text):
        return f': it has no place for its log ({text}); set ROS_LOG_DIR to a folder that can be written'
    if 'security' in text.lower() or os.environ.get('ROS_SECURITY_ENABLE') == 'true' and 'error not set' in text:
        return (f': DDS Security is asked for ({text}); see docs/security.md, and set ROS_SECURITY_KEYSTORE to a '
                'keystore that has the enclave of this program (--ros-args --enclave /NAME), or ROS_SECURITY_ENABLE to '
                'false')
    if '/arguments.c:' in words or 'Enclave' in text or 'Args' in type(error).__name__ or 'parameter' in text:
        return f' with the arguments {" ".join(arguments) or "(none)"}: {text}'
    return f' ({text}); check the environment variables that begin with ROS_ and RMW_'
