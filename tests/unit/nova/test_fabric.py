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


from nova import objects
from nova.scheduler import filters as nova_filters
from nova.scheduler import weights as nova_weights

from ai_factory_plugins.topology import fabric
from tests.unit.nova import fabric_base

spec = fabric_base.spec
group_of = fabric_base.group_of
aggregate = fabric_base.aggregate


class FilterTest(fabric_base.FabricTestCase):

    def test_fullest_block_that_fits(self):
        states = self.leaves(a=4, b=2, c=3)
        for count, leaf in ((2, 'b'), (3, 'c'), (4, 'a')):
            request = spec(count, fabric_locality='leaf')
            self.assertEqual(
                [f'{leaf}-{i}' for i in range(count)],
                self.passed(request, *states))
            self.assertIn(
                f'leaf (required), {count} to place, 0 placed: {count} of 9 '
                'hosts', self.log.output)
            self.assertIn(f'block s/{leaf} has room for {count}',
                          self.log.output)

    def test_equal_blocks_are_not_all_asked_for_the_same(self):
        found = {self.passed(spec(2, fabric_locality='leaf'),
                             *self.leaves(a=2, b=2))[0] for _ in range(50)}
        self.assertEqual({'a-0', 'b-0'}, found)

    def test_required_with_no_room_says_why(self):
        states = [
            *self.leaves(a=2, b=1), self.node('lost'),
            self.node('short', 's'), self.node('wrong', 's//l')]
        self.assertEqual(
            [], self.passed(spec(3, fabric_locality='leaf'), *states))
        for text in (
                'INFO Fabric locality for server', '0 of 6 hosts',
                '3 in blocks without room for all', '1 no fabric path',
                '1 fabric path without this level', '1 unusable fabric path',
                'no block will do, the best is s/a with room for 2 and 0 '
                'placed there'):
            self.assertIn(text, self.log.output)

    def test_no_block_at_all(self):
        self.assertEqual([], self.passed(
            spec(2, fabric_locality='clique'), *self.leaves(a=2)))
        self.assertIn('no host is in a block of this level', self.log.output)

    def test_group_stays_in_its_block(self):
        """Whose hosts with members are full, and so not on offer."""
        self.node('full', 's/b')
        states = self.leaves(a=1, b=2)
        request = spec(group=group_of('full'), fabric_locality='leaf')
        self.assertEqual(['b-0', 'b-1'], self.passed(request, *states))
        self.assertIn('1 placed: 2 of 3 hosts', self.log.output)
        self.assertIn('1 in blocks without members', self.log.output)
        request.num_instances = 3
        self.assertEqual([], self.passed(request, *states))
        self.assertIn('the best is s/b with room for 2 and 1 placed there',
                      self.log.output)

    def test_members_are_on_hosts_without_a_path(self):
        states = self.leaves(a=2)
        self.assertEqual([], self.passed(
            spec(group=group_of('nowhere'), fabric_locality='leaf'),
            *states))

    def test_malformed_path_is_logged_once(self):
        states = [self.node('m1', 's/l/c/x'), self.node('m2', 's/l')]
        states[1].aggregates.append(aggregate({fabric.PATH: 's/k'}, 'm2'))
        for _ in range(3):
            self.assertEqual([], self.passed(
                spec(2, fabric_locality='leaf'), *states))
        log = self.log.output
        self.assertEqual(2, log.count('WARNING'))
        self.assertIn('WARNING Host m1 is treated as one without a path', log)
        self.assertIn('has 4 names, but there are 3 levels', log)
        self.assertIn('is both s/k and s/l', log)

    def test_aggregates_may_be_nested(self):
        states = [self.node('n1', 's/l'), self.node('n2', 's/l')]
        states[0].aggregates.extend([
            aggregate({'ssd': 'true'}), aggregate({fabric.PATH: 's/l/c'})])
        request = spec(group=group_of(), fabric_locality='clique')
        self.assertEqual(['n1'], self.passed(request, *states))

    def test_other_level_names(self):
        self.conf.config(group='ai_factory', fabric_levels=['row', 'rack'])
        states = [self.node('r1', 'row1/r1'), self.node('r2', 'row1/r2')]
        self.assertEqual([], self.passed(
            spec(2, fabric_locality='rack'), *states))
        self.assertEqual(['r1', 'r2'], self.passed(
            spec(2, fabric_locality='row'), *states))
        self.assertEqual([], self.passed(
            spec(2, fabric_locality='leaf'), *states))
        self.assertIn("='leaf' is not one of row, rack", self.log.output)

    def test_typo_in_the_flavor(self):
        request = spec(2, fabric_locality='lief')
        states = self.leaves(a=2)
        self.assertEqual([], self.passed(request, *states))
        self.assertIn('ERROR No host for server', self.log.output)
        self.assertIn("ai_factory:fabric_locality='lief' is not one of block, "
                      'leaf, clique', self.log.output)
        self.assertEqual([0.0, 0.0], self.weigher.weigh_objects(
            [nova_weights.WeighedHost(state, 0) for state in states],
            request))

    def test_who_is_not_concerned_passes(self):
        states = [*self.leaves(a=1), self.node('m3', '//')]
        rebuild = spec(group=group_of(), fabric_locality='leaf')
        rebuild.scheduler_hints = {'_nova_check_type': ['rebuild']}
        for request in (spec(5), spec(1, fabric_locality='leaf'), rebuild):
            self.assertEqual(['a-0', 'm3'], self.passed(request, *states))
        self.assertEqual('', self.log.output)

    def test_preferred_passes_all(self):
        states = [*self.leaves(a=1), self.node('lost')]
        self.assertEqual(['a-0', 'lost'], self.passed(
            spec(3, fabric_locality='leaf',
                 fabric_locality_policy='preferred'), *states))
        self.assertIn('leaf (preferred)', self.log.output)
        self.assertIn('2 of 2 hosts', self.log.output)

    def test_moves(self):
        """They look for one host, however many were created together."""
        self.node('full', 's/b')
        states = self.leaves(a=1, b=1)
        destination = objects.Destination(cell=None)
        grouped = spec(4, group_of('full'), fabric_locality='leaf')
        alone = spec(4, fabric_locality='leaf')
        grouped.requested_destination = destination
        alone.requested_destination = destination
        self.assertEqual(['b-0'], self.passed(grouped, *states))
        self.assertNotIn('not in a server group', self.log.output)
        self.assertEqual(['a-0', 'b-0'], self.passed(alone, *states))
        self.assertIn('not in a server group', self.log.output)

    def test_boot_on_a_host_is_no_move(self):
        request = spec(2, fabric_locality='leaf')
        request.requested_destination = objects.Destination(
            host='a-0', node='a-0')
        self.assertEqual([], self.passed(request, *self.leaves(a=1)))

    def test_build_that_is_tried_again(self):
        request = spec(2, group_of(), fabric_locality='leaf')
        request.retry = objects.SchedulerRetries(num_attempts=2)
        self.assertEqual(
            ['a-0'], self.passed(request, *self.leaves(a=1, b=2)))


class ScheduleTest(fabric_base.FabricTestCase):

    def test_multi_create_stays_in_one_block(self):
        for count, leaf in ((2, 'b'), (3, 'c'), (4, 'a')):
            picked = self.schedule(spec(count, fabric_locality='leaf'),
                                   self.leaves(a=5, b=2, c=3))
            self.assertEqual({leaf}, {name[0] for name in picked})
            self.assertEqual(count, len(set(picked)))
            self.assertEqual({leaf}.intersection(['a']),
                             {name[0] for name in self.alternates})
        self.assertIsNone(self.schedule(
            spec(4, fabric_locality='leaf'), self.leaves(a=3, b=3)))

    def test_group_of_a_multi_create(self):
        for policy in ('soft-anti-affinity', 'soft-affinity'):
            group = group_of(policy=policy)
            picked = self.schedule(
                spec(3, group, fabric_locality='leaf'),
                self.leaves(a=5, b=2, c=3))
            self.assertEqual({'c-0', 'c-1', 'c-2'}, set(picked))

    def test_preferred_spills_no_more_than_it_has_to(self):
        picked = self.schedule(
            spec(4, fabric_locality='leaf',
                 fabric_locality_policy='preferred'),
            [*self.leaves(a=1, b=3), self.node('t', 't/x'),
             self.node('none')])
        self.assertEqual(['b-0', 'b-1', 'b-2', 'a-0'], picked)

    def test_preferred_stays_in_one_block_where_there_is_room(self):
        for with_filter in (True, False):
            if not with_filter:
                self.filter = None
            picked = self.schedule(
                spec(3, fabric_locality='leaf',
                     fabric_locality_policy='preferred'),
                self.leaves(a=4, b=2, c=3))
            self.assertEqual({'c-0', 'c-1', 'c-2'}, set(picked))

    def test_preferred_follows_its_group(self):
        self.node('full', 's/a')
        picked = self.schedule(
            spec(2, group_of('full'), fabric_locality='leaf',
                 fabric_locality_policy='preferred'),
            self.leaves(b=2, a=1))
        self.assertEqual(['a-0', 'b-0'], picked)

    def test_cliques_within_a_leaf(self):
        """A job that is content with a leaf takes one clique if it can."""
        states = [self.node(f'{clique}{i}', f's/l/{clique}')
                  for i in range(3) for clique in 'abc'][:8]
        self.assertEqual({'c0', 'c1'}, set(self.schedule(
            spec(2, fabric_locality='leaf'), states)))

    def test_parallel_requests_do_not_disturb_each_other(self):
        """Their passes alternate, as those of threads may."""
        handler = nova_filters.HostFilterHandler()
        runs = [(spec(count, fabric_locality='leaf',
                      fabric_locality_policy=policy),
                 self.leaves(a=4, b=3, c=2), [])
                for count, policy in ((2, 'required'), (3, 'preferred'),
                                      (4, 'required'), (2, 'preferred'))]
        for index in range(4):
            for i, (request, states, picked) in enumerate(runs):
                if index < request.num_instances:
                    states = self.pass_over(handler, request, states, index)
                    states[0].consume_from_request(request)
                    picked.append(states[0].host)
                    runs[i] = request, states, picked
        self.assertEqual(
            [{'c-0', 'c-1'}, {'b-0', 'b-1', 'b-2'},
             {'a-0', 'a-1', 'a-2', 'a-3'}, {'c-0', 'c-1'}],
            [set(picked) for _, _, picked in runs])

    def test_several_on_one_host(self):
        states = [self.node('a', 's/a', servers=3),
                  self.node('b', 's/b', servers=2)]
        request = spec(2, fabric_locality='leaf')
        self.assertEqual(['b', 'b'], self.schedule(request, states))

    def test_locality_prevails_over_other_weighers(self):
        class Other(nova_weights.BaseHostWeigher):
            def weight_multiplier(self, host_state):
                return 100.0

            def _weigh_object(self, host_state, request):
                return ord(host_state.host[0])

        picked = self.schedule(
            spec(2, fabric_locality='leaf',
                 fabric_locality_policy='preferred'),
            self.leaves(a=2, b=3, c=4, d=5, e=6),
            [Other(), self.weigher])
        self.assertEqual({'a-0', 'a-1'}, set(picked))


class WeigherTest(fabric_base.FabricTestCase):

    def test_other_requests_weigh_nothing(self):
        weighed = [nova_weights.WeighedHost(state, 0)
                   for state in self.leaves(a=1, b=2)]
        for request in (spec(2), spec(1, fabric_locality='leaf')):
            self.assertEqual(
                [0.0] * 3, self.weigher.weigh_objects(weighed, request))

    def test_weights(self):
        weighed = [nova_weights.WeighedHost(state, 0)
                   for state in self.leaves(a=1, b=2, c=3)]
        self.assertEqual(
            [0.25, 1.0, 1.0, 0.5, 0.5, 0.5],
            self.weigher.weigh_objects(
                weighed, spec(2, fabric_locality='leaf')))

    def test_aggregate_overrides_the_multiplier(self):
        state, = self.leaves(a=1)
        self.assertEqual(1000.0, self.weigher.weight_multiplier(state))
        self.conf.config(
            group='ai_factory', fabric_locality_weight_multiplier=7.0)
        self.assertEqual(7.0, self.weigher.weight_multiplier(state))
        state.aggregates.append(aggregate(
            {'fabric_locality_weight_multiplier': '-2.5'}))
        self.assertEqual(-2.5, self.weigher.weight_multiplier(state))
