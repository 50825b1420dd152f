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
import unittest

import hypothesis
from hypothesis import strategies as st

from ai_factory_plugins.topology import fabric

LEVELS = ['block', 'leaf', 'clique']


def host(path, room=1, members=0):
    """A host from its path as text."""
    return fabric.Host(tuple(path.split('/')) if path else (), room, members)


class ParseTest(unittest.TestCase):

    def test_flavors(self):
        for level, policy, expected in (
                (None, None, None),
                ('leaf', None, fabric.Locality('leaf', 2)),
                ('block', 'required', fabric.Locality('block', 1)),
                ('clique', 'preferred', fabric.Locality('clique', 3, False))):
            specs = {key: value for key, value in (
                (fabric.LOCALITY, level), (fabric.LOCALITY_POLICY, policy),
                ('hw:numa_nodes', '2')) if value is not None}
            self.assertEqual(expected, fabric.parse(specs, LEVELS))
        self.assertEqual('leaf (required)', str(fabric.Locality('leaf', 2)))

    def test_wrong_flavors(self):
        for specs, problem in (
                ({fabric.LOCALITY: 'leef'},
                 "ai_factory:fabric_locality='leef' is not one of block, "
                 'leaf, clique'),
                ({fabric.LOCALITY: 'leaf', fabric.LOCALITY_POLICY: 'maybe'},
                 "'maybe' is not one of required, preferred"),
                ({fabric.LOCALITY_POLICY: 'required'},
                 'is set without ai_factory:fabric_locality')):
            with self.assertRaisesRegex(fabric.LocalityError, problem):
                fabric.parse(specs, LEVELS)

    def test_wrong_levels(self):
        for levels in ([], list('abcdefghi'), ['leaf', 'leaf'], ['a/b'],
                       [''], ['x' * 65]):
            with self.assertRaisesRegex(fabric.LocalityError, 'fabric_levels'):
                fabric.parse({fabric.LOCALITY: 'leaf'}, levels)
            self.assertIsNone(fabric.parse({}, levels))

    def test_paths(self):
        for texts, expected in (
                ([], ()),
                (['spine1/leaf3/rack7'], ('spine1', 'leaf3', 'rack7')),
                (['spine-1', 'spine-1'], ('spine-1',)),
                (['s/l/c', 's', 's/l'], ('s', 'l', 'c'))):
            self.assertEqual(expected, fabric.path_of(texts, LEVELS))

    def test_wrong_paths(self):
        for texts, problem in (
                ([''], 'is not a name'),
                (['/s/l'], 'is not a name'),
                (['s//c'], 'is not a name'),
                (['s/l '], 'is not a name'),
                (['s/\u0664'], 'is not a name'),
                (['s/' + 'x' * 65], 'is not a name'),
                (['s/l/c/x'], 'has 4 names, but there are 3 levels'),
                (['s/l1', 's/l2'], 'is both s/l1 and s/l2'),
                (['s1', 's2/l'], 'is both s1 and s2/l')):
            with self.assertRaisesRegex(fabric.PathError, problem):
                fabric.path_of(texts, LEVELS)


class CandidatesTest(unittest.TestCase):

    def found(self, need, depth, *hosts):
        return [str(block)
                for block in fabric.candidates(hosts, need, depth)]

    def test_fullest_that_fits_first(self):
        hosts = [host('s/big', 8), host('s/small', 1), host('s/small', 1),
                 host('s/middle', 3), host('s/middle', 1), host('')]
        for need, expected in (
                (1, ['s/small', 's/middle', 's/big']),
                (2, ['s/small', 's/middle', 's/big']),
                (3, ['s/middle', 's/big']),
                (5, ['s/big']),
                (9, [])):
            self.assertEqual(expected, self.found(need, 2, *hosts))
        self.assertEqual(['s'], self.found(14, 1, *hosts))

    def test_equals_go_where_the_surroundings_are_full(self):
        self.assertEqual(
            ['b/l1', 'a/l1', 'a/l2'],
            self.found(2, 2, host('a/l1', 2), host('a/l2', 2),
                       host('b/l1', 2), host('b/l2', 1))[:3])

    def test_once_placed_no_other_block_will_do(self):
        hosts = [host('s/l1', 2), host('s/l2', 4), host('s/l2', 0, 1)]
        self.assertEqual(['s/l2'], self.found(1, 2, *hosts))
        self.assertEqual([], self.found(5, 2, *hosts))
        self.assertEqual(['s'], self.found(5, 1, *hosts))

    def test_a_job_that_is_scattered_goes_where_most_of_it_is(self):
        hosts = [host('s/l1', 2, 1), host('s/l2', 5, 2), host('s/l3', 1, 3)]
        self.assertEqual(['s/l2', 's/l1'], self.found(2, 2, *hosts))

    def test_members_that_are_nowhere(self):
        self.assertEqual(
            [], self.found(1, 1, host('s', 4), host('', 0, 1)))

    def test_hosts_without_the_level(self):
        hosts = [host('s/l', 4), host('s/l/c', 1)]
        self.assertEqual(['s/l/c'], self.found(1, 3, *hosts))
        self.assertEqual([], self.found(2, 3, *hosts))
        self.assertEqual(['s/l'], self.found(5, 2, *hosts))


class PlacesTest(unittest.TestCase):

    def places(self, need, depth, **hosts):
        """Names of the hosts by place, best first."""
        found = collections.defaultdict(set)
        for name, place in zip(hosts, fabric.places(
                list(hosts.values()), need, depth)):
            found[place].add(name)
        return [' '.join(sorted(names)) for _, names in sorted(found.items())]

    def test_fullest_that_fits_first(self):
        self.assertEqual(['c', 'ab', 'd', 'e'], self.places(
            2, 1, ab=host('x', 3), c=host('y', 2), d=host('z', 1),
            e=host('', 9)))

    def test_no_more_cliques_than_needed(self):
        """All in one leaf: then the clique that takes all, or most of it."""
        cliques = {'a': host('s/l/a', 3), 'b': host('s/l/b', 2),
                   'c': host('s/l/c', 5), 'none': host('s/l', 9)}
        self.assertEqual(['b', 'a', 'c', 'none'],
                         self.places(2, 2, **cliques))
        self.assertEqual(['c', 'a', 'b', 'none'],
                         self.places(6, 2, **cliques))

    def test_what_has_to_be_split_stays_near(self):
        """No leaf has room for 4: two leaves of one block."""
        self.assertEqual(['b1', 'b2', 'a', 'c'], self.places(
            4, 2, a=host('a/l', 3), b1=host('b/l1', 3), b2=host('b/l2', 2),
            c=host('c/l', 1)))

    def test_members_are_followed(self):
        hosts = {'a': host('a/l1', 4), 'near': host('b/l1', 1),
                 'far': host('b/l2', 2), 'full': host('b/l1', 0, 2)}
        self.assertEqual('full near', self.places(1, 2, **hosts)[0])
        self.assertEqual(['full near', 'far', 'a'],
                         self.places(3, 2, **hosts))

    def test_nothing_is_known(self):
        self.assertEqual([], fabric.places([], 1, 2))
        self.assertEqual([0, 0], fabric.places([host(''), host('')], 1, 2))


HOSTS = st.lists(st.builds(
    fabric.Host,
    st.lists(st.sampled_from('ab'), max_size=3).map(tuple),
    st.integers(0, 4), st.sampled_from([0, 0, 0, 1, 2])), max_size=9)


class PropertyTest(unittest.TestCase):

    @hypothesis.given(HOSTS, st.integers(1, 6), st.integers(1, 3))
    def test_candidates_by_the_letter(self, hosts, need, depth):
        """The rules of the module's docstring, over all possible paths."""
        def count(path, what):
            return sum(getattr(item, what) for item in hosts
                       if item.path[:len(path)] == path)

        placed = sum(item.members for item in hosts)
        able = [path for path in itertools.product('ab', repeat=depth)
                if count(path, 'room') >= need
                and (count(path, 'members') or not placed)]
        found = fabric.candidates(hosts, need, depth)
        self.assertEqual(set(able), {block.path for block in found})
        self.assertEqual(len(able), len(found))
        for better, worse in itertools.pairwise(
                block.path for block in found):
            self.assertLessEqual(*(
                [-count(path, 'members'),
                 *(count(path[:n], 'room') for n in range(depth, 0, -1))]
                for path in (better, worse)))

    @hypothesis.given(HOSTS, st.integers(1, 6), st.integers(1, 3))
    def test_best_place_is_in_the_best_block(self, hosts, need, depth):
        places = fabric.places(hosts, need, depth)
        self.assertEqual(set(range(len(set(places)))), set(places))
        blocks = fabric.candidates(hosts, need, depth)
        if blocks:
            first = blocks[0]
            self.assertIn(0, places)
            for item, place in zip(hosts, places):
                if place == 0:
                    self.assertEqual(
                        (first.room, first.members), (
                            fabric.blocks(hosts, depth)[
                                item.path[:depth]].room,
                            fabric.blocks(hosts, depth)[
                                item.path[:depth]].members))

    @hypothesis.given(HOSTS, st.integers(1, 6), st.integers(1, 3))
    def test_one_by_one_a_job_stays_together(self, hosts, need, depth):
        """What fits into one block gets one, though chosen host by host."""
        hosts = [fabric.Host(item.path, item.room) for item in hosts]
        if not fabric.candidates(hosts, need, depth):
            return
        for left in range(need, 0, -1):
            places = fabric.places(hosts, left, depth)
            chosen = min((place, i) for i, place in enumerate(places)
                         if hosts[i].room)[1]
            old = hosts[chosen]
            hosts[chosen] = fabric.Host(
                old.path, old.room - 1, old.members + 1)
        used = {item.path[:depth] for item in hosts if item.members}
        self.assertEqual(1, len(used), hosts)
        self.assertEqual(depth, len(used.pop()))
