# Copyright 2026 The selfpose_ros developers
# SPDX-License-Identifier: Apache-2.0
"""Storage files and metadata.yaml as recorders, reindexing, copying and power cuts leave them; and hostile ones."""
from __future__ import annotations

import struct
import tracemalloc

import bag_files
import pytest
import recorded
from bag_files import channel, chunk, mcap, message, serialised, topics_of, zstd
from bags import write_bag
from hypothesis import given, settings, strategies as st
from raising import raises

from selfpose_ros.io import unpacking
from selfpose_ros.io.bag import read_bag
from selfpose_ros.io.bag_file import BagFile
from selfpose_ros.io.bag_metadata import is_bag_file
from selfpose_ros.io.errors import IoError
from selfpose_ros.io.sources import find_sources
from selfpose_ros.io.unpacking import Damaged, unpacked

Network = recorded.BrightnessNetwork
STRING = 'std_msgs/msg/String'
HELLO = serialised(STRING, 'hello')


@pytest.fixture(params=['mcap', 'sqlite3'])
def bag(request, tmp_path):
    write_bag(tmp_path / 'b', [recorded.view('cam1', 5 + i / 10) for i in range(8)], request.param)
    return tmp_path / 'b'


def storage_file(bag):
    return next(p for p in bag.iterdir() if p.suffix in ('.mcap', '.db3'))


# -- metadata.yaml

@pytest.mark.parametrize('change, words', [
    (lambda t: '', 'metadata.yaml cannot be read (it is empty)'),
    (lambda t: t.replace('storage_identifier: ', 'storage_identifier: "" #'), "storage_identifier is ''"),
    (lambda t: t.replace('storage_identifier: ', 'storage_identifier: bag1 #'), "storage_identifier is 'bag1'"),
    (lambda t: t[:len(t) // 2], 'metadata.yaml cannot be read ('),
    (lambda t: t.replace('relative_file_paths:', 'others:'), 'it names no files'),
    (lambda t: t.replace('  files:\n', '  others:\n'), 'it ends in the middle'),
    (lambda t: '\x00\x01' + t, 'metadata.yaml cannot be read ('),
    (lambda t: '- a\n- b\n', 'it holds no rosbag2_bagfile_information'),
    (lambda t: '[' * 5000, 'metadata.yaml cannot be read ('),
    (lambda t: t.replace('b.mcap', 'other_0.mcap').replace('b.db3', 'other_0.db3'), 'of metadata.yaml are missing'),
], ids=['empty', 'no storage', 'other storage', 'half', 'no files', 'no ending', 'zeros', 'list', 'deep',
        'other names'])
def test_metadata_that_is_no_good_is_done_without(bag, change, words):
    metadata = bag / 'metadata.yaml'
    text = metadata.read_text()
    metadata.write_text(change(text))
    assert metadata.read_text() != text
    r = read_bag(bag, Network)
    assert len(r.views) == 8 and len(r.notes) == 1 and words in r.notes[0] and '\n' not in r.notes[0]


def test_metadata_without_any_file(tmp_path):
    (tmp_path / 'metadata.yaml').touch()
    with raises(IoError, 'metadata.yaml cannot be read .* no .db3 or .mcap beside it; copy', place=tmp_path):
        read_bag(tmp_path, Network)


def test_of_several_files_one_is_bad(tmp_path):
    """Each file counts by itself, and ten stands behind nine."""
    for i in (9, 10):
        write_bag(tmp_path / f'part{i}', [recorded.view('cam1', i + k / 10) for k in range(5)])
        storage_file(tmp_path / f'part{i}').rename(tmp_path / f'b_{i}.mcap')
    (tmp_path / 'b_11.mcap').write_bytes(b'')
    (tmp_path / 'b_12.mcap').write_bytes(b'no bag at all')
    r = read_bag(tmp_path, Network)
    assert [v.stamp for v in r.views] == pytest.approx([i + k / 10 for i in (9, 10) for k in range(5)])
    assert [n for n in r.notes if 'b_11.mcap' in n and 'it is empty' in n and 'left out' in n]
    assert [n for n in r.notes if 'b_12.mcap' in n and 'neither mcap nor sqlite3' in n]
    assert [p.name for p in BagFile(tmp_path)._storages[0]._path.parent.glob('b_9*')] == ['b_9.mcap']


def test_a_file_is_what_it_holds_not_what_it_is_called(tmp_path):
    write_bag(tmp_path / 'b', [recorded.view('cam1', 1.)], 'sqlite3')
    storage_file(tmp_path / 'b').rename(tmp_path / 'x.mcap')
    assert len(read_bag(tmp_path / 'x.mcap', Network).views) == 1


def test_messages_that_still_lie_in_the_log_of_sqlite(tmp_path):
    write_bag(tmp_path / 'b', [recorded.view('cam1', 1.)], 'sqlite3')
    (tmp_path / 'b' / 'b.db3-wal').write_bytes(b'x' * 100)
    assert 'b.db3-wal holds messages that are not in it yet' in read_bag(tmp_path / 'b', Network).notes[0]


# -- compressed files

@pytest.mark.parametrize('metadata', [True, False])
@pytest.mark.parametrize('suffix', ['.zstd', '.zst'])
def test_compressed_files(bag, metadata, suffix):
    file = storage_file(bag)
    packed = file.with_name(file.name + suffix)
    packed.write_bytes(zstd.compress(file.read_bytes()))
    if metadata:
        text = (bag / 'metadata.yaml').read_text().replace(file.name, packed.name)
        (bag / 'metadata.yaml').write_text(text.replace("compression_mode: ''", 'compression_mode: FILE'))
    else:
        (bag / 'metadata.yaml').unlink()
    file.unlink()
    r = read_bag(bag, Network)
    assert len(r.views) == 8 and len(r.notes) == (not metadata)
    assert [(s.kind, s.name) for s in find_sources([bag])] == [('bag', 'b')]
    assert [(s.kind, s.name) for s in find_sources([packed])] == [('bag', 'b')]
    assert len(read_bag(packed, Network).views) == 8


def test_compressed_messages_without_metadata(tmp_path):
    views = [recorded.view('cam1', 1.), recorded.view('cam1', 2.)]
    write_bag(tmp_path / 'b', views)
    from rosbags.rosbag2 import Reader
    with Reader(tmp_path / 'b') as reader:
        stored = [(c.topic, c.msgtype, ns, bytes(d)) for c, ns, d in reader.messages()]
    numbers = {t: i for i, t in enumerate(sorted({s[0] for s in stored}), 1)}
    head = b''.join(channel(numbers[t], t, k) for t, k, _, _ in {s[0]: s for s in stored}.values())
    path = mcap(tmp_path / 'm.mcap', chunk(head + b''.join(
        message(numbers[t], ns, zstd.compress(d)) for t, _, ns, d in stored)), end=True)
    assert len(read_bag(path, Network).views) == 2


def test_a_compressed_file_that_ends_in_the_middle(tmp_path):
    path = bag_files.rechunked(tmp_path / 'b.mcap', [recorded.view('cam1', i / 10) for i in range(700)], '', 20)
    packed = tmp_path / 'b.mcap.zstd'
    content = zstd.compress(path.read_bytes())
    packed.write_bytes(content[:2 * len(content) // 3])
    path.unlink()
    r = read_bag(packed, Network)
    assert 50 < len(r.views) < 700 and any('ends in the middle' in n for n in r.notes)


def test_a_compressed_file_that_is_no_bag(tmp_path):
    (tmp_path / 'b.db3.zstd').write_bytes(zstd.compress(b'hello'))
    with raises(IoError, r'unpacked, but the bag cannot be opened \(it is neither', place=tmp_path / 'b.db3.zstd'):
        read_bag(tmp_path / 'b.db3.zstd', Network)
    (tmp_path / 'b.db3.zstd').write_bytes(zstd.compress(b'hello')[:6] + b'\xff' * 20)
    with raises(IoError, 'cannot be unpacked .*; unpack it with `unzstd`', place=tmp_path / 'b.db3.zstd'):
        read_bag(tmp_path / 'b.db3.zstd', Network)


def test_a_compressed_file_that_unpacks_to_too_much(tmp_path, monkeypatch):
    monkeypatch.setattr(unpacking, '_LEAST', 2**20)
    monkeypatch.setattr(unpacking, '_RATIO', 10)
    (tmp_path / 'b.mcap.zstd').write_bytes(zstd.compress(bytes(2**24)))
    with raises(IoError, 'unpacks to more than 1 MB, .*; unpack it with `unzstd`', place=tmp_path / 'b.mcap.zstd'):
        read_bag(tmp_path / 'b.mcap.zstd', Network)


@pytest.mark.parametrize('name, good', [
    ('a.db3', True), ('a.mcap', True), ('a.MCAP', True), ('a.mcap.zstd', True), ('a.b.db3.zst', True),
    ('a.zstd', False), ('a.txt.zstd', False), ('a', False), ('db3', False)])
def test_names_of_bag_files(tmp_path, name, good):
    assert is_bag_file(tmp_path / name) == good


# -- mcap

@pytest.mark.parametrize('compression', ['', 'zstd', 'lz4'])
@pytest.mark.parametrize('end', [True, False])
def test_mcap_without_index(tmp_path, compression, end):
    parts = [chunk(channel(1, '/a', STRING) + message(1, 10 * i, HELLO) + message(1, 10 * i + 5, HELLO), compression,
                   begin=10 * i) for i in range(3)]
    bag = BagFile(mcap(tmp_path / 'b.mcap', *parts, end=end))
    assert bag.counts == {'/a': 6} and len(bag.notes) == (not end)
    assert [round(s * 1e9) for _, s, _ in bag.messages(['/a'], {})] == [0, 5, 10, 15, 20, 25]


def test_mcap_without_chunks(tmp_path):
    bag = BagFile(mcap(tmp_path / 'b.mcap', channel(1, '/a', STRING), *(message(1, i, HELLO) for i in range(4))))
    assert [m.data for _, _, m in bag.messages(['/a'], {})] == ['hello'] * 4


def test_chunks_that_overlap_come_in_order_of_time(tmp_path):
    head = channel(1, '/a', STRING)
    parts = [chunk(head + message(1, 30, HELLO) + message(1, 10, HELLO), begin=10),
             chunk(head + message(1, 20, HELLO) + message(1, 40, HELLO), begin=20)]
    bag = BagFile(mcap(tmp_path / 'b.mcap', *parts, end=True))
    assert [round(s * 1e9) for _, s, _ in bag.messages(['/a'], {})] == [10, 20, 30, 40]


def test_a_chunk_that_lies_about_its_size_is_not_unpacked(tmp_path):
    good = chunk(channel(1, '/a', STRING) + message(1, 1, HELLO))
    bomb = zstd.compress(bytes(2**27))                     # 128 MB of zeros in 4 kB
    head = struct.pack('<QQQI', 5, 5, 1000, 0) + bag_files.text('zstd') + struct.pack('<Q', len(bomb))
    path = mcap(tmp_path / 'b.mcap', good, bag_files.record(6, head + bomb), good, end=True)
    tracemalloc.start()
    try:
        bag = BagFile(path)
        assert bag.counts == {'/a': 2} and len(list(bag.messages(['/a'], {}))) == 2
        assert tracemalloc.get_traced_memory()[1] < 2**24
    finally:
        tracemalloc.stop()
    assert any('unpacks to more than 1000 bytes' in n for n in bag.notes)


def test_a_chunk_that_asks_for_too_much(tmp_path):
    good = chunk(channel(1, '/a', STRING) + message(1, 1, HELLO))
    huge = chunk(message(1, 1, HELLO), 'zstd', size=2**50)
    bag = BagFile(mcap(tmp_path / 'b.mcap', good, huge, end=True))
    assert bag.counts == {'/a': 1} and any('larger than the' in n for n in bag.notes)


def test_a_chunk_whose_checksum_is_wrong_is_left_out(tmp_path):
    good = chunk(channel(1, '/a', STRING) + message(1, 1, HELLO))
    bag = BagFile(mcap(tmp_path / 'b.mcap', good, chunk(message(1, 2, HELLO), crc=7), good, end=True))
    assert bag.counts == {'/a': 2} and any('the checksum of a chunk is wrong' in n for n in bag.notes)


def test_messages_in_another_encoding_are_told(tmp_path):
    bag = BagFile(mcap(tmp_path / 'b.mcap', channel(1, '/a', STRING), channel(2, '/j', 'Thing', 'json'),
                       message(1, 1, HELLO), message(2, 2, b'{}'), end=True))
    assert bag.counts == {'/a': 1} and "/j: left out, its messages are not in CDR but in 'json'" in bag.notes


def test_behind_a_damaged_place_the_index_shows_the_way(tmp_path):
    good = chunk(channel(1, '/a', STRING) + message(1, 1, HELLO))
    path = mcap(tmp_path / 'b.mcap', good, b'\xff' * 100, good)
    content = path.read_bytes()
    index = bag_files.record(8, struct.pack('<QQQQ', 1, 1, len(content) - len(good), len(good)) + bytes(40))
    end = bag_files.record(15, bytes(4)) + index + bag_files.record(
        2, struct.pack('<QQI', len(content) + 13, 0, 0)) + bag_files.MAGIC
    path.write_bytes(content + end)
    bag = BagFile(path)
    assert bag.counts == {'/a': 2} and any('a part of it is damaged' in n for n in bag.notes)
    path.write_bytes(content)                              # without index
    bag = BagFile(path)
    assert bag.counts == {'/a': 1} and any('its end is missing' in n for n in bag.notes)


def test_blocks_unpack_to_no_more_than_is_allowed():
    for how in ('zstd', 'lz4'):
        data = bag_files.PACK[how](bytes(10**6))
        assert unpacked(data, how, 10**6) == bytes(10**6)
        with pytest.raises(Damaged, match='more than 999 bytes'):
            unpacked(data, how, 999)
        with pytest.raises(Damaged):
            unpacked(b'garbage' * 9, how, 10**6)
    with pytest.raises(Damaged, match="'bz2' is not known"):
        unpacked(b'', 'bz2', 1)
    with pytest.raises(Damaged, match='frames'):
        unpacked(zstd.compress(b'') * 100, 'zstd', 10)


# -- anything

QUICK = settings(deadline=None, max_examples=60)


@QUICK
@given(st.data())
def test_whatever_is_in_a_file_one_sentence_or_messages(tmp_path_factory, data):
    """Bytes of good files, changed here and there and cut: nothing else than IoError comes out, and little memory."""
    folder = tmp_path_factory.mktemp('f')
    path = folder / data.draw(st.sampled_from(['x.mcap', 'x.db3', 'x.mcap.zstd']))
    if path.suffix == '.db3':
        content = bytearray(_small_database(folder))
    else:
        content = bytearray(_small_mcap(folder, data.draw(st.sampled_from(['', 'zstd', 'lz4']))))
        if path.suffix == '.zstd':
            content = bytearray(zstd.compress(bytes(content)))
    for _ in range(data.draw(st.integers(0, 6))):
        at = data.draw(st.integers(0, len(content) - 1))
        piece = data.draw(st.sampled_from([b'\xff' * 8, b'\0' * 8, b'\xff', b'\0', b'\x7f\x06', b'\x80']))
        content[at:at + len(piece)] = piece
    path.write_bytes(content[:data.draw(st.integers(0, len(content)))] if data.draw(st.booleans()) else content)
    try:
        bag = BagFile(path)
    except IoError as error:
        assert '\n' not in str(error)
        return
    from collections import defaultdict

    from selfpose_ros.io.bag_file import Trouble
    for _ in bag.messages(list(bag.topics), defaultdict(Trouble)):
        pass


@QUICK
@given(st.binary(max_size=300) | st.text(max_size=200).map(str.encode))
def test_whatever_is_in_metadata_the_files_are_read(tmp_path_factory, content):
    folder = tmp_path_factory.mktemp('m')
    mcap(folder / 'b.mcap', channel(1, '/a', STRING), message(1, 1, HELLO), end=True)
    (folder / 'metadata.yaml').write_bytes(content)
    assert topics_of(folder) == {'/a': 1}


def _small_mcap(folder, compression):
    head = channel(1, '/a', STRING)
    parts = [chunk(head + message(1, i, HELLO) + message(1, i + 1, HELLO), compression, begin=i) for i in range(3)]
    return mcap(folder / 'made', *parts, end=True).read_bytes()


def _small_database(folder):
    write_bag(folder / 'made', [recorded.view('c', i / 10) for i in range(6)], 'sqlite3')
    return (folder / 'made' / 'made.db3').read_bytes()


