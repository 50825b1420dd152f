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
import logging
import os
import pathlib
import tempfile
import threading
import unittest

import hypothesis
from hypothesis import strategies as st

from ai_factory_plugins.swift.cache import disk
from ai_factory_plugins.swift.cache import files

PATIENT = hypothesis.settings(
    deadline=None, suppress_health_check=[hypothesis.HealthCheck.too_slow])
KEY = ['a', 'c', 'ö"\\', '1.00000', 'etag', 95, 10, 3]


class ContentTest(unittest.TestCase):

    @PATIENT
    @hypothesis.given(st.binary(max_size=100))
    def test_round_trip(self, data):
        content = files.encode(KEY, data)
        self.assertEqual(data, files.decode(KEY, content))
        self.assertIsNone(files.decode([*KEY[:-1], 4], content))

    @PATIENT
    @hypothesis.given(st.binary(min_size=1, max_size=100), st.data())
    def test_damage(self, data, draw):
        content = bytearray(files.encode(KEY, data))
        at = draw.draw(st.integers(0, len(content) - 1))
        self.assertIsNone(files.decode(KEY, content[:at]))
        self.assertIsNone(files.decode(KEY, content + b'x'))
        content[at] ^= draw.draw(st.integers(1, 255))
        self.assertIsNone(files.decode(KEY, bytes(content)))

    @PATIENT
    @hypothesis.given(st.binary(max_size=200))
    def test_anything(self, content):
        self.assertIsNone(files.decode(KEY, content))


class TierTest(unittest.TestCase):

    def setUp(self):
        super().setUp()
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.path = pathlib.Path(folder.name)
        self.tier = None
        self.log = logging.getLogger('quiet')
        self.log.propagate = False
        self.log.addHandler(logging.NullHandler())

    def open(self, limit=10000):
        if self.tier is not None:
            self.tier._directory.close()
        self.tier = disk.Tier(
            str(self.path), limit, lambda call, *rest: call(*rest), self.log)
        self.tier.open()
        self.addCleanup(self.tier._directory.close)
        return self.tier

    def put(self, number, data):
        if self.tier.put([number], data):
            self.tier.write()

    def files(self):
        return sorted(self.path.rglob('*.block'))

    def test_restart(self):
        self.open()
        for number in range(5):
            self.put(number, b'%d' % number * 100)
        self.open()
        for number in range(5):
            self.assertEqual(b'%d' % number * 100, self.tier.get([number]))
        self.assertIsNone(self.tier.get([5]))

    def test_bounds(self):
        self.open(2000)
        for number in range(50):
            self.put(number, os.urandom(300))
            size = sum(path.stat().st_size for path in self.files())
            self.assertLessEqual(size, 2000)
            self.assertEqual(self.tier.cost, size)
        self.assertGreater(self.tier.evictions, 0)
        # Less than before.
        self.open(1000)
        size = sum(path.stat().st_size for path in self.files())
        self.assertLessEqual(size, 1000)
        self.assertEqual(self.tier.cost, size)

    def test_damage_is_deleted(self):
        self.open()
        for damage in (b'', b'x' * 100, None):
            self.put(1, b'data')
            path, = self.files()
            content = damage or path.read_bytes()[:-1] + b'\0'
            path.write_bytes(content)
            self.assertIsNone(self.tier.get([1]))
            self.assertEqual([], self.files())
            self.put(1, b'data')
            self.assertEqual(b'data', self.tier.get([1]))
            self.tier._index.discard(files.name([1]))

    def test_start(self):
        self.open()
        self.put(1, b'data')
        self.put(2, b'data')
        one, two = self.files()
        two.write_bytes(two.read_bytes()[:-1])
        foreign = one.parent / 'foreign'
        foreign.write_bytes(b'x')
        torn = one.parent / f'{one.name}.temporary'
        torn.write_bytes(b'x')
        (one.parent / f'{"0" * 40}-5.block').mkdir()
        os.symlink('/etc/hostname', one.parent / f'{"1" * 40}-5.block')
        self.open()
        self.assertEqual(1, len(self.tier))
        self.assertEqual((False, False, True, True), (
            two.exists(), torn.exists(), foreign.exists(), one.exists()))

    def test_processes_do_not_share(self):
        self.open()
        self.put(1, b'data')
        first, self.tier = self.tier, None
        self.open()
        self.assertIsNone(self.tier.get([1]))
        self.put(1, b'other')
        self.assertEqual(b'data', first.get([1]))

    def test_disk_is_full(self):
        self.open()

        def fail(call, *rest):
            raise OSError('full')

        call, self.tier._call = self.tier._call, fail
        self.put(1, b'data')
        self.tier._call = call
        self.assertIsNone(self.tier.get([1]))
        self.put(1, b'data')
        self.assertEqual(b'data', self.tier.get([1]))

    def test_queue(self):
        self.open()
        wanted = [self.tier.put([number], b'x') for number in range(100)]
        self.assertEqual([True] + 99 * [False], wanted)
        self.tier.write()
        self.assertEqual(64, len(self.tier))
        self.assertFalse(disk.Tier('/x', 1, None, None).put([1], b'x'))

    def test_read_while_it_is_written_anew(self):
        """What is put out and comes back meanwhile is not taken for damage."""
        tier = self.open()
        item, size = files.name(KEY), len(files.encode(KEY, b'x' * 100))
        tier.put(KEY, b'x' * 100)
        tier.write()
        began, gone, writing, read = (threading.Event() for _ in range(4))

        def call(function, *rest):
            if function.__name__ == 'read':
                began.set()
                gone.wait(5)
            elif function.__name__ == 'write':
                writing.set()
                read.wait(5)
            return function(*rest)

        tier._call = call
        reader = threading.Thread(target=tier.get, args=(KEY,))
        reader.start()
        began.wait(5)
        tier._index.discard(item)
        tier._directory.delete(item, size)
        tier.put(KEY, b'x' * 100)
        writer = threading.Thread(target=tier.write)
        writer.start()
        writing.wait(5)
        gone.set()
        reader.join()
        read.set()
        writer.join()
        self.assertEqual(b'x' * 100, tier.get(KEY))
