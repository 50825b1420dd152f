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

import fixtures
from keystoneauth1 import exceptions as ks_exc
from nova.compute import task_states
from nova import exception
from nova import weights as nova_weights

from ai_factory_plugins.nova import filters
from ai_factory_plugins.nova import moves
from ai_factory_plugins.nova import weighers
from tests.unit.nova import base


class GPUTopologyFilterTest(base.NovaTestCase):

    def setUp(self):
        super().setUp()
        self.filter = filters.GPUTopologyFilter()

    def run_filter(self, spec, *hosts, offers=1):
        """Names of the hosts that pass, and the GPUs of their candidates."""
        states = [host.state(spec, offers) for host in hosts]
        by_name = {host.name: host for host in hosts}
        return {
            state.host: [by_name[state.host].modules_of(candidate)
                         for candidate in state.allocation_candidates]
            for state in self.filter.filter_all(iter(states), spec)}

    def test_pair_that_placement_did_not_offer(self):
        """The one candidate offered is PCI order; it becomes a partition."""
        host = self.host('hgx')
        host.use(5)
        self.sync(host)
        for _ in range(20):
            found = self.run_filter(base.request_spec(2), host)
            self.assertIn(found['hgx'], [[[6, 8]], [[1, 3]], [[2, 4]]])

    def test_candidate_can_be_claimed(self):
        """Allocations and mappings name the same devices, and all of them."""
        host = self.host('hgx')
        self.sync(host)
        spec = base.request_spec(4)
        state, = self.filter.filter_all([host.state(spec)], spec)
        candidate, = state.allocation_candidates
        mapped = {
            provider for group, providers in candidate['mappings'].items()
            for provider in providers if group}
        self.assertEqual(4, len(mapped))
        self.assertEqual(
            {host.root: {'resources': {'VCPU': 4, 'MEMORY_MB': 1024}},
             **{p: {'resources': {base.RESOURCE_CLASS: 1}} for p in mapped}},
            candidate['allocations'])
        self.assertEqual(
            {'', *(g.requester_id for g in spec.requested_resources)},
            set(candidate['mappings']))

    def test_parallel_requests_do_not_all_want_the_same(self):
        host = self.host('hgx')
        self.sync(host)
        random.seed(1)
        wanted = {
            tuple(self.run_filter(base.request_spec(2), host)['hgx'][0])
            for _ in range(50)}
        self.assertEqual({(1, 3), (2, 4), (5, 7), (6, 8)}, wanted)

    def test_single_gpu_goes_where_it_breaks_least(self):
        host = self.host('hgx')
        host.use(1, 2, 4)
        self.sync(host)
        for _ in range(20):
            self.assertEqual(
                {'hgx': [[3]]}, self.run_filter(base.request_spec(1), host))

    def test_refusal_says_why(self):
        split = self.host('split')
        split.use(1, 5)
        full = self.host('full')
        full.use(1, 2, 3, 4, 5)
        silent = self.host('silent', tags=False)
        broken = self.host('broken')
        broken.tags[broken.modules[3]] = 'v9 whatever'
        good = self.host('good')
        hosts = split, full, silent, broken, good
        self.sync(*hosts)
        found = self.run_filter(base.request_spec(4), *hosts)
        self.assertEqual(['good'], list(found))
        log = self.log.output
        self.assertIn('4 x gpu, nvlink (required): 1 of 5 hosts', log)
        for reason in (
                '1 offered', '1 no topology tags', '1 unusable topology tags',
                '1 no allocation candidate for all of the devices',
                '1 enough free devices, but none that are joined'):
            self.assertIn(reason, log)

    def test_rival_has_claimed_what_the_pool_still_shows(self):
        host = self.host('hgx')
        host.use(6, 8, 1, 2)
        rival = self.host('hgx')
        rival.providers, rival.root = host.providers, host.root
        rival.use(6, 8, 1, 2, 5)
        self.sync(rival)
        self.assertEqual({}, self.run_filter(base.request_spec(2), host))

    def test_too_few_left_according_to_placement(self):
        host = self.host('hgx')
        self.placement.free = {base.RESOURCE_CLASS: {host.provider(1)}}
        self.assertEqual({}, self.run_filter(base.request_spec(2), host))
        self.assertIn('1 fewer free devices than asked for', self.log.output)

    def test_placement_is_asked_once(self):
        hosts = [self.host(f'hgx{i}') for i in range(3)]
        self.sync(*hosts)
        self.run_filter(base.request_spec(2), *hosts)
        self.assertEqual(
            [{'resources': base.RESOURCE_CLASS + ':1'}],
            self.placement.queries)

    def test_placement_does_not_answer(self):
        """What placement offered is put into order, nothing is invented."""
        host = self.host('hgx')
        host.use(5)
        self.placement.error = ks_exc.ConnectFailure('no route')
        # In PCI order: 7+6, 6+8, 8+1, 1+3, 3+2, 2+4, 4+7
        found = self.run_filter(base.request_spec(2), host, offers=7)
        self.assertEqual(
            [[1, 3], [2, 4], [6, 8]], sorted(found['hgx']))
        self.assertIn('WARNING Placement does not say', self.log.output)
        self.assertEqual(
            {}, self.run_filter(base.request_spec(2), host, offers=1))

    def test_preferred_takes_what_there_is(self):
        host = self.host('hgx')
        host.use(1, 4, 5, 8)
        self.sync(host)
        self.assertEqual({}, self.run_filter(base.request_spec(2), host))
        found = self.run_filter(
            base.request_spec(2, policy='preferred'), host)
        # On one NUMA node at least
        self.assertIn(found['hgx'], [[[6, 7]], [[2, 3]]])

    def test_numa(self):
        host = self.host('hgx')
        host.use(1, 2, 6, 8)
        self.sync(host)
        found = self.run_filter(base.request_spec(2, topology='numa'), host)
        self.assertIn(found['hgx'], [[[5, 7]]])
        self.assertEqual({}, self.run_filter(
            base.request_spec(3, topology='numa'), host))
        self.assertEqual({'hgx': [[3, 4, 5, 7]]}, self.run_filter(
            base.request_spec(4, topology='any'), host))

    def test_host_without_tags(self):
        host = self.host('plain', tags=False)
        self.sync(host)
        for topology in ('nvlink', 'pcie'):
            self.assertEqual({}, self.run_filter(
                base.request_spec(1, topology=topology), host))
        found = self.run_filter(base.request_spec(4, topology='numa'), host)
        self.assertIn(found['plain'][0], [[1, 2, 3, 4], [5, 6, 7, 8]])
        self.assertEqual(1, len(self.run_filter(
            base.request_spec(2, policy='preferred'), host)))

    def test_wrong_tags_are_logged_once_and_refused(self):
        host = self.host('wrong-tags')
        host.tags[host.modules[2]] = 'v1 partitions=2:9'
        self.sync(host)
        for _ in range(3):
            self.assertEqual({}, self.run_filter(base.request_spec(2), host))
        self.assertEqual(1, self.log.output.count('WARNING'))
        self.assertIn(
            'WARNING Host wrong-tags is treated as one without GPU topology',
            self.log.output)

    def test_wrong_tags_leave_preferred_requests_to_placement(self):
        host = self.host('wrong-tags-too')
        host.tags[host.modules[2]] = 'v1 colour=red'
        self.sync(host)
        spec = base.request_spec(2, policy='preferred')
        state = host.state(spec, offers=3)
        offered = list(state.allocation_candidates)
        self.assertEqual([state], self.filter.filter_all([state], spec))
        self.assertEqual(offered, state.allocation_candidates)

    def test_requests_without_our_extra_spec_are_not_touched(self):
        host = self.host('broken')
        host.tags[host.modules[2]] = 'nonsense'
        spec = base.request_spec(2, topology=None)
        state = host.state(spec, offers=3)
        offered = list(state.allocation_candidates)
        self.assertEqual([state], self.filter.filter_all(iter([state]), spec))
        self.assertEqual(offered, state.allocation_candidates)
        self.assertEqual([], self.placement.queries)
        self.assertEqual('', self.log.output)

    def test_rebuild_is_not_touched(self):
        host = self.host('hgx')
        spec = base.request_spec(2)
        spec.scheduler_hints = {'_nova_check_type': ['rebuild']}
        state = host.state(spec)
        state.allocation_candidates = []
        self.assertEqual([state], self.filter.filter_all(iter([state]), spec))

    def test_typo_in_the_flavor(self):
        host = self.host('hgx')
        self.sync(host)
        self.assertEqual({}, self.run_filter(
            base.request_spec(2, topology='nvlnk'), host))
        self.assertIn(
            "ERROR No host for server", self.log.output)
        self.assertIn(
            "ai_factory:gpu_topology='nvlnk' is not one of nvlink, pcie, "
            'numa, any', self.log.output)

    def test_pci_in_placement_is_off(self):
        self.conf.config(group='filter_scheduler', pci_in_placement=False)
        host = self.host('hgx')
        self.assertEqual({}, self.run_filter(base.request_spec(2), host))
        self.assertIn('pci_in_placement enabled?', self.log.output)

    def test_no_gpus_asked_for(self):
        host = self.host('hgx')
        spec = base.request_spec(1)
        state = host.state(spec)
        spec.pci_requests.requests = []
        self.assertEqual([state], self.filter.filter_all(iter([state]), spec))

    def test_guest_numa_topology_gets_a_choice(self):
        """The filters after ours may refuse a set because of its NUMA node."""
        host = self.host('hgx')
        self.sync(host)
        found = self.run_filter(base.request_spec(4, numa=True), host)
        self.assertEqual(
            [[1, 2, 3, 4], [5, 6, 7, 8]], sorted(found['hgx']))
        self.conf.config(group='ai_factory', gpu_candidates_per_host=1)
        found = self.run_filter(base.request_spec(4, numa=True), host)
        self.assertEqual(1, len(found['hgx']))

    def test_multi_create_filters_the_same_hosts_again(self):
        """Nova keeps the HostState, candidates included, for each server."""
        host = self.host('hgx')
        self.sync(host)
        spec = base.request_spec(2)
        states = [host.state(spec)]
        taken = []
        for _ in range(4):
            states = self.filter.filter_all(iter(states), spec)
            candidate = states[0].allocation_candidates[0]
            modules = host.modules_of(candidate)
            taken.append(tuple(modules))
            host.use(*modules)
            self.sync(host)
            pools = states[0].pci_stats.pools
            pools[:] = [pool for pool in pools
                        if pool['address'] not in host.in_use]
        self.assertEqual([(1, 3), (2, 4), (5, 7), (6, 8)], sorted(taken))
        self.assertEqual([], self.filter.filter_all(iter(states), spec))

    def test_bridge_pairs(self):
        host = self.host('pcie', 'pcie-bridge-pairs')
        spec = base.request_spec(2)
        for request in spec.pci_requests.requests:
            request.spec[0]['product_id'] = '2331'
        self.sync(host)
        state, = self.filter.filter_all([host.state(spec)], spec)
        named = {host.providers[gpu.address]: i
                 for i, gpu in enumerate(host.board.gpus)}
        pair = {named[p[0]] for group, p in state.allocation_candidates[0][
            'mappings'].items() if group}
        self.assertIn(pair, [{0, 3}, {1, 2}])


class TwoAliasesTest(base.NovaTestCase):

    def test_devices_of_two_aliases_are_not_used_twice(self):
        host = self.host('hgx')
        self.sync(host)
        spec = base.request_spec(2)
        other = base.request_spec(2)
        spec.pci_requests.requests.extend(other.pci_requests.requests)
        spec.requested_resources.extend(other.requested_resources)
        self.useFixture(fixtures.MonkeyPatch(
            'random.shuffle', lambda items: None))
        state, = filters.GPUTopologyFilter().filter_all(
            [host.state(spec)], spec)
        candidate = state.allocation_candidates[0]
        self.assertEqual([5, 6, 7, 8], host.modules_of(candidate))
        self.assertEqual(5, len(candidate['allocations']))


class SparesTest(base.NovaTestCase):
    """The same hosts once more, for when others are quicker."""

    def setUp(self):
        super().setUp()
        self.conf.config(group='ai_factory', gpu_claim_attempts=4)

    def run_filter(self, spec, *hosts):
        by_name = {host.name: host for host in hosts}
        self.states = filters.GPUTopologyFilter().filter_all(
            [host.state(spec) for host in hosts], spec)
        return [(state.host,
                 by_name[state.host].modules_of(
                     state.allocation_candidates[0]))
                for state in self.states]

    def test_every_set_of_the_last_host_is_offered(self):
        host = self.host('hgx')
        self.sync(host)
        found = self.run_filter(base.request_spec(2), host)
        self.assertEqual(
            [('hgx', [1, 3]), ('hgx', [2, 4]), ('hgx', [5, 7]),
             ('hgx', [6, 8])], sorted(found))
        self.assertEqual(4, len(set(map(id, self.states))))

    def test_hosts_take_turns_and_the_best_come_first(self):
        hosts = [self.host('a'), self.host('b')]
        hosts[0].use(1)
        self.sync(*hosts)
        found = self.run_filter(base.request_spec(2), *hosts)
        self.assertEqual(['a', 'b', 'a', 'b'], [name for name, _ in found])
        self.assertEqual(('a', [2, 4]), found[0])
        self.assertEqual(4, len({(name, *gpus) for name, gpus in found}))

    def test_no_more_than_there_are(self):
        host = self.host('hgx')
        self.sync(host)
        self.assertEqual(
            [('hgx', [1, 2, 3, 4, 5, 6, 7, 8])],
            self.run_filter(base.request_spec(8), host))

    def test_enough_hosts_are_offered_once(self):
        hosts = [self.host(f'hgx{i}') for i in range(4)]
        self.sync(*hosts)
        self.assertEqual(
            4, len(self.run_filter(base.request_spec(2), *hosts)))

    def test_servers_created_together_see_each_host_once(self):
        host = self.host('hgx')
        self.sync(host)
        spec = base.request_spec(2)
        spec.num_instances = 2
        self.assertEqual(1, len(self.run_filter(spec, host)))

    def test_weigher_leaves_them_last(self):
        hosts = [self.host('a'), self.host('b')]
        hosts[0].use(1, 3)
        self.sync(*hosts)
        spec = base.request_spec(1)
        names = [name for name, _ in self.run_filter(spec, *hosts)]
        weights = weighers.GPUTopologyWeigher().weigh_objects(
            [nova_weights.WeighedObject(state, 0.0)
             for state in self.states], spec)
        self.assertEqual(['a', 'b', 'a', 'b'], names)
        self.assertEqual(max(weights), weights[0])
        self.assertLess(weights[1], weights[2])


class DegradedTest(base.NovaTestCase):

    def find(self, count, choice, policy='required'):
        self.conf.config(group='ai_factory', gpu_degraded_partitions=choice)
        host = self.host('hgx', 'hgx-h100-degraded')
        self.sync(host)
        spec = base.request_spec(count, policy=policy)
        return [host.modules_of(state.allocation_candidates[0])
                for state in filters.GPUTopologyFilter().filter_all(
                    [host.state(spec)], spec)]

    def test_last(self):
        self.assertEqual([list(range(1, 9))], self.find(8, 'last'))
        for _ in range(20):
            self.assertEqual([[5, 6, 7, 8]], self.find(4, 'last'))

    def test_refused(self):
        self.assertEqual([], self.find(8, 'refuse'))
        self.assertIn('1 joined by partitions only that lack NVLinks: hgx',
                      self.log.output)
        for _ in range(20):
            self.assertEqual([[5, 6, 7, 8]], self.find(4, 'refuse'))

    def test_who_only_prefers_gets_them_at_the_end(self):
        self.assertEqual(
            [list(range(1, 9))], self.find(8, 'refuse', 'preferred'))


class MovesTest(base.NovaTestCase):

    def setUp(self):
        super().setUp()
        self.move = moves.MOVES[task_states.RESIZE_PREP]
        self.gpus = self.host('hgx')
        self.sync(self.gpus)

    def run_filter(self, **kwargs):
        spec = base.request_spec(2, **kwargs)
        return filters.GPUTopologyFilter().filter_all(
            [self.gpus.state(spec)], spec)

    def test_required(self):
        error = self.assertRaises(exception.NoValidHost, self.run_filter)
        self.assertIn('Shelve and unshelve', str(error))

    def test_operator_allows_it(self):
        self.conf.config(group='ai_factory', gpu_topology_allow_moves=True)
        self.assertEqual(1, len(self.run_filter()))
        self.assertIn('WARNING Allowed a cold migration', self.log.output)

    def test_preferred(self):
        self.assertEqual(1, len(self.run_filter(policy='preferred')))
        self.assertIn('WARNING Allowed a cold migration', self.log.output)

    def test_flavor_that_asks_for_nothing(self):
        self.assertEqual(1, len(self.run_filter(topology=None)))
        self.assertEqual('', self.log.output)


class ExplanationTest(base.NovaTestCase):

    def lines(self, shown):
        self.conf.config(group='ai_factory', gpu_explained_hosts=shown)
        hosts = [self.host(f'silent{i}', tags=False) for i in range(4)]
        self.sync(*hosts)
        spec = base.request_spec(2)
        filters.GPUTopologyFilter().filter_all(
            [host.state(spec) for host in hosts], spec)
        return self.log.output

    def test_some_hosts_are_named(self):
        self.assertIn(
            '(4 no topology tags: silent0, silent1, silent2, ...)',
            self.lines(3))

    def test_all_hosts_are_named(self):
        self.assertIn(
            '(4 no topology tags: silent0, silent1, silent2, silent3)',
            self.lines(4))

    def test_no_host_is_named(self):
        self.assertIn('(4 no topology tags)', self.lines(0))

    def test_full_host_is_not_taken_for_one_without_tags(self):
        host = self.host('hgx')
        self.sync(host)
        spec = base.request_spec(2)
        state = host.state(spec)
        state.pci_stats.pools = []
        filters.GPUTopologyFilter().filter_all([state], spec)
        self.assertIn('1 fewer free devices than asked for', self.log.output)
