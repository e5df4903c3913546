# Copyright 2026 The selfpose_ros developers
# SPDX-License-Identifier: Apache-2.0
"""Files for other programs of ROS: they name what the nodes really have."""
from __future__ import annotations

import ast
import fnmatch
import re
from pathlib import Path
from xml.etree import ElementTree

import pytest
import yaml

ROOT = Path(__file__).resolve().parents[1]
#: entries of /diagnostics as the nodes name them, one of each kind
ENTRIES = {
    'cameras': ['pose2d_node: camera cam1', 'left/pose2d_node: camera left/cam1', 'fusion_node: camera cam2'],
    'networks': ['pose2d_node: network', 'pose2d_node: model', 'robot/fusion_node: model',
                 'fusion_node: backend of lifter'],
    'fusion': ['fusion_node: fusion', 'robot/fusion_node: anchor'],
    'programs': ['fusion_node: program', 'left/pose2d_node: program']}


def test_every_entry_of_the_diagnostics_has_one_place_in_the_aggregator() -> None:
    given = yaml.safe_load((ROOT / 'config/diagnostic_aggregator.yaml').read_text())['/**']['ros__parameters']
    analyzers = {name: a for name, a in given.items() if isinstance(a, dict)}
    assert set(analyzers) == set(ENTRIES) and all(a['timeout'] > 1 for a in analyzers.values())
    for place, names in ENTRIES.items():
        for name in names:
            found = [n for n, a in analyzers.items() if any(re.fullmatch(r, name) for r in a['regex'])]
            assert found == [place], name


def test_the_entries_above_are_those_of_the_code() -> None:
    said = ''.join(f.read_text() for f in (ROOT / 'selfpose_ros/nodes').glob('*.py'))
    kinds = set(re.findall(r"Entry\(\s*f?'([a-z]+)", said))
    assert kinds | {'camera'} == {n.partition(': ')[2].split(' ')[0] for names in ENTRIES.values() for n in names}


def test_operation_has_a_cure_for_whatever_a_node_warns_of() -> None:
    """Every sentence of an entry of level WARN or ERROR that is written out in the code."""
    told = (ROOT / 'docs/operation.md').read_text().split('<!-- diagnostics -->')[1].split('<!-- /diagnostics -->')[0]
    rows = [line.split('|')[1].strip().strip('`') for line in told.split('\n') if line.startswith('| `')]
    found = 0
    for file in sorted((ROOT / 'selfpose_ros/nodes').glob('*.py')):
        for node in ast.walk(ast.parse(file.read_text())):
            sentence = _warning(node)
            if sentence is None:
                continue
            text = ' … '.join(n.value for n in ast.walk(sentence)
                              if isinstance(n, ast.Constant) and isinstance(n.value, str))
            if len(re.findall('[a-z]{2,}', text)) < 3:     # put together of sentences from elsewhere
                continue
            found += 1
            assert any(all(piece.strip() in text for piece in row.split('…')) for row in rows), f'{file.name}: {text}'
    assert found > 15


def _warning(node: ast.AST) -> ast.expr | None:
    """The sentence of `WARN, state, sentence` and of `Entry(name, WARN, state, sentence)`."""
    if isinstance(node, (ast.Return, ast.Assign)) and isinstance(node.value, ast.Tuple) and len(node.value.elts) == 3:
        level, _, sentence = node.value.elts
    elif isinstance(node, ast.Call) and getattr(node.func, 'id', '') == 'Entry' and len(node.args) > 3:
        _, level, _, sentence = node.args[:4]
    else:
        return None
    return sentence if getattr(level, 'id', '') in ('WARN', 'ERROR') else None


def _rows(mark: str) -> list[list[str]]:
    text = (ROOT / 'docs/interfaces.md').read_text().split(f'<!-- {mark} -->')[1].split(f'<!-- /{mark} -->')[0]
    lines = [line for line in text.split('\n') if line.startswith('| `')]
    return [[cell.strip() for cell in line.strip('|').split('|')] for line in lines]


@pytest.mark.parametrize('node', ['pose2d_node', 'fusion_node'])
def test_the_security_policy_lets_each_node_do_its_work_and_no_other(node: str) -> None:
    policy = ElementTree.parse(ROOT / 'config/sros2_policies.xml').getroot()
    profile = next(p for p in policy.iter('profile') if p.get('node') == node)

    def allowed(tag: str, rule: str) -> set[str]:
        return {str(t.text) for group in profile.findall(tag) if group.get(rule) == 'ALLOW' for t in group}

    for who, topic, *_ in _rows('topics'):
        name, verb = re.fullmatch(r'`(\w+)` (reads|writes)', who).groups()  # type: ignore[union-attr]
        topic = topic.strip('`').replace('<camera>', 'cam1').replace('<id>', '1')
        topic = topic if topic.startswith(('/', '~')) else f'/{topic}'
        patterns = allowed('topics', 'publish' if verb == 'writes' else 'subscribe')
        both = ('/diagnostics', '/fusion_node/skeletons', '/fusion_node/rig', '/cam1/keypoints', '/cam1/keypoints_info')
        assert any(fnmatch.fnmatch(topic, p) for p in patterns) == (name == node) or topic in both, topic
    own = {'pose2d_node': {'~/enable', '~/reload_model', '~/rollback_model'}}
    services = {r[0].strip('`') for r in _rows('services')} if node == 'fusion_node' else own[node]
    assert services <= allowed('services', 'reply')
