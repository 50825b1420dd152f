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
import os
import threading
import unittest
from unittest import mock

import eventlet

from ai_factory_plugins.swift import block_cache
from ai_factory_plugins.swift.cache import answer
from ai_factory_plugins.swift.cache import blocks
from ai_factory_plugins.swift.cache import flights
from ai_factory_plugins.swift.cache import readahead
from ai_factory_plugins.swift.cache import settings
from ai_factory_plugins.swift.cache import store
from ai_factory_plugins.swift.cache import versions

BLOCK = 10


class FlightTest(unittest.TestCase):

    def test_one_leads(self):
        found = flights.Flights()
        self.assertTrue(found.join('a')[0])
        leads, flight = found.join('a')
        self.assertFalse(leads)
        self.assertTrue(found.join('b')[0])
        found.land('a', 5)
        self.assertEqual(5, flight.wait(0))
        self.assertEqual(1, len(found))
        self.assertTrue(found.join('a')[0])

    def test_failure(self):
        found = flights.Flights()
        found.join('a')
        flight = found.join('a')[1]
        found.fail('a', OSError('no disk'))
        with self.assertRaisesRegex(flights.FlightFailed, 'no disk'):
            flight.wait(0)
        # The next one tries again.
        self.assertTrue(found.join('a')[0])

    def test_patience(self):
        found = flights.Flights()
        flight = found.join('a')[1]
        with self.assertRaises(flights.FlightFailed):
            flight.wait(0.01)
        self.assertFalse(found.is_wanted('a'))

    def test_wanted(self):
        found = flights.Flights()
        found.join('a')
        flight, values = found.join('a')[1], []
        thread = threading.Thread(target=lambda: values.append(flight.wait(9)))
        thread.start()
        while not found.is_wanted('a'):
            pass
        found.land('a', 3)
        thread.join()
        self.assertEqual([3], values)
        self.assertFalse(found.is_wanted('a'))


class ReadersTest(unittest.TestCase):

    def note(self, found, first, last, size=1000, key='o'):
        return found.note(key, blocks.Extent(first, last), size)

    def test_sequential(self):
        found = readahead.Readers(100)
        self.assertIsNone(self.note(found, 0, 9))
        self.assertEqual((20, 119), self.note(found, 10, 19))
        for at in range(20, 60, 10):
            self.assertIsNone(self.note(found, at, at + 9))
        self.assertEqual((120, 169), self.note(found, 60, 69))

    def test_end(self):
        found = readahead.Readers(100)
        self.note(found, 0, 9, 25)
        self.assertEqual((20, 24), self.note(found, 10, 19, 25))
        self.assertIsNone(self.note(found, 20, 24, 25))

    def test_random(self):
        found = readahead.Readers(100)
        for at in (500, 30, 700, 40, 10, 0):
            self.assertIsNone(self.note(found, at, at + 4))

    def test_two_readers(self):
        found = readahead.Readers(100)
        for base in (0, 500):
            self.assertIsNone(self.note(found, base, base + 9))
        for base in (0, 500):
            self.assertEqual((base + 20, base + 119),
                             self.note(found, base + 10, base + 19))

    def test_other_version(self):
        found = readahead.Readers(100)
        self.note(found, 0, 9)
        self.assertIsNone(self.note(found, 10, 19, key='other'))

    def test_off(self):
        found = readahead.Readers(0)
        for at in range(0, 100, 10):
            self.assertIsNone(self.note(found, at, at + 9))


class SettingsTest(unittest.TestCase):

    def test_defaults(self):
        values = settings.read({})
        self.assertEqual(('', 0, 'bypass', False), tuple(
            values[name] for name in ('disk_path', 'disk_bytes',
                                      'without_memcached', 'debug_header')))

    def test_refused(self):
        for conf in (
                {'block_size': '1'}, {'block_size': 'x'}, {'max_age': '-1'},
                {'max_age': '1e3'}, {'ram_bytes': '5'}, {'max_read': '4096'},
                {'without_memcached': 'no'}, {'disk_path': 'relative',
                                              'disk_bytes': 2 ** 30},
                {'disk_path': '/x'}, {'disk_bytes': 2 ** 30},
                {'disk_path': '/x', 'disk_bytes': 5},
                {'ram_bytes': 2 ** 20}, {'max_pending': 2 ** 20},
                {'readahead': 2 ** 29}, {'patience': 0}):
            with self.assertRaises(ValueError, msg=conf):
                settings.read(conf)


def version(size=95, number='1', names=()):
    return versions.Version(
        ('a', 'c', 'o', number, 'etag', size), [], frozenset(names), number,
        None)


class Source:
    """An object that counts how it is read."""

    def __init__(self, size=95, piece=7):
        self.body = os.urandom(size)
        self.piece = piece
        self.reads = []
        self.closed = 0
        self.fails_after = None

    def read(self, extent):
        self.reads.append(tuple(extent))
        return _Pieces(self, self.body[extent.first:extent.last + 1])


class _Pieces:

    def __init__(self, source, data):
        self.source = source
        self.data = data

    def __iter__(self):
        for at in range(0, len(self.data), self.source.piece):
            if self.source.fails_after is not None and (
                    at >= self.source.fails_after):
                raise OSError('gone')
            yield self.data[at:at + self.source.piece]

    def close(self):
        self.source.closed += 1


class StoreTest(unittest.TestCase):

    def setUp(self):
        super().setUp()
        self.source = Source()
        self.store = self.make()

    def make(self, limit=10 ** 6, disk=None):
        return store.Store(BLOCK, limit, disk, lambda call: call(),
                           threading.Event, 5)

    def get(self, numbers, of=version()):
        found, count = self.store.get(of, numbers, self.source.read)
        for number in numbers:
            self.assertEqual(
                self.source.body[number * BLOCK:][:BLOCK], found[number])
        return count

    def test_runs(self):
        self.assertEqual(2, self.get([3, 4]))
        self.assertEqual(6, self.get(range(1, 9)))
        self.assertEqual([(30, 49), (10, 29), (50, 89)], self.source.reads)
        self.assertEqual(0, self.get(range(1, 9)))
        self.assertEqual(1, self.get([9]))
        self.assertEqual((90, 94), self.source.reads[-1])
        self.assertEqual(4, self.source.closed)

    def test_versions_do_not_mix(self):
        self.get(range(10))
        self.source = Source()
        self.assertEqual(10, self.get(range(10), version(number='2')))

    def test_failure_in_the_middle(self):
        self.source.fails_after = 35
        with self.assertRaises(OSError):
            self.get(range(10))
        self.source.fails_after = None
        self.source.reads.clear()
        self.assertEqual(7, self.get(range(10)))
        self.assertEqual([(30, 94)], self.source.reads)

    def test_cut_short(self):
        self.source.body = self.source.body[:50]
        with self.assertRaises(flights.FlightFailed):
            self.get(range(10))
        self.assertEqual(0, len(self.store._flights))

    def test_too_long(self):
        body = self.source.body
        with self.assertRaises(ValueError):
            self.store.get(version(), [0], lambda _: _Pieces(
                self.source, body))
        self.assertEqual(0, len(self.store._flights))

    def test_read_fails(self):
        def read(extent):
            raise OSError('gone')

        with self.assertRaises(OSError):
            self.store.get(version(), range(3), read)
        self.assertEqual(0, len(self.store._flights))

    def test_more_than_there_is_room_for(self):
        self.store = self.make(limit=4000)
        for _ in range(3):
            self.get(range(10))
            self.assertLessEqual(self.store.cost, 4000)
        self.assertGreater(self.store.evictions, 0)

    def test_many_threads(self):
        threads = [threading.Thread(target=self.get, args=(range(10),))
                   for _ in range(16)]
        led = self.store.lead(version(), range(10))
        for thread in threads:
            thread.start()
        self.store.fill(version(), led, range(10), self.source.read(
            blocks.Extent(0, 94)))
        for thread in threads:
            thread.join()
        self.assertEqual([(0, 94)], self.source.reads)

    def test_reading_ahead(self):
        self.store.read_ahead(
            version(), range(2, 5), self.source.read, lambda: False)
        self.store.read_ahead(
            version(), range(2, 6), self.source.read, lambda: False)
        self.assertEqual([(20, 49), (50, 59)], self.source.reads)
        self.assertEqual(0, self.get(range(2, 6)))

    def test_reader_goes_away(self):
        with self.assertRaises(store.Cancelled):
            self.store.read_ahead(
                version(), range(10), self.source.read, lambda: True)
        self.assertEqual((0, 1), (
            len(self.store._flights), self.source.closed))


class AnswerTest(unittest.TestCase):
    """Clients that take all at once do not keep a process from the others."""

    def turns(self, block, count):
        """How often others have a turn while blocks are given."""
        found, seen = {n: bytes(block) for n in range(count)}, []
        body = answer.Body(
            blocks.Extent(0, block * count - 1), found, block,
            lambda complete: None, lambda: seen.append(1))
        self.assertEqual(block * count, sum(map(len, body)))
        return len(seen)

    def test_turns(self):
        self.assertEqual(0, self.turns(answer.TURN, 1))
        self.assertEqual(7, self.turns(answer.TURN, 8))
        self.assertEqual(1, self.turns(4096, 2 * answer.TURN // 4096))
        self.assertEqual(0, self.turns(4096, 8))

    def test_others_run_meanwhile(self):
        conf = settings.read({})
        cache = block_cache.BlockCache(None, conf, mock.Mock())
        count, size = 8, conf['block_size']
        found = version(count * size)
        cache._store.fill(
            found, cache._store.lead(found, range(count)), range(count),
            Source(count * size, 65536).read(
                blocks.Extent(0, count * size - 1)))
        _, _, body, how = cache._answer(
            {}, ('a', 'c', 'o'), found, blocks.Extent(0, count * size - 1),
            True, False)
        self.assertEqual('hit', how)
        turns = []

        def other():
            while True:
                turns.append(1)
                eventlet.sleep()

        thread = eventlet.spawn(other)
        self.addCleanup(thread.kill)
        self.assertEqual(count * size, sum(map(len, body)))
        self.assertEqual(count - 1, len(turns))


class RecordsTest(unittest.TestCase):

    def test_bounds(self):
        found = versions.Records(10000)
        for number in range(100):
            found.put(number, versions.Record(version(), 't', 0, 0))
            self.assertLessEqual(found.cost, 10000)
            found.get(0)
        self.assertIsNotNone(found.get(0))
        self.assertIsNone(found.get(1))
        found.put(0, versions.Record(None, 't', 0, 0))
        found.clear()
        self.assertEqual((0, 0), (len(found), found.cost))
