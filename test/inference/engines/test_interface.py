# Copyright 2026 The selfpose_ros developers
# SPDX-License-Identifier: Apache-2.0
"""Every name of NVIDIA's that is used here, looked up in the real bindings of TensorRT 10.3, 10.16 and 11.4.

The list of names is `tensorrt.interface`, against which mypy checks what uses them; two tests read the source, so that
nothing can be used that is not on it, and nothing stay on it that is not used.
"""
from __future__ import annotations

import ast
import inspect
import json
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
from wheels import BINDINGS, CUDA, ROOT, process, wheel

from selfpose_ros.inference.tensorrt import cuda, interface

SOURCES = sorted((ROOT / 'selfpose_ros' / 'inference' / 'tensorrt').glob('*.py'))
MODULE = 'TensorRT'
#: what the bindings need of NVIDIA's libraries; empty ones will do to look at names
SYMBOLS = ('createInferBuilder_INTERNAL', 'createInferRefitter_INTERNAL', 'createInferRuntime_INTERNAL',
           'createNvOnnxParserRefitter_INTERNAL', 'createNvOnnxParser_INTERNAL', 'getBuilderPluginRegistry',
           'getPluginRegistry', 'initLibNvInferPlugins', 'getNvOnnxParserVersion', 'getInferLibVersion')
ASK = """
import json, sys
import tensorrt_bindings as trt
print(json.dumps({'__version__': trt.__version__, '': dir(trt),
                  'Severity': dir(trt.ILogger.Severity),
                  **{n: dir(getattr(trt, n)) for n in dir(trt) if isinstance(getattr(trt, n), type)}}))
"""


def members(kind: type) -> set[str]:
    return {n for n in (*kind.__dict__, *inspect.get_annotations(kind)) if not n.startswith('_') or n == '__version__'}


#: class -> members
USED = {name: members(getattr(interface, name)) for name in interface.__all__}


def attributes() -> set[str]:
    """All names after a dot in our source, the interface aside."""
    return {node.attr for file in SOURCES if file.name != 'interface.py'
            for node in ast.walk(ast.parse(file.read_text(encoding='utf-8'))) if isinstance(node, ast.Attribute)}


@pytest.fixture(scope='module')
def real(request, tmp_path_factory) -> dict[str, list[str]]:
    """The names in one version of the bindings, which are given empty libraries."""
    folder = wheel(request.param)
    gcc = shutil.which('gcc')
    if gcc is None:
        pytest.skip('gcc is not installed, which makes the empty libraries that the bindings are given')
    libraries = tmp_path_factory.mktemp('libraries')
    source = libraries / 'empty.c'
    source.write_text(''.join(f'void* {s}(void) {{ return 0; }}\n' for s in SYMBOLS))
    major = request.param.removeprefix('bindings-').partition('.')[0]
    for name in ('nvinfer', 'nvonnxparser', 'nvinfer_plugin'):
        subprocess.run([gcc, '-shared', '-fPIC', f'-Wl,-soname,lib{name}.so.{major}', '-o',
                        str(libraries / f'lib{name}.so.{major}'), str(source)], check=True)
    done = process(['-c', ASK], folder, libraries=libraries)
    assert done.returncode == 0, done.stderr
    names = json.loads(done.stdout)
    assert names['__version__'] == request.param.removeprefix('bindings-')
    return names


@pytest.mark.parametrize('real', BINDINGS, indirect=True)
def test_every_name_is_there(real: dict[str, list[str]]):
    missing = [f'{kind}.{n}' for kind, used in USED.items() for n in used
               if n not in (real[''] if kind == MODULE else real.get(kind, []))]
    assert missing == [] and sum(map(len, USED.values())) > 55


@pytest.mark.parametrize('real', BINDINGS, indirect=True)
def test_nothing_is_used_that_is_not_on_the_list(real: dict[str, list[str]]):
    """Names of one small word are left out: lists and files have them, too."""
    theirs = {n for kind, names in real.items() if kind != '__version__' for n in names
              if not n.startswith('_') and ('_' in n or n != n.lower())}
    assert len(theirs) > 500 and attributes() & theirs - set().union(*USED.values()) == set()


def test_a_name_that_is_gone_would_be_noticed():
    """Half precision by a flag went with TensorRT 11; the guard knows such a name when it sees one."""
    assert 'FP16' not in set().union(*USED.values())
    assert {'STRONGLY_TYPED', 'TF32', 'execute_async_v3'} <= attributes()


def test_nothing_is_on_the_list_that_is_not_used():
    defined = {n for file in SOURCES if file.name != 'interface.py'
               for node in ast.walk(ast.parse(file.read_text(encoding='utf-8')))
               for n in ([node.name] if isinstance(node, ast.FunctionDef) else
                         [node.value] if isinstance(node, ast.Constant) and isinstance(node.value, str) else [])}
    used = attributes() | defined                          # methods that NVIDIA calls, and names looked up as text
    assert {f'{kind}.{n}' for kind, names in USED.items() for n in names if n not in used} == set()


# -- CUDA

def cuda_names() -> set[str]:
    tree: Any = ast.parse(Path(cuda.__file__).read_text(encoding='utf-8'))
    return {n.attr for n in ast.walk(tree) if isinstance(n, ast.Attribute) and n.attr.startswith('cuda')}


@pytest.mark.parametrize('name', CUDA)
def test_every_name_of_cuda_is_there(name: str):
    folder, names = wheel(name), sorted(cuda_names())
    code = ('from cuda.bindings import runtime as r\n'
            f'have = set(dir(r)) | set(dir(r.cudaMemcpyKind)) | set(dir(r.cudaStreamCaptureMode))\n'
            f'print([n for n in {names!r} if n not in have])\n'
            "print([n for n in ('name', 'major', 'minor', 'multiProcessorCount', 'integrated') "
            'if not hasattr(r.cudaDeviceProp, n)])')
    done = process(['-c', code], folder)
    assert (done.returncode, done.stdout) == (0, '[]\n[]\n'), done.stderr
    assert len(names) > 15
