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
import unittest

import hypothesis
from hypothesis import strategies as st

from ai_factory_plugins.swift.cache import blocks

# The machine may be busy.
PATIENT = hypothesis.settings(
    deadline=None, suppress_health_check=[
        hypothesis.HealthCheck.too_slow,
        hypothesis.HealthCheck.large_base_example])
BLOCK = 7
SIZES = st.integers(0, 60)


def header(first, last):
    return 'bytes={}-{}'.format(
        '' if first is None else first, '' if last is None else last)


class RangeTest(unittest.TestCase):

    def test_parse(self):
        for text, found in (
                ('bytes=0-0', (0, 0)), ('bytes=5-', (5, None)),
                ('bytes=-5', (None, 5)), ('bytes=007-9', (7, 9)),
                ('bytes=5-3', None), ('bytes=-', None), ('bytes=', None),
                ('bytes=1-2,4-5', None), ('bytes=a-b', None), ('', None),
                ('bytes=1 -2', None), ('lines=1-2', None),
                ('bytes=1-2\n', None), ('bytes=\u0661-2', None),
                (f'bytes=0-{10 ** 18 - 1}', (0, 10 ** 18 - 1)),
                (f'bytes=0-{10 ** 18}', None)):
            self.assertEqual(found, blocks.parse(text), text)

    @PATIENT
    @hypothesis.given(st.none() | SIZES, st.none() | SIZES, SIZES)
    def test_resolve(self, first, last, size):
        wanted = blocks.parse(header(first, last))
        if wanted is None:
            return
        data = bytes(range(size))
        if first is None:
            expected = data[-last:] if last else b''
        else:
            expected = data[first:] if last is None else data[first:last + 1]
        extent = blocks.resolve(wanted, size)
        if not expected:
            self.assertIsNone(extent)
        else:
            self.assertEqual(expected, data[extent.first:extent.last + 1])
            self.assertEqual(len(expected), extent.length)

    def test_whole(self):
        self.assertEqual((0, 8), blocks.resolve(None, 9))
        self.assertIsNone(blocks.resolve(None, 0))

    def test_guess(self):
        for wanted, found in (
                (None, (0, 6)), ((8, 8), (7, 13)), ((8, 20), (7, 20)),
                ((8, 21), (7, 27)), ((8, None), (7, 13)), ((None, 5), None),
                ((0, 29), (0, 34)), ((0, 30), (0, 6))):
            self.assertEqual(found, blocks.guess(wanted, BLOCK, 30), wanted)

    def test_content_range(self):
        self.assertEqual(((2, 5), 9), blocks.content_range('bytes 2-5/9'))
        for text in (None, '', 'bytes 2-5/*', 'bytes */9', 'bytes 5-2/9',
                     'bytes 2-9/9', 'bytes 2-5/9 ', 'bytes 2-5/9\n'):
            self.assertIsNone(blocks.content_range(text))


class BlockTest(unittest.TestCase):

    @PATIENT
    @hypothesis.given(st.integers(1, 60), st.data())
    def test_cut(self, size, data):
        first = data.draw(st.integers(0, size - 1))
        extent = blocks.Extent(first, data.draw(st.integers(first, size - 1)))
        whole, pieces = bytes(range(size)), []
        for number in blocks.numbers(extent, BLOCK):
            there = blocks.bounds(number, BLOCK, size)
            piece = blocks.cut(number, whole[there.first:there.last + 1],
                               extent, BLOCK)
            self.assertTrue(piece)
            pieces.append(piece)
        self.assertEqual(whole[first:extent.last + 1], b''.join(pieces))

    @PATIENT
    @hypothesis.given(st.sets(st.integers(0, 30)))
    def test_runs(self, numbers):
        found = blocks.runs(sorted(numbers))
        self.assertEqual(sorted(numbers), [n for run in found for n in run])
        for run in found:
            self.assertEqual(list(range(run[0], run[-1] + 1)), run)
        for one, other in zip(found, found[1:]):
            self.assertGreater(other[0], one[-1] + 1)

    @PATIENT
    @hypothesis.given(st.integers(1, 60), st.data())
    def test_cutter(self, size, data):
        last = (size - 1) // BLOCK
        first = data.draw(st.integers(0, last))
        run = range(first, data.draw(st.integers(first, last)) + 1)
        whole = bytes(range(size))
        rest = whole[run[0] * BLOCK:(run[-1] + 1) * BLOCK]
        cutter, found = blocks.Cutter(run, BLOCK, size), {}
        while rest:
            self.assertFalse(cutter.is_complete)
            count = data.draw(st.integers(0, len(rest)))
            found.update(cutter.feed(rest[:count]))
            rest = rest[count:]
        self.assertTrue(cutter.is_complete)
        self.assertEqual({number: whole[number * BLOCK:][:BLOCK]
                          for number in run}, found)
        self.assertEqual([], cutter.feed(b''))
        with self.assertRaises(ValueError):
            cutter.feed(b'x')

    def test_too_much_at_once(self):
        with self.assertRaises(ValueError):
            blocks.Cutter(range(1), BLOCK, 100).feed(bytes(BLOCK + 1))
