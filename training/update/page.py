# Copyright 2026 The selfpose_ros developers
# SPDX-License-Identifier: Apache-2.0
"""The report of an update as one page of HTML: what was decided and why, by joint, over time, and in poses to look at.

The page needs nothing but itself: pictures are SVG in it, and nothing is fetched.
"""
from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from html import escape
from typing import Any

import numpy as np
from numpy.typing import NDArray

from selfpose_ros.core.skeleton import PARENTS

from ..metrics import EVAL16
from .comparison import Comparison, Example

__all__ = ['page']

Array = NDArray[np.float64]

_BEFORE, _AFTER, _TEACHER = '#b35806', '#2166ac', '#555555'
_STYLE = """body{font:15px/1.45 sans-serif;max-width:960px;margin:2em auto;padding:0 1em;color:#222}
table{border-collapse:collapse;margin:.6em 0}td,th{padding:.15em .8em;text-align:right;border-bottom:1px solid #ddd}
td:first-child,th:first-child{text-align:left}.promoted{color:#1b7837}.refused,.stopped{color:#b2182b}
figure{display:inline-block;margin:.4em;vertical-align:top}figcaption{font-size:13px;color:#555}svg{background:#fafafa}"""
#: what an example at its place in `Comparison.examples` shows
_PLACES = ('greatest gain', 'a quarter of the views gain more', 'half of the views gain more',
           'a quarter of the views gain less', 'greatest loss')
#: a bone that ends at a joint that is not compared begins at the one before
_BONES = [(EVAL16.index(p if p in EVAL16 else PARENTS[p]), EVAL16.index(j))
          for j, p in enumerate(PARENTS) if p >= 0 and j in EVAL16]


def page(title: str, report: Mapping[str, Any], comparison: Comparison | None,
         history: Sequence[Mapping[str, Any]] = ()) -> str:
    """The page.

    Args:
        title: of the model.
        report: as `update.Report.to_dict` has it.
        comparison: of parent and child; None where it did not come to that.
        history: of the training, see `trainer.outcome.Outcome`.
    """
    parts = [f'<h1>{escape(title)}</h1>',
             f'<p class="{escape(report["decision"])}"><b>{escape(report["decision"])}</b>: '
             f'{escape(report["reason"])}</p>',
             _table(('', ''), _about(report))]
    if comparison is not None:
        c = comparison
        parts += [f'<h2>Held-out time</h2><p>{c.poses} views in {c.blocks} blocks of {c.block_s:g} s. Errors against '
                  'the poses that a calibration of the whole recording finds: no truth, and the same for both.</p>',
                  _table((c.unit, 'parent', 'child', 'change, 95 %'),
                         ((n.replace('_', '-').upper(), f'{v.before:.1f}', f'{v.after:.1f}',
                           f'{v.low:+.1f} to {v.high:+.1f}') for n, v in c.changes.items())),
                  _figure(_curves([c.by_block[:, 0], c.by_block[:, 1]], (_BEFORE, _AFTER)),
                          f'error in {c.unit}, block after block'),
                  '<h2>By joint</h2>', _bars(c.joints)]
    if comparison is not None and comparison.examples:
        parts += ['<h2>Poses</h2><p>Held-out views from the front and from the side, ordered by what changed: '
                  f'<span style="color:{_TEACHER}">teacher</span>, <span style="color:{_BEFORE}">parent</span>, '
                  f'<span style="color:{_AFTER}">child</span>.</p>',
                  *(_figure(_poses(e), what) for e, what in zip(comparison.examples, _PLACES, strict=False))]
    losses = np.array([sum(map(float, h['terms'].values())) for h in history if h.get('terms')])
    if len(losses) > 2:
        parts.append(_figure(_curves([losses], (_TEACHER,)), 'loss of the training, from its first steps to its last'))
    parts.append('<h2>Learned from</h2>')
    parts.append(_table(('recording', 'cameras', 'learned from, s', 'compared on, s', 'sha256'), (
        (r.get('name', ''), r.get('cameras', ''), f'{r.get("learn_s", 0):.0f}', f'{r.get("compare_s", 0):.0f}',
         str(r.get('sha256', ''))[:12]) for r in report['recordings'])))
    parts += [f'<p>{escape(note)}</p>' for note in report['notes']]
    return (f'<!DOCTYPE html><html lang="en"><head><meta charset="utf-8"><title>{escape(title)}</title>'
            f'<style>{_STYLE}</style></head><body>{"".join(parts)}</body></html>\n')


def _about(report: Mapping[str, Any]) -> list[tuple[str, str]]:
    parent = report['parent']
    rows = [('parent', f'{parent["name"]}, sha256 {str(parent["sha256"])[:12]}'), ('steps', str(report['steps']))]
    if report['model']:
        rows.append(('model', str(report['model'])))
    if report['version']:
        rows.append(('version in the store', str(report['version'])))
    rows.append(('most memory', f'{report["peak_memory_mb"]:.0f} MB'))
    if report['drift'] is not None:
        rows.append(('change where nothing was taught (unit size)', f'{report["drift"]:.3f}'))
    return rows


def _table(head: Sequence[str], rows: Iterable[Sequence[Any]]) -> str:
    top = ''.join(f'<th>{escape(h)}</th>' for h in head) if any(head) else ''
    body = ''.join(f'<tr>{"".join(f"<td>{escape(str(x))}</td>" for x in row)}</tr>' for row in rows)
    return f'<table><tr>{top}</tr>{body}</table>' if top else f'<table>{body}</table>'


def _figure(svg: str, caption: str) -> str:
    return f'<figure>{svg}<figcaption>{escape(caption)}</figcaption></figure>' if svg else ''


def _curves(curves: Sequence[Array], colours: Sequence[str], size: tuple[int, int] = (440, 160)) -> str:
    """Lines over equal steps, from 0 to the largest value, which is written beside."""
    known = np.concatenate([c[np.isfinite(c)] for c in curves])
    if not len(known):
        return ''
    w, h, top = *size, float(known.max()) or 1.
    lines = []
    for c, colour in zip(curves, colours, strict=True):
        x = 40 + (w - 50) * np.arange(len(c)) / max(len(c) - 1, 1)
        y = h - 15 - (h - 30) * c / top
        points = ' '.join(f'{a:.1f},{b:.1f}' for a, b in zip(x, y, strict=True) if np.isfinite(b))
        lines.append(f'<polyline points="{points}" fill="none" stroke="{colour}" stroke-width="2"/>')
    return (f'<svg width="{w}" height="{h}" xmlns="http://www.w3.org/2000/svg"><text x="2" y="20" font-size="11">'
            f'{top:.3g}</text><text x="2" y="{h - 12}" font-size="11">0</text>{"".join(lines)}</svg>')


def _bars(joints: Mapping[str, tuple[float, float]]) -> str:
    """A bar for each joint, of the parent above that of the child."""
    most, rows = max((max(v) for v in joints.values()), default=0.) or 1., []
    for k, (name, values) in enumerate(joints.items()):
        rows.append(f'<text x="0" y="{22 * k + 15}" font-size="12">{escape(name)}</text>')
        for i, (value, colour) in enumerate(zip(values, (_BEFORE, _AFTER), strict=True)):
            y, width = 22 * k + 3 + 8 * i, 360 * value / most
            rows.append(f'<rect x="90" y="{y}" width="{width:.1f}" height="7" fill="{colour}"/>'
                        f'<text x="{94 + width:.1f}" y="{y + 7}" font-size="8">{value:.0f}</text>')
    return (f'<svg width="500" height="{22 * len(joints) + 6}" xmlns="http://www.w3.org/2000/svg">'
            f'{"".join(rows)}</svg>')


def _poses(e: Example) -> str:
    """Three skeletons on each other, from the front (x, y of the camera) and from its right (z, y)."""
    whole = np.concatenate([e.teacher, e.before, e.after])
    reach = float(np.abs(whole - e.teacher.mean(0)).max()) or 1.
    out = []
    for k, axes in enumerate(((0, 1), (2, 1))):
        for pose, colour in ((e.teacher, _TEACHER), (e.before, _BEFORE), (e.after, _AFTER)):
            at = (pose - e.teacher.mean(0))[:, axes] / reach * 70 + [80 + 160 * k, 80]
            out += [f'<line x1="{at[a, 0]:.1f}" y1="{at[a, 1]:.1f}" x2="{at[b, 0]:.1f}" y2="{at[b, 1]:.1f}" '
                    f'stroke="{colour}" stroke-width="2"/>' for a, b in _BONES]
    return f'<svg width="320" height="160" xmlns="http://www.w3.org/2000/svg">{"".join(out)}</svg>'
