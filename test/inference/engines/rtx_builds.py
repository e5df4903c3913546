# Copyright 2026 The selfpose_ros developers
# SPDX-License-Identifier: Apache-2.0
"""Run with TensorRT for RTX on the path: our builds on NVIDIA's parser and builder. Prints JSON, case -> outcome."""
from __future__ import annotations

import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parent))
import graphs

from selfpose_ros.inference.errors import InferenceError
from selfpose_ros.inference.tensorrt.builder import USUAL, BuildOptions, Built, build_engine
from selfpose_ros.models.store import open_model

import tensorrt_rtx_bindings as trt  # isort: skip  # mypy: ignore


def without_gpu(config: Any) -> None:
    """The device is asked for its kind otherwise."""
    config.num_compute_capabilities = 1
    config.set_compute_capability(trt.ComputeCapability.SM86, 0)


def build(graph: bytes, options: BuildOptions = USUAL, **other: Any) -> Built:
    return build_engine(trt, graph, options, last_word=without_gpu, **other)


def good(graph: bytes) -> Callable[[], dict[str, Any]]:
    def case() -> dict[str, Any]:
        shares: list[float] = []
        built = build(graph, name='net', progress=lambda share: not shares.append(share))
        again = build(graph, timing=built.timing)
        return {'bytes': len(built.engine), 'magic': built.engine[:4].decode('latin1'), 'shares': [
            min(shares), max(shares)], 'rises': shares == sorted(shares), 'steps': len(shares),
            'timing': len(built.timing), 'again': len(again.engine)}
    return case


def refused(call: Callable[[], Any]) -> Callable[[], dict[str, Any]]:
    def case() -> dict[str, Any]:
        try:
            call()
        except InferenceError as error:
            return {'error': type(error).__name__, 'text': str(error)}
        return {'error': ''}
    return case


def main() -> None:
    lifter = open_model('lifter').file.read_bytes()
    pose = graphs.rtmpose_like()
    seen: list[float] = []
    cases = {
        'lifter': good(lifter),
        'rtmpose': good(pose.SerializeToString()),
        'rtmpose, half': good(graphs.half(pose)),
        'cancelled at once': refused(lambda: build(lifter, progress=lambda share: False)),
        'cancelled in the middle': refused(lambda: build(lifter, progress=lambda share: bool(
            seen.append(share) or share < .5))),
        'bad profile': refused(lambda: build(lifter, BuildOptions(batch=9))),
        'unknown operator': refused(lambda: build(graphs.unknown_operator())),
        'NMS inside': refused(lambda: build(graphs.nms_inside())),
        'selection': refused(lambda: build(graphs.selection())),
        'open size': refused(lambda: build(graphs.open_size())),
        'garbage': refused(lambda: build(b'this is no graph' * 10)),
        'empty': refused(lambda: build(b'')),
        'cut off': refused(lambda: build(lifter[:len(lifter) // 2])),
        'foreign timing cache': lambda: {'bytes': len(build(lifter, timing=b'no timing cache' * 9).engine)},
    }
    sys.stdout.write(json.dumps({'version': trt.__version__, **{name: case() for name, case in cases.items()},
                                 'seen': max(seen)}))


if __name__ == '__main__':
    main()
