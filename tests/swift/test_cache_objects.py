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
"""What the block cache knows of objects, while others write them."""

import unittest
from unittest import mock

import eventlet
import eventlet.event

from ai_factory_plugins.swift import block_cache
from ai_factory_plugins.swift.cache import backend
from ai_factory_plugins.swift.cache import blocks
from ai_factory_plugins.swift.cache import door
from ai_factory_plugins.swift.cache import settings
from ai_factory_plugins.swift.cache import versions

KEY = ('a', 'c', 'o')
WANTED = door.Wanted((0, 9), frozenset())


class _Gate:
    """Where a green thread waits until it is let through."""

    def __init__(self):
        self.came, self._open = (eventlet.event.Event() for _ in range(2))

    def wait(self):
        self.came.send()
        self._open.wait()

    def open(self):
        self._open.send()


class _Answer(backend.Answer):
    """An object of ten bytes, of which the last ones may have to wait."""

    def __init__(self, number, gate=None):
        super().__init__(versions.Version(
            (*KEY, number, 'etag', 10), [], frozenset(), number, None),
            blocks.Extent(0, 9))
        self.gate = gate

    def __iter__(self):
        yield b'01234'
        if self.gate is not None:
            self.gate.wait()
        yield b'56789'


class WritesTest(unittest.TestCase):
    """Memcached is away, and the process trusts what it knows."""

    def setUp(self):
        super().setUp()
        self.objects = block_cache.BlockCache(
            None, settings.read({'without_memcached': 'max_age'}),
            mock.Mock())._objects
        self.answers = []
        patch = mock.patch.object(
            backend, 'read', lambda *_: self.answers.pop(0)())
        patch.start()
        self.addCleanup(patch.stop)

    def find(self):
        return self.objects.find({}, KEY, WANTED, 0)[0]

    def write(self):
        self.objects.written({}, KEY, True, True)

    def test_read_before_a_write_that_is_over(self):
        gate = _Gate()

        def old():
            gate.wait()
            return _Answer('1')

        self.answers = [old, lambda: _Answer('2')]
        first = eventlet.spawn(self.find)
        gate.came.wait()
        self.write()
        gate.open()
        self.assertEqual('1', first.wait().changed)
        self.assertEqual('2', self.find().changed)

    def test_two_reads_and_two_writes(self):
        filling, asking = _Gate(), _Gate()

        def old():
            asking.wait()
            return _Answer('2')

        self.answers = [lambda: _Answer('1', filling), old,
                        lambda: _Answer('3')]
        first = eventlet.spawn(self.find)
        filling.came.wait()
        self.write()
        second = eventlet.spawn(self.find)
        asking.came.wait()
        self.write()
        # That the first has ended makes what the second gets no newer.
        filling.open()
        first.wait()
        asking.open()
        self.assertEqual('2', second.wait().changed)
        self.assertEqual('3', self.find().changed)
