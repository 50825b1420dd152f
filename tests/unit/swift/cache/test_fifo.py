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
import random
import unittest

import hypothesis
from hypothesis import strategies as st

from ai_factory_plugins.swift.cache import fifo

PATIENT = hypothesis.settings(
    deadline=None, suppress_health_check=[hypothesis.HealthCheck.too_slow])


class FifoTest(unittest.TestCase):

    def test_a_value(self):
        found = fifo.Fifo(10)
        self.assertIsNone(found.get('a'))
        self.assertTrue(found.put('a', 1, 4))
        self.assertEqual((1, 4), (found.get('a'), found.cost))
        self.assertTrue(found.put('a', 2, 5))
        self.assertEqual((2, 5), (found.get('a'), found.cost))
        self.assertFalse(found.put('b', 3, 11))
        found.discard('a')
        found.discard('a')
        self.assertEqual((0, 0), (len(found), found.cost))

    @PATIENT
    @hypothesis.given(st.lists(st.tuples(
        st.sampled_from('ppg d'), st.integers(0, 20), st.integers(1, 12))))
    def test_bounds(self, steps):
        """Like a dict that forgets, and tells what it forgets."""
        gone, there = [], {}
        found = fifo.Fifo(30, lambda key, value: gone.append((key, value)))
        for kind, key, cost in steps:
            if kind == 'p':
                found.put(key, (key, cost), cost)
                there[key] = (key, cost)
                for item in gone:
                    if there.get(item[0]) == item[1]:
                        del there[item[0]]
                gone.clear()
            elif kind == 'd':
                found.discard(key)
                there.pop(key, None)
            else:
                self.assertEqual(there.get(key), found.get(key))
            self.assertLessEqual(found.cost, 30)
            self.assertEqual(found.cost, sum(c for _, c in there.values()))
            self.assertEqual(len(there), len(found))

    def hits(self, found, keys):
        count = 0
        for key in keys:
            if found.get(key) is None:
                found.put(key, key, 1)
            else:
                count += 1
        return count

    def test_scan(self):
        found = fifo.Fifo(1000, chance=random.Random(7).random)
        hot = [('hot', number) for number in range(500)]
        for _ in range(3):
            self.hits(found, hot)
        self.hits(found, range(100000))
        self.assertEqual(500, self.hits(found, hot))

    def test_scan_between_reads(self):
        """Random reads of what is hot, while others read everything once."""
        found = fifo.Fifo(1000, chance=random.Random(7).random)
        rng = random.Random(5)
        hits = asked = 0
        for number in range(50000):
            key = ('hot', rng.randrange(800))
            asked += 1
            hits += self.hits(found, [key])
            self.hits(found, [number])
        self.assertGreater(hits / asked, 0.9)

    def test_a_loop_that_does_not_fit(self):
        """Epochs over more than there is room for: LRU would have no hit."""
        found = fifo.Fifo(1000, chance=random.Random(7).random)
        rng, keys = random.Random(5), list(range(2000))
        hits = 0
        for epoch in range(8):
            rng.shuffle(keys)
            count = self.hits(found, keys)
            if epoch >= 4:
                hits += count
        self.assertGreater(hits / 8000, 0.25)

    def test_hot_set_changes(self):
        found = fifo.Fifo(1000, chance=random.Random(7).random)
        for name in 'abc':
            keys = [(name, number) for number in range(800)]
            for _ in range(16):
                self.hits(found, keys)
            self.assertGreater(self.hits(found, keys), 760)
