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

"""Manifests of large objects, beside the plainest code that does the same."""

import itertools
import json
import unittest

import hypothesis
from hypothesis import strategies as st

from ai_factory_plugins.swift import backend
from ai_factory_plugins.swift import manifests

PATIENT = hypothesis.settings(
    deadline=None, suppress_health_check=[hypothesis.HealthCheck.too_slow])


@st.composite
def large_objects(draw):
    """(segments as Swift stores them, the segment of each byte)."""
    items, places = [], []
    for number in range(draw(st.integers(1, 8))):
        name = f'/c/s{draw(st.integers(0, number))}'
        size = draw(st.integers(1, 20))
        first, last = 0, size - 1
        item = {'name': name, 'bytes': size, 'hash': f'hash of {name}',
                'content_type': 'x', 'last_modified': 'now'}
        if draw(st.booleans()):
            first = draw(st.integers(0, last))
            last = draw(st.integers(first, last))
            item['range'] = f'{first}-{last}'
        items.append(item)
        places += [(name, at) for at in range(first, last + 1)]
    return items, places


def parse(items, size):
    return manifests.parse(json.dumps(items).encode(), 'etag', size)


class ManifestTest(unittest.TestCase):

    @PATIENT
    @hypothesis.given(large_objects(), st.data())
    def test_each_byte_is_found(self, large, data):
        items, places = large
        size = len(places)
        found = parse(items, size)
        self.assertEqual(('etag', size), (found.etag, found.size))
        parts = [
            (start, data.draw(st.integers(0, size - start)))
            for start in data.draw(st.lists(
                st.integers(0, size - 1), max_size=5))]
        expected = [place for start, length in parts
                    for place in places[start:start + length]]
        self.assertEqual(expected, [
            (f'/{segment.container}/{segment.object}', at)
            for segment, pieces in found.find(parts)
            for start, length in pieces
            for at in range(start, start + length)])

    def test_neighbours_are_one_read(self):
        found = parse([
            {'name': '/c/a/b', 'bytes': 10, 'hash': 'x'},
            {'name': '/c/d', 'bytes': 10, 'hash': 'y', 'range': '5-9'}], 15)
        first, second = found.segments
        self.assertEqual(manifests.Segment('c', 'a/b', 'x', 0), first)
        self.assertEqual(manifests.Segment('c', 'd', 'y', 5), second)
        self.assertEqual(
            [(first, [(0, 3), (7, 3)]), (second, [(5, 2)]),
             (first, [(1, 1)])],
            list(found.find([(0, 3), (7, 5), (1, 1)])))

    def test_what_is_not_of_objects_alone(self):
        plain = {'name': '/c/o', 'bytes': 10, 'hash': 'x'}
        parse([plain], 10)
        for items in (
                [{'data': 'YQ=='}], [{**plain, 'sub_slo': True}],
                [{**plain, 'hash': None}], [{**plain, 'bytes': '10'}],
                [{**plain, 'bytes': 0}], [{**plain, 'bytes': True}],
                [{**plain, 'name': '/c'}], [{**plain, 'name': 5}],
                [{**plain, 'name': '/\0c/o'}],
                [{**plain, 'name': '/c/\ud800'}],
                [{**plain, 'range': '0-10'}], [{**plain, 'range': '5-4'}],
                [{**plain, 'range': '-5'}], [{**plain, 'range': 5}],
                [{'name': '/c/o'}], ['text'], [5], 5, {}, [None]):
            for size in (0, 1, 10):
                with self.assertRaises(
                        manifests.ManifestError, msg=(items, size)):
                    parse(items, size)

    def test_other_bytes_than_swift_says(self):
        items = [{'name': '/c/o', 'bytes': 10, 'hash': 'x'}]
        for size in (9, 11):
            with self.assertRaises(manifests.ManifestError):
                parse(items, size)

    def test_malformed(self):
        for body in (b'', b'[', b'\xff', b'[' * 100000):
            with self.assertRaises(manifests.ManifestError):
                manifests.parse(body, 'etag', 0)


class KnownManifestsTest(unittest.TestCase):

    def setUp(self):
        self.targets = [backend.Target('', 1, 0, 'a', 'c', f'o{number}')
                        for number in range(4)]
        self.large = manifests.Manifest('e', [None] * 4, [1] * 4)

    def test_the_one_with_the_etag(self):
        known = manifests.KnownManifests(100)
        target = self.targets[0]
        self.assertNotIn(target, known)
        known.add(target, 'x', self.large)
        self.assertIn(target, known)
        self.assertIs(self.large, known.get(target, 'x'))
        self.assertIsNone(known.get(self.targets[1], 'x'))
        self.assertIsNone(known.get(target, 'y'))
        self.assertNotIn(target, known)

    def test_the_latest_used_are_kept(self):
        known = manifests.KnownManifests(12)
        for target in self.targets[:3]:
            known.add(target, 'x', self.large)
        known.get(self.targets[0], 'x')
        known.add(self.targets[2], 'y', self.large)
        known.add(self.targets[3], 'x', self.large)
        self.assertEqual(
            [True, False, True, True],
            [target in known for target in self.targets])

    def test_limit(self):
        known = manifests.KnownManifests(3)
        known.add(self.targets[0], 'x', self.large)
        self.assertNotIn(self.targets[0], known)
        small = manifests.Manifest('e', [None], [1])
        for number, target in itertools.product(range(3), self.targets):
            known.add(target, str(number), small)
        self.assertEqual(3, sum(target in known for target in self.targets))
        # What has been forgotten is not counted.
        for target in self.targets:
            known.get(target, 'another')
            known.forget(target)
        for target in self.targets[:3]:
            known.add(target, 'x', small)
        self.assertEqual(3, sum(target in known for target in self.targets))


class SharesTest(unittest.TestCase):

    def test_what_is_known(self):
        shares = manifests.Shares(2)
        self.assertIsNone(shares.get('a'))
        for is_segmented in (True, False, False, False):
            shares.note('a', is_segmented)
        self.assertEqual(0.25, shares.get('a'))
        shares.note('b', True)
        shares.note('a', False)
        shares.note('c', False)
        self.assertEqual([0.2, None, 0], [shares.get(one) for one in 'abc'])

    def test_older_ones_count_less(self):
        shares = manifests.Shares()
        for _ in range(10000):
            shares.note('a', False)
        for _ in range(300):
            shares.note('a', True)
        self.assertGreater(shares.get('a'), 0.5)
