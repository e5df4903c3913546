# Copyright 2026 The selfpose_ros developers
# SPDX-License-Identifier: Apache-2.0
"""What a path on the command line is."""
from __future__ import annotations

import pytest
import recorded

from selfpose_ros.io.errors import IoError
from selfpose_ros.io.sources import ReadOptions, find_sources, read_source


@pytest.fixture
def place(tmp_path):
    """Some of everything."""
    (tmp_path / 'archives').mkdir()
    for name in ('b', 'a'):
        recorded.write_archive(tmp_path / 'archives' / f'{name}.npz')
    for folder in ('json1', 'json2', 'both/json1', 'both/json2'):
        recorded.openpose_folder(tmp_path / folder, {0: []})
    for bag in ('bag', 'lost'):
        (tmp_path / bag).mkdir()
    (tmp_path / 'bag' / 'metadata.yaml').touch()
    (tmp_path / 'lost' / 'lost_0.mcap').touch()
    (tmp_path / 'empty').mkdir()
    for name in ('1.mp4', '2.MP4', 'notes.txt', 'one.json', 'x.mcap'):
        (tmp_path / name).touch()
    return tmp_path


def found(place, *names, alone=False):
    return [(s.kind, s.name, [str(p.relative_to(place)) for p in s.paths])
            for s in find_sources([place / n for n in names], alone)]


def test_each_archive_is_a_recording(place):
    assert found(place, 'archives') == [('archive', 'a', ['archives/a.npz']), ('archive', 'b', ['archives/b.npz'])]
    assert found(place, 'archives/b.npz') == [('archive', 'b', ['archives/b.npz'])]


def test_videos_are_one_recording_or_each_their_own(place):
    assert found(place, '1.mp4', '2.MP4') == [('videos', place.name, ['1.mp4', '2.MP4'])]
    assert found(place, '1.mp4') == [('videos', '1', ['1.mp4'])]
    assert found(place, '1.mp4', '2.MP4', alone=True) == [('videos', '1', ['1.mp4']), ('videos', '2', ['2.MP4'])]


def test_openpose_folders_are_the_cameras_of_one_recording(place):
    assert found(place, 'json1', 'json2') == [('openpose', place.name, ['json1', 'json2'])]
    assert found(place, 'both') == [('openpose', 'both', ['both/json1', 'both/json2'])]


def test_bags(place):
    assert found(place, 'bag', 'lost', 'x.mcap') == [
        ('bag', 'bag', ['bag']), ('bag', 'lost', ['lost']), ('bag', 'x', ['x.mcap'])]


@pytest.mark.parametrize('names, sentence', [
    (['none.npz'], 'none.npz: no such file or folder'),
    (['empty'], 'empty: a folder without bag, archives'),
    (['notes.txt'], 'notes.txt: neither an archive'),
    (['one.json'], 'one.json: a single JSON file; give the folder'),
    (['1.mp4', 'archives/a.npz'], r'different kinds, .*a.npz \(archive\) and .*1.mp4 \(videos\)'),
    (['1.mp4', '1.mp4'], '1.mp4: given twice'),
    (['archives', 'archives/a.npz'], 'a.npz: given twice'),
    ([], 'no source'),
])
def test_what_cannot_be_read_is_named(place, names, sentence):
    with pytest.raises(IoError, match=sentence):
        found(place, *names)


def test_two_results_of_the_same_name(place):
    (place / 'more').mkdir()
    recorded.write_archive(place / 'more' / 'a.npz')
    with pytest.raises(IoError, match='both results would be called a'):
        found(place, 'archives', 'more')


def test_folder_of_videos_is_not_guessed_at(place):
    (place / 'empty' / '1.mp4').touch()
    with pytest.raises(IoError, match=r'a folder of videos; name the files'):
        found(place, 'empty')


def test_openpose_needs_rate_and_size(place):
    source = find_sources([place / 'json1'])[0]
    with pytest.raises(IoError, match='give --fps and --image-size'):
        read_source(source, ReadOptions(recorded.BrightnessNetwork))
