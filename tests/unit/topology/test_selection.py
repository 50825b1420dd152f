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


import collections
import itertools
import random
import unittest

import hypothesis
from hypothesis import strategies as st

from ai_factory_plugins.topology import model
from ai_factory_plugins.topology import selection

Level = model.Level


@st.composite
def topologies(draw):
    """Boards of up to six GPUs with any partitions, groups and NUMA nodes."""
    count = draw(st.integers(1, 6))
    keys = [f'gpu{i}' for i in range(count)]
    subsets = st.sets(st.sampled_from(keys), min_size=1)
    partitions = draw(st.lists(st.tuples(subsets, st.booleans()), max_size=8))
    groups = draw(st.lists(st.tuples(
        st.sampled_from([Level.NVLINK, Level.PCIE]), subsets), max_size=4))
    return tuple(
        model.Device(
            key,
            numa_node=draw(st.sampled_from([None, 0, 1])),
            partitions=tuple(
                model.PartitionRef(i, len(members), degraded)
                for i, (members, degraded) in enumerate(partitions)
                if key in members),
            groups=tuple(sorted(
                model.GroupRef(level, str(i), len(members))
                for i, (level, members) in enumerate(groups)
                if key in members)))
        for key in keys)


class Reference:
    """The rules of the module's docstring, spelled out over all subsets."""

    def __init__(self, devices):
        self.devices = devices
        self.numa = {d.key: d.numa_node for d in devices}
        self.partitioned = {d.key for d in devices if d.partitions}
        self.groups = collections.defaultdict(set)
        partitions = collections.defaultdict(set)
        for device in devices:
            for ref in device.partitions:
                partitions[ref].add(device.key)
            for ref in device.groups:
                self.groups[ref].add(device.key)
        self.free = {ref: members for ref, members in partitions.items()
                     if len(members) == ref.size}

    def level(self, keys):
        exact = keys in self.free.values()
        alone = len(keys) == 1 and not keys & self.partitioned
        if exact or alone or self.inside(keys, Level.NVLINK):
            return Level.NVLINK
        if self.inside(keys, Level.PCIE):
            return Level.PCIE
        nodes = {self.numa[key] for key in keys}
        if len(nodes) == 1 and None not in nodes:
            return Level.NUMA
        return Level.HOST

    def inside(self, keys, level):
        return any(keys <= members for ref, members in self.groups.items()
                   if ref.level == level)

    def cost(self, keys):
        refs = [ref for ref, members in self.free.items() if members == keys]
        nvlink = self.lost([
            members for ref, members in self.groups.items()
            if ref.level == Level.NVLINK], keys)
        for ref, members in self.free.items():
            if members & keys and members != keys:
                nvlink[ref.size] += 1
        nodes = [{k for k in self.numa if self.numa[k] == node}
                 for node in set(self.numa.values())]
        return (
            self.level(keys),
            bool(refs) and all(ref.degraded for ref in refs),
            sorted(nvlink.items(), reverse=True),
            len({self.numa[key] for key in keys}),
            sorted(self.lost([
                members for ref, members in self.groups.items()
                if ref.level == Level.PCIE], keys).items(), reverse=True),
            sorted(self.lost(nodes, keys).items(), reverse=True))

    @staticmethod
    def lost(pools, keys):
        """Request sizes that fitted into a pool before and not after."""
        lost = collections.Counter()
        for pool in pools:
            for size in range(1, len(pool) + 1):
                if len(pool) >= size > len(pool - keys):
                    lost[size] += 1
        return lost

    def all(self, count, level):
        return [
            keys for keys in map(
                frozenset, itertools.combinations(sorted(self.numa), count))
            if self.level(keys) <= level]


def as_tuple(cost):
    return (cost.level, cost.degraded, list(cost.nvlink), cost.numa_span,
            list(cost.pcie), list(cost.numa))


class SelectionAgainstBruteForceTest(unittest.TestCase):

    def check(self, free, count, level, shuffle=None):
        reference = Reference(free)

        found = list(selection.FreePool(free).best(count, level, shuffle))

        valid = reference.all(count, level)
        sets = [frozenset(d.key for d in item.devices) for item in found]
        costs = [as_tuple(item.cost) for item in found]
        self.assertEqual(bool(valid), bool(found))
        self.assertLessEqual(set(sets), set(valid))
        self.assertEqual(len(sets), len(set(sets)))
        self.assertEqual([reference.cost(keys) for keys in sets], costs)
        self.assertEqual(sorted(costs), costs)
        # Nothing is left out but what is interchangeable with what is there.
        self.assertEqual(
            {repr(reference.cost(keys)) for keys in valid},
            set(map(repr, costs)))

    @hypothesis.settings(max_examples=400, deadline=None)
    @hypothesis.given(topologies(), st.data())
    def test_best(self, devices, data):
        # Some of the GPUs are in use, and so not even seen.
        free = data.draw(st.lists(
            st.sampled_from(devices), unique_by=lambda d: d.key, min_size=1))
        self.check(
            free, data.draw(st.integers(1, len(free))),
            data.draw(st.sampled_from(list(Level))),
            data.draw(st.sampled_from([None, random.Random(1).shuffle])))

    def test_two_partitions_of_the_same_single_gpu(self):
        refs = [model.PartitionRef(i, 1) for i in range(4)]
        self.check([
            model.Device('a', partitions=(refs[0], refs[1])),
            model.Device('b', partitions=(refs[2],)),
            model.Device('c', partitions=(refs[3],))], 2, Level.HOST)


def board(*names, **partitions):
    """Devices named by single letters, with partitions p<id>='members'."""
    members = {int(name[1:]): set(text) for name, text in partitions.items()}
    return {
        name: model.Device(
            name, numa_node=int(name > 'd'),
            partitions=tuple(
                model.PartitionRef(id_, len(those))
                for id_, those in sorted(members.items()) if name in those))
        for name in names}


# The shape of an HGX board: one partition of eight, two of four, four pairs.
HGX = dict(
    p0='abcdefgh', p1='abcd', p2='efgh', p3='ab', p4='cd', p5='ef', p6='gh',
    **{f'p{i + 7}': name for i, name in enumerate('abcdefgh')})


class SelectionTest(unittest.TestCase):

    def best(self, free, count, level=Level.NVLINK):
        devices = board(*'abcdefgh', **HGX)
        pool = selection.FreePool([devices[name] for name in free])
        return [''.join(d.key for d in item.devices)
                for item in pool.best(count, level)]

    def test_only_exact_partitions_are_joined(self):
        self.assertEqual(['abcd', 'efgh'], self.best('abcdefgh', 4))
        self.assertEqual(['efgh'], self.best('bcdefgh', 4))
        self.assertEqual([], self.best('bcdfgh', 4))
        self.assertEqual([], self.best('abcdefgh', 3))

    def test_single_gpu_breaks_the_smallest_set(self):
        # a is alone, cd is a pair, efgh is a quad
        self.assertEqual('a', self.best('acdefgh', 1)[0])
        self.assertIn(self.best('cdefgh', 1)[0], 'cd')

    def test_pair_leaves_the_quad_whole(self):
        self.assertEqual(['cd', 'ef', 'gh'], self.best('cdefgh', 2))

    def test_loose_request_still_takes_the_tightest(self):
        self.assertEqual('efgh', self.best('bcdefgh', 4, Level.HOST)[0])

    def test_what_no_level_joins_needs_the_host(self):
        self.assertEqual([], self.best('adeh', 4, Level.NUMA))
        self.assertEqual(['adeh'], self.best('adeh', 4, Level.HOST))

    def test_ties_are_shuffled(self):
        pool = selection.FreePool(board(*'abcdefgh', **HGX).values())
        rng = random.Random(7)
        first = {
            (count, frozenset(d.key for d in next(
                pool.best(count, shuffle=rng.shuffle)).devices))
            for count in (1, 2, 4) for _ in range(200)}
        self.assertEqual(8 + 4 + 2, len(first))

    def test_degraded_partition_is_the_last(self):
        refs = [model.PartitionRef(0, 1, True), model.PartitionRef(1, 1)]
        pool = selection.FreePool([
            model.Device('a', partitions=(refs[0],)),
            model.Device('b', partitions=(refs[1],))])
        self.assertEqual(
            [(1, False), (0, True)],
            [(s.partition, s.cost.degraded) for s in pool.best(1)])

    def test_partition_sizes(self):
        devices = board(*'abcdefgh', **HGX)
        del devices['h']
        self.assertEqual(
            {1: 7, 2: 3, 4: 1},
            selection.FreePool(devices.values()).partition_sizes())

    def test_count_out_of_range(self):
        self.assertEqual([], self.best('ab', 3, Level.HOST))
        self.assertEqual([], self.best('ab', 0, Level.HOST))
        self.assertEqual([], self.best('', 1, Level.HOST))

    def test_describe(self):
        devices = board(*'abcdefgh', **HGX)
        pool = selection.FreePool(devices.values())
        self.assertEqual(4, pool.describe('cd').partition)
        self.assertEqual(Level.NUMA, pool.describe('bc').cost.level)
        self.assertRaises(KeyError, pool.describe, 'xy')

    def test_contradicting_devices(self):
        for devices in (
                # two sizes of one partition
                [model.Device('a', partitions=(model.PartitionRef(1, 2),)),
                 model.Device('b', partitions=(model.PartitionRef(1, 3),))],
                # more members than the partition has
                [model.Device(k, partitions=(model.PartitionRef(1, 1),))
                 for k in 'ab'],
                [model.Device('a'), model.Device('a')]):
            self.assertRaises(
                selection.InconsistentTopology, selection.FreePool, devices)

    def test_made_up_table_does_not_hold_the_scheduler_up(self):
        rng = random.Random(3)
        members = [set(rng.sample(range(16), 8)) for _ in range(200)]
        devices = [model.Device(str(i), partitions=tuple(
            model.PartitionRef(p, 8) for p, those in enumerate(members)
            if i in those)) for i in range(16)]
        found = list(selection.FreePool(devices).best(8, Level.HOST))
        self.assertLessEqual(len(found), 4 * selection.MAX_SETS_PER_LEVEL)
