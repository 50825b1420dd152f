# Licensed under the Apache License, Version 2.0 (the "License"); you may
# not use this file except in compliance with the License. You may obtain
# a copy of the License at
#
#      http://www.apache.org/licenses/LICENSE-2.0
#
# Unless required by applicable law or agreed to in writing, software
# distributed under the License is distributed on an "AS IS" BASIS, WITHOUT
# WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied. See the
# License for the specific language governing permissions and limitations
# under the License.

"""The right bytes, in the right order, and the right refusals."""

import hashlib
import os
import random

import pytest

from tests.swift import caches

NAMES = ['plain', 'with space', 'pa/th', 'a%2Fb', '100%', 'ümlaut-名前-🎉',
         'q?x=y&z', 'semi;colon', 'plus+plus', '..', 'a/../b', 'new\nline',
         '"quoted"', "it's", '#hash', '\x01control', ' lead', 'trail ']


def expect(blob, wanted):
    """What ranges have to give, in other words than the code's."""
    size = len(blob)
    found = []
    for first, last in wanted:
        if first is None:
            found.append(blob[-last:] if last < size else blob)
        else:
            found.append(blob[first:size if last is None else last + 1])
    return found


def test_last_bytes_of_nothing(tester, container):
    """Swift says 200 to that, where a batch tells of a range."""
    tester.put(f'/{container}/o')
    response = tester.get(f'/{container}/o', [None, 5])
    assert (response.status, response.body) == (200, b'')
    got, = tester.batch([{'object': 'o', 'ranges': [[None, 5]]}], container)
    assert (got.status, got.data) == (206, [b''])


def test_ranges_of_many_objects(tester, container, blob):
    blobs = {}
    for number in range(12):
        blobs[f'o{number}'] = blob[number:] + os.urandom(number * 1000)
        tester.put(f'/{container}/o{number}', blobs[f'o{number}'])
    rng = random.Random(1)
    wanted = []
    for number in range(400):
        name = f'o{rng.randrange(12)}'
        size = len(blobs[name])
        ranges = []
        for _ in range(rng.choice([1, 1, 1, 2, 5])):
            first = rng.randrange(size)
            ranges.append(rng.choice([
                [first, first + rng.randrange(10000)],
                [first, min(first + 65535, size - 1)],
                [None, rng.randrange(1, 5000)],
                [max(size - 3000, 0), None], [first, 2 ** 63 - 1]]
                [:4 if number % 40 else 5]))
        wanted.append({'object': name, 'ranges': ranges, 'id': f'i{number}'})
    found = tester.batch(wanted, container)
    for item, got in zip(wanted, found):
        blob = blobs[item['object']]
        assert got.status == 206
        assert got.data == expect(blob, item['ranges'])
        assert got.meta['etag'] == hashlib.md5(blob).hexdigest()
        assert got.meta['size'] == len(blob)
        assert got.meta['id'] == item['id']
        assert [length for _, length in got.meta['parts']] == list(
            map(len, got.data))


def test_whole_objects(tester, container, blob):
    bodies = {'empty': b'', 'small': b'x', 'large': blob * 5}
    for name, body in bodies.items():
        tester.put(f'/{container}/{name}', body)
    found = tester.batch([{'object': name} for name in bodies], container)
    assert [got.status for got in found] == [200] * 3
    assert [got.data[0] for got in found] == list(bodies.values())


def test_empty_object(tester, container):
    tester.put(f'/{container}/empty')
    found = tester.batch([
        {'object': 'empty', 'ranges': [[0, 0]]},
        {'object': 'empty', 'ranges': [[0, None]]},
        {'object': 'empty', 'ranges': [[None, 5]]},
        {'object': 'empty', 'ranges': [[None, 0]]}], container)
    assert [got.status for got in found] == [416, 416, 206, 416]
    assert found[2].data == [b'']


def test_overlapping_and_unsorted_ranges(tester, container, blob):
    tester.put(f'/{container}/o', blob)
    wanted = [[500, 999], [0, 700], [600, 600], [0, None], [None, 700],
              [1, 0 + 1], [500, 999]]
    got, = tester.batch([{'object': 'o', 'ranges': wanted}], container)
    assert got.data == expect(blob, wanted)
    # More than Swift gives in one multi-range GET.
    wanted = [[start, start + 20] for start in range(9000, 0, -10)]
    got, = tester.batch([{'object': 'o', 'ranges': wanted}], container)
    assert got.data == expect(blob, wanted)


@pytest.mark.parametrize('name', NAMES)
def test_names(tester, container, name):
    tester.put(f'/{container}/{name}', name.encode() * 100)
    got, = tester.batch([{'object': name, 'ranges': [[3, 50]]}], container)
    assert got.status == 206
    assert got.data == [(name.encode() * 100)[3:51]]


def test_container_with_a_strange_name(tester):
    tester.put('/ü %2F?', b'')
    tester.put('/ü %2F?/o', b'0123456789')
    wanted = {'object': 'o', 'ranges': [[2, 4]]}
    assert tester.batch([wanted], 'ü %2F?')[0].data == [b'234']
    assert tester.batch([{**wanted, 'container': 'ü %2F?'}])[0].data == [
        b'234']


def test_several_containers(tester, container):
    tester.put(f'/{container}-2')
    tester.put(f'/{container}/o', b'first')
    tester.put(f'/{container}-2/o', b'second')
    found = tester.batch([
        {'container': container, 'object': 'o'},
        {'container': f'{container}-2', 'object': 'o'},
        {'container': f'{container}-3', 'object': 'o'}])
    assert [got.status for got in found] == [200, 200, 404]
    assert [got.data for got in found[:2]] == [[b'first'], [b'second']]


def test_refusals_are_of_one_entry(tester, container, blob):
    tester.put(f'/{container}/o', blob)
    etag = hashlib.md5(blob).hexdigest()
    good = {'object': 'o', 'ranges': [[0, 9]]}
    wanted = [
        ({'object': 'none'}, 404),
        ({**good, 'etag': '0' * 32}, 412),
        ({'object': 'o', 'ranges': [[len(blob), None]]}, 416),
        ({'object': 'o', 'ranges': [[0, 9], [len(blob), len(blob)]]}, 416),
        ({'object': 'o', 'ranges': [[None, 0]]}, 416),
        ({'object': 'nul\0l'}, 412),
        ({'object': 'surrogate \ud800'}, 412),
        ({'object': ''}, 400), ({}, 400), ({'object': 1}, 400),
        ({'object': 'o', 'ranges': [[5, 4]]}, 400),
        ({'object': 'o', 'ranges': [[-5, 4]]}, 400),
        ({'object': 'o', 'ranges': [[0, 2 ** 63]]}, 400),
        ({'object': 'o', 'ranges': [[0, 1.5]]}, 400),
        ({'object': 'o', 'ranges': [[0, True]]}, 400),
        ({'object': 'o', 'ranges': [[None, None]]}, 400),
        ({'object': 'o', 'ranges': [[0, 1, 2]]}, 400),
        ({'object': 'o', 'ranges': [['0', '1']]}, 400),
        ({'object': 'o', 'ranges': []}, 400),
        ({'object': 'o', 'ranges': [[0, 0]] * 1001}, 400),
        ({'object': 'o', 'ranges': 'bytes=0-1'}, 400),
        ({'object': 'o', 'etag': 5}, 400),
        ({'object': 'o', 'etag': 'a\r\nb'}, 400),
        ({'object': 'o', 'id': 5}, 400),
        ({'object': 'o', 'unknown': 5}, 400),
        ({'object': 'o', 'container': container}, 400),
    ]
    items = [item for pair in wanted for item in (pair[0], good)]
    found = tester.batch(items, container)
    assert [got.status for got in found[::2]] == [
        status for _, status in wanted]
    for got in found[1::2]:
        assert got.data == [blob[:10]]
    assert all(got.meta['reason'] for got in found[::2])
    for quoted in (etag, f'"{etag}"', '*'):
        got, = tester.batch([{**good, 'etag': quoted}], container)
        assert got.data == [blob[:10]]


def test_account_requests_name_containers(tester, container):
    found = tester.batch([
        {'object': 'o'}, {'object': 'o', 'container': 'a/b'},
        {'object': 'o', 'container': ''},
        {'object': 'o', 'container': 'n\0'},
        {'object': 'none', 'container': container}])
    assert [got.status for got in found] == [400, 400, 400, 412, 404]


def test_object_servers_see_no_errors(swift, tester, container, blob):
    """The proxy hears them to the end, as they would log otherwise."""
    tester.put(f'/{container}/o', blob)
    logs = [swift.layout.log(swift.object_server(number)) for number in
            range(swift.settings.object_servers)]
    before = [log.stat().st_size for log in logs]
    for count in (1, 5, 200):
        tester.batch([{'object': 'o', 'ranges': [[n, 4000 * n + 5]]}
                      for n in range(count)], container)

    def seen():
        return ''.join(log.read_bytes()[size:].decode('utf-8', 'replace')
                       for log, size in zip(logs, before))
    caches.until(lambda: seen().count('READV') >= 3)
    assert 'Traceback' not in seen()
