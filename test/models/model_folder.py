# Copyright 2026 The selfpose_ros developers
# SPDX-License-Identifier: Apache-2.0
"""Model folders for tests: cards, and graphs made by hand, sound or broken in one place."""
from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import yaml

from selfpose_ros.core.skeleton import JOINTS
from selfpose_ros.models.card import lifter_inputs, lifter_outputs, sha256_of


def card(length: int = 1, **other: Any) -> dict[str, Any]:
    """A sound card of a lifter of so many frames, with keys replaced, or left out where the value is None."""
    tensors = [[{'name': t.name, 'shape': list(t.shape), 'meaning': t.meaning} for t in ts]
               for ts in (lifter_inputs(length), lifter_outputs())]
    sound = {'name': 'tiny', 'kind': 'lifter', 'method': 'by hand', 'task': 'temporal' if length > 1 else 'frame',
             'frames': length, 'interval_s': .04 if length > 1 else None, 'inputs': tensors[0], 'outputs': tensors[1],
             'joints': list(JOINTS),
             'normalisation': 'frob', 'licence': 'CC0-1.0', 'sha256': '0' * 64}
    return {k: v for k, v in {**sound, **other}.items() if v is not None}


def write_model(folder: Path, graph: bytes = b'a graph', frames: int = 1, **other: Any) -> Path:
    """A model folder around these bytes; `other` as in `card`."""
    folder.mkdir(parents=True)
    (folder / 'model.onnx').write_bytes(graph)
    described = card(frames, **{'sha256': sha256_of(folder / 'model.onnx'), **other})
    (folder / 'card.yaml').write_text(yaml.safe_dump(described), encoding='utf-8')
    return folder


def write_lifter(folder: Path, frames: int = 1, graph: dict[str, Any] | None = None, **other: Any) -> Path:
    """A model folder that works; `graph` as in `lifter_graph`."""
    return write_model(folder, lifter_graph(frames, **(graph or {})), frames, **other)


def weights(seed: int = 0) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """(51, 51), (51,), (51, 17): the pose is x W + b, put on its root and scaled; log sigma is x S."""
    rng = np.random.default_rng(seed)
    return tuple(rng.normal(0, 1, s).astype(np.float32) for s in ((51, 51), 51, (51, 17)))


def lifter_graph(frames: int = 1, *, joints: str = 'joints', sigma_size: int = 17, pose: str = 'pose', batch: Any = 'N',
                 factor: float = 1., rooted: bool = True, more_inputs: tuple[str, ...] = (), seed: int = 0,
                 dtype: str = 'FLOAT') -> bytes:
    """ONNX of a linear lifter that looks at the newest frame; the arguments break it."""
    import onnx
    from onnx import TensorProto, helper, numpy_helper
    W, b, S = weights(seed)
    kind = getattr(TensorProto, dtype)
    cast = np.float32 if dtype == 'FLOAT' else np.float64
    constants = {'W': W, 'b': b, 'S': S[:, :sigma_size], 'f': np.array(factor), '17': np.array(17.)}
    initial = [numpy_helper.from_array(np.asarray(v, cast), k) for k, v in constants.items()]
    sizes = {'flat': [-1, 51], 'body': [-1, 17, 3], 'zero': [0], 'one': [1], 'axis1': [1], 'axes': [1, 2],
             'last': frames - 1}
    initial += [numpy_helper.from_array(np.array(v, np.int64), k) for k, v in sizes.items()]
    nodes = [helper.make_node('Gather', [pose, 'last'], ['now'], axis=1)] if frames > 1 else [
        helper.make_node('Identity', [pose], ['now'])]
    nodes += [
        helper.make_node('Reshape', ['now', 'flat'], ['x']),
        helper.make_node('Gemm', ['x', 'W', 'b'], ['y']),
        helper.make_node('Reshape', ['y', 'body'], ['p']),
        helper.make_node('Slice', ['p', 'zero', 'one', 'axis1'], ['root']),
        helper.make_node('Sub', ['p', 'root'], ['q']) if rooted else helper.make_node('Identity', ['p'], ['q']),
        helper.make_node('Mul', ['q', 'q'], ['q2']),
        helper.make_node('ReduceSum', ['q2', 'axes'], ['sum'], keepdims=1),
        helper.make_node('Div', ['sum', '17'], ['mean']),
        helper.make_node('Sqrt', ['mean'], ['rms']),
        helper.make_node('Div', ['q', 'rms'], ['unit']),
        helper.make_node('Mul', ['unit', 'f'], [joints]),
        helper.make_node('MatMul', ['x', 'S'], ['log_sigma']),
    ]
    past = [frames] if frames > 1 else []
    inputs = [helper.make_tensor_value_info(pose, kind, [batch, *past, 17, 3])]
    inputs += [helper.make_tensor_value_info(n, kind, ['N']) for n in more_inputs]
    outputs = [helper.make_tensor_value_info(joints, kind, [batch, 17, 3]),
               helper.make_tensor_value_info('log_sigma', kind, [batch, sigma_size])]
    graph = helper.make_graph(nodes, 'lifter', inputs, outputs, initial)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid('', 18)], ir_version=8)
    onnx.checker.check_model(model)
    return model.SerializeToString()
