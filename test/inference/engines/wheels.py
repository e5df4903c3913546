# Copyright 2026 The selfpose_ros developers
# SPDX-License-Identifier: Apache-2.0
"""NVIDIA's wheels, where `make tensorrt-wheels` put them, and processes that see one of them."""
from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[3]
WHEELS = Path(os.environ.get('SELFPOSE_TENSORRT_WHEELS', ROOT / '.venv' / 'tensorrt'))
#: TensorRT for RTX holds parser and builder, and builds without a GPU; the first has the interface of 10.x, the second
#: that of 11.x
RTX = ('rtx-1.4.0.76', 'rtx-1.7.1.116')
#: the interface alone
BINDINGS = ('bindings-10.3.0', 'bindings-10.16.1.11', 'bindings-11.4.0.106')
#: of JetPack 6 and Python 3.10, and the newest
CUDA = ('cuda-12.9.10', 'cuda-13.5.0')


def wheel(name: str) -> Path:
    """Folder of a wheel; the test is skipped where it is not installed."""
    folder = WHEELS / name
    if not (folder / 'installed').is_file():
        pytest.skip(f"NVIDIA's wheel {name} is not installed in {WHEELS}: make tensorrt-wheels, which needs a package "
                    'index')
    return folder


def process(arguments: list[object], *folders: Path, libraries: Path | None = None,
            timeout_s: float = 120.) -> subprocess.CompletedProcess[str]:
    """Run Python with these folders on its path."""
    path = os.pathsep.join(map(str, (*folders, ROOT)))
    env = {**os.environ, 'PYTHONPATH': path, 'OMP_NUM_THREADS': '1'}
    if libraries is not None:
        env['LD_LIBRARY_PATH'] = str(libraries)
    return subprocess.run([sys.executable, *map(str, arguments)], env=env, capture_output=True, text=True, check=False,
                          timeout=timeout_s)
