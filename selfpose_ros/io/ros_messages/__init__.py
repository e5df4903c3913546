# Copyright 2026 The selfpose_ros developers
# SPDX-License-Identifier: Apache-2.0
"""Messages of cameras -> values, without ROS: for bags and for nodes alike.

`images`: Image and CompressedImage -> BGR. `camera_info`: CameraInfo -> intrinsics. `image_topics`: what the name and
the type of a topic say about its images. A message is anything with the fields of its type.
"""
