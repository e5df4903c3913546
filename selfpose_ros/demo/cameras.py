# Copyright 2026 The selfpose_ros developers
# SPDX-License-Identifier: Apache-2.0
"""The process that plays cameras: rendered images as JPEG topics, in real time.

`python -m selfpose_ros.demo.cameras IMAGES.npz` waits until somebody subscribes to every camera, writes the line
`start <stamp of time 0, s>` to stdout, publishes, and ends with status 0; 3: nobody subscribed.
"""
from __future__ import annotations

import sys
import time
from array import array
from pathlib import Path
from typing import Any

import numpy as np

__all__ = ['NOBODY', 'image_topic', 'main']

#: exit status when nobody subscribed in time
NOBODY = 3
_WAIT_S = 40.
#: from the first subscription to the first image: discovery in the other direction needs a moment
_LEAD_S = 1.


def image_topic(camera: str) -> str:
    """Topic of a camera's JPEG images, as image_transport names it."""
    return f'/{camera}/image_raw/compressed'


def _publish(node: Any, images: Path) -> int:
    from rclpy.qos import qos_profile_sensor_data
    from sensor_msgs.msg import CompressedImage
    with np.load(images) as film:
        names, times, camera = [str(n) for n in film['names']], film['time_s'], film['camera']
        ends, data = film['ends'], film['data'].tobytes()
    publishers = [node.create_publisher(CompressedImage, image_topic(n), qos_profile_sensor_data) for n in names]
    deadline = time.monotonic() + _WAIT_S
    while not all(p.get_subscription_count() for p in publishers):
        if time.monotonic() > deadline:
            return NOBODY
        time.sleep(.05)
    # stamps are wall-clock, as a camera driver's; the pace is kept with the clock that cannot jump
    wall, steady = time.time() + _LEAD_S, time.monotonic() + _LEAD_S
    sys.stdout.write(f'start {wall!r}\n')
    sys.stdout.flush()
    message = CompressedImage(format='jpeg')
    begin = 0
    for t, c, end in zip(times, camera, ends, strict=True):
        message.header.frame_id = f'{names[c]}_optical'
        nanoseconds = round((wall + float(t)) * 1e9)
        message.header.stamp.sec, message.header.stamp.nanosec = divmod(nanoseconds, 1_000_000_000)
        message.data = array('B', data[begin:int(end)])
        begin = int(end)
        time.sleep(max(0., steady + float(t) - time.monotonic()))
        publishers[c].publish(message)
    time.sleep(.3)                                         # what is under way shall arrive
    return 0


def main(arguments: list[str] | None = None) -> int:
    """Publish the images of one film; returns the exit status."""
    import rclpy

    from ..nodes.ros_start import nodes_begin, spin_beside, start_ros
    images = Path((arguments or sys.argv[1:])[0])
    start_ros()
    with nodes_begin():
        node = rclpy.create_node('demo_cameras')
    spinning = spin_beside(node)
    try:
        return _publish(node, images)
    except KeyboardInterrupt:
        return 130
    finally:
        rclpy.try_shutdown()
        spinning.join(2.)
        node.destroy_node()


if __name__ == '__main__':
    sys.exit(main())
