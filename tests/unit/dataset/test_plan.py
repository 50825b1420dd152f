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

"""Few servers hold all; more share a large batch."""

import collections
import random
import unittest

import hypothesis
from hypothesis import strategies as st

from ai_factory_plugins.dataset import plan

# The machine may be busy.
PATIENT = hypothesis.settings(
    deadline=None, suppress_health_check=[hypothesis.HealthCheck.too_slow])
WANTED = st.dictionaries(
    st.integers(0, 200),
    st.tuples(st.integers(1, 5), st.sets(st.integers(0, 8), max_size=3)),
    max_size=40)


class AssignTest(unittest.TestCase):

    @PATIENT
    @hypothesis.given(WANTED, st.integers(1, 50), st.integers())
    def test_each_goes_to_a_server_that_holds_it(
            self, wanted, per_request, seed):
        given = plan.assign(wanted, per_request, rng=random.Random(seed))
        self.assertEqual(
            given.keys(), {key for key, (_, held) in wanted.items() if held})
        for key, server in given.items():
            self.assertIn(server, wanted[key][1])

    def test_one_server_for_a_small_batch(self):
        wanted = {key: (1, {'a', 'b', 'c'}) for key in range(32)}
        self.assertEqual(len(set(plan.assign(wanted, 64).values())), 1)

    def test_a_large_batch_is_shared(self):
        wanted = {key: (1, {'a', 'b', 'c'}) for key in range(256)}
        counts = collections.Counter(plan.assign(wanted, 64).values())
        self.assertEqual(len(counts), 3)
        self.assertLess(max(counts.values()) - min(counts.values()), 3)

    def test_servers_take_turns(self):
        wanted = {0: (1, {'a', 'b', 'c'})}
        chosen = {plan.assign(wanted, 64)[0] for _ in range(200)}
        self.assertEqual(chosen, {'a', 'b', 'c'})

    def test_a_cover_is_near_the_best(self):
        """Objects on 300 servers, a few of which hold most."""
        rng = random.Random(1)
        wanted = {key: (1, {rng.randrange(300), rng.randrange(5), 300 + key})
                  for key in range(2000)}
        given = plan.assign(wanted, 1000, rng=rng)
        self.assertLessEqual(len(set(given.values())), 5)


class WaveTest(unittest.TestCase):

    def test_servers_are_limited(self):
        wave = plan.Wave(2, 100)
        self.assertTrue(wave.admits({'a'}))
        self.assertTrue(wave.admits({'a'}))
        self.assertTrue(wave.admits(set()))
        self.assertTrue(wave.admits({'b'}))
        self.assertFalse(wave.admits({'c'}))
        self.assertTrue(wave.admits({'c', 'b'}))

    def test_entries_are_limited(self):
        wave = plan.Wave(2, 3)
        self.assertEqual([wave.admits({'a'}) for _ in range(4)],
                         [True, True, True, False])
