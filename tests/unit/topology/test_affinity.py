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


import itertools
import unittest

import hypothesis
from hypothesis import strategies as st

from ai_factory_plugins.topology import affinity
from ai_factory_plugins.topology import model


def device(key, *switches, numa_node=0):
    return model.Device(key, numa_node=numa_node, switches=switches)


PATHS = st.sampled_from([
    (), ('a',), ('a', 'x'), ('a', 'y'), ('b',), ('b', 'x2'), ('b', 'y2')])


class ChooseTest(unittest.TestCase):

    def test_each_gpu_gets_the_nic_beside_it(self):
        gpus = [device('g0', 's0'), device('g1', 's1')]
        nics = {device(f'n{i}', f's{i}'): 1 for i in range(4)}
        found = affinity.choose(gpus, nics, 2)
        self.assertEqual({'n0', 'n1'}, set(found.keys))
        self.assertEqual(0, found.apart)

    def test_the_nearest_switch_in_common_counts(self):
        gpus = [device('g', 'root', 'leaf0')]
        nics = {device('far', 'root', 'leaf1'): 1,
                device('near', 'root', 'leaf0'): 1}
        self.assertEqual(('near',), affinity.choose(gpus, nics, 1).keys)
        self.assertEqual({'near', 'far'},
                         set(affinity.choose(gpus, nics, 2).keys))

    def test_virtual_functions_are_spread(self):
        gpus = [device('g0', 's0'), device('g1', 's1')]
        nics = {device('n0', 's0'): 8, device('n1', 's1'): 8}
        found = affinity.choose(gpus, nics, 4)
        self.assertEqual(['n0', 'n0', 'n1', 'n1'], sorted(found.keys))

    def test_what_is_apart_is_on_the_same_node_at_least(self):
        gpus = [device('g', 's0', numa_node=1)]
        nics = {device('other', 's5', numa_node=0): 1,
                device('same', 's6', numa_node=1): 1}
        self.assertEqual(
            affinity.Nics(('same',), 1), affinity.choose(gpus, nics, 1))

    def test_no_switch_is_not_a_switch_in_common(self):
        found = affinity.choose([device('g')], {device('n'): 1}, 1)
        self.assertEqual(1, found.apart)

    def test_too_few(self):
        self.assertIsNone(
            affinity.choose([device('g')], {device('n'): 1}, 2))

    @hypothesis.given(st.lists(PATHS, min_size=1, max_size=4),
                      st.lists(PATHS, min_size=1, max_size=5), st.data())
    def test_as_many_are_near_as_can_be(self, gpu_paths, nic_paths, data):
        gpus = [device(f'g{i}', *path) for i, path in enumerate(gpu_paths)]
        nics = [device(f'n{i}', *path) for i, path in enumerate(nic_paths)]
        count = data.draw(st.integers(1, len(nics)))
        found = affinity.choose(gpus, dict.fromkeys(nics, 1), count)
        self.assertEqual(count, len(set(found.keys)))
        near = {nic.key for nic in nics for gpu in gpus
                if set(nic.switches[:1]) & set(gpu.switches[:1])}
        self.assertEqual(max(0, count - len(near)), found.apart)
        # In the first round, each GPU that can have a NIC has its own.
        best = max(
            sum(bool(set(gpu.switches[:1]) & set(nic.switches[:1]))
                for gpu, nic in zip(gpus, order))
            for order in itertools.permutations(
                [*nics, *map(device, 'xxxx')], len(gpus)))
        first = affinity.choose(
            gpus, dict.fromkeys(nics, 1), min(len(nics), best) or 1)
        self.assertEqual(0 if best else 1, first.apart)
