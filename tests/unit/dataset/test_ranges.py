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

"""Ranges, beside the plainest code that does the same."""

import unittest

import hypothesis
from hypothesis import strategies as st

from ai_factory_plugins.dataset import ranges

# The machine may be busy.
PATIENT = hypothesis.settings(
    deadline=None, suppress_health_check=[hypothesis.HealthCheck.too_slow])
SMALL = st.integers(0, 60)
RANGE = st.one_of(
    st.tuples(SMALL, SMALL).map(lambda pair: (min(pair), max(pair))),
    st.tuples(SMALL, st.none()), st.tuples(st.none(), SMALL))
PARTS = st.lists(st.tuples(st.integers(0, 500), st.integers(0, 50)),
                 max_size=12)


class ResolveTest(unittest.TestCase):

    def test_examples(self):
        for wanted, size, parts in (
                ([], 10, [(0, 10)]), ([], 0, [(0, 0)]),
                ([(0, 0)], 10, [(0, 1)]), ([(3, 5)], 10, [(3, 3)]),
                ([(3, 50)], 10, [(3, 7)]), ([(9, None)], 10, [(9, 1)]),
                ([(10, None)], 10, None), ([(10, 20)], 10, None),
                ([(None, 3)], 10, [(7, 3)]), ([(None, 30)], 10, [(0, 10)]),
                ([(None, 0)], 10, None), ([(None, 3)], 0, [(0, 0)]),
                ([(0, None)], 0, None), ([(0, 1), (10, 10)], 10, None),
                ([(5, 6), (0, 1), (5, 6)], 10, [(5, 2), (0, 2), (5, 2)])):
            self.assertEqual(ranges.resolve(wanted, size), parts)

    @PATIENT
    @hypothesis.given(st.lists(RANGE, max_size=5), st.integers(0, 50))
    def test_parts_are_inside(self, wanted, size):
        parts = ranges.resolve(wanted, size)
        if parts is not None:
            self.assertEqual(len(parts), len(wanted) or 1)
            for start, length in parts:
                self.assertLessEqual(0, start)
                self.assertLessEqual(0, length)
                self.assertLessEqual(start + length, size)


class HeaderTest(unittest.TestCase):

    def test_examples(self):
        for wanted, header in (
                ((0, 9), 'bytes=0-9'), ((7, 7), 'bytes=7-7'),
                ((5, None), 'bytes=5-'), ((None, 5), 'bytes=-5')):
            self.assertEqual(ranges.header(wanted), header)


class AfterTest(unittest.TestCase):

    @PATIENT
    @hypothesis.given(PARTS, st.integers(0, 700))
    def test_the_rest_is_what_is_missing(self, parts, count):
        whole = [at for start, length in parts
                 for at in range(start, start + length)]
        rest = [at for first, last in ranges.after(parts, count)
                for at in range(first, last + 1)]
        self.assertEqual(rest, whole[count:])


class CoalesceTest(unittest.TestCase):

    def test_near_and_far(self):
        self.assertEqual(
            ranges.coalesce([(100, 10), (0, 10), (15, 5)], 5, 1000),
            [((0, 20), [1, 2]), ((100, 10), [0])])

    def test_limit(self):
        self.assertEqual(
            ranges.coalesce([(0, 10), (10, 10), (20, 10)], 0, 20),
            [((0, 20), [0, 1]), ((20, 10), [2])])

    @PATIENT
    @hypothesis.given(PARTS, st.integers(0, 40), st.integers(1, 200))
    def test_each_part_is_in_one_read(self, parts, gap, limit):
        reads = ranges.coalesce(parts, gap, limit)
        numbers = [number for _, members in reads for number in members]
        self.assertEqual(sorted(numbers), list(range(len(parts))))
        for (start, length), members in reads:
            for number in members:
                first, count = parts[number]
                self.assertLessEqual(start, first)
                self.assertLessEqual(first + count, start + length)
            # All of it is wanted, but for the gaps.
            covered = sorted(parts[number] for number in members)
            end = covered[0][0]
            for first, count in covered:
                self.assertLessEqual(first, end + gap)
                end = max(end, first + count)
            self.assertEqual(end, start + length)
            if len(members) > 1:
                self.assertLessEqual(
                    length, max(limit, *(count for _, count in covered)))
