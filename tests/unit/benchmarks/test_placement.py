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


"""The simulator's own logic: streams, validity, departures, optimum."""

import json

import fixtures
from oslo_config import fixture as config_fixture
import testtools

from benchmarks.placement import __main__ as command
from benchmarks.placement import cluster
from benchmarks.placement import facts
from benchmarks.placement import mixes
from benchmarks.placement import optimum
from benchmarks.placement import policies
from benchmarks.placement import report
from benchmarks.placement import simulation
from tests.unit.nova import base

HGX = facts.Facts('hgx-h100')
STRESS = mixes.MIXES['stress']


def job(number, size, arrival=0.0, lifetime=9.0):
    return mixes.Job(number, size, arrival, lifetime)


class FactsTestCase(testtools.TestCase):
    """The judge of placements."""

    def test_partitions_are_the_valid_sets(self):
        # By PCI address the modules are 5, 7, 6, 8, 1, 3, 2, 4.
        for places in ([0, 1], [2, 3], [4, 5], [6, 7], [0, 1, 2, 3],
                       [4, 5, 6, 7], range(8), [3]):
            self.assertIn(facts.mask_of(places), HGX.valid)
        for places in ([1, 2], [0, 4], [0, 1, 4, 5], [0, 1, 2], range(6)):
            self.assertNotIn(facts.mask_of(places), HGX.valid)

    def test_bridges_are_valid_sets(self):
        board = facts.Facts('pcie-bridge-pairs')
        pairs = {mask for mask in board.valid if mask.bit_count() > 1}
        self.assertEqual(
            {facts.mask_of([0, 3]), facts.mask_of([1, 2])}, pairs)
        self.assertIn(1, board.valid)

    def test_board_of_which_nothing_is_known(self):
        self.assertRaises(ValueError, facts.Facts, 'mi300x-8')

    def test_fragments(self):
        # One of each pair is free: 4 GPUs, of no use to two or four.
        free = facts.mask_of([0, 2, 4, 6])
        self.assertEqual(0.0, HGX.fragments({1: 1.0}, free))
        self.assertEqual(4.0, HGX.fragments({2: 1.0}, free))
        self.assertEqual(3.0, HGX.fragments({1: 0.25, 4: 0.75}, free))
        self.assertEqual(0.0, HGX.fragments({8: 1.0}, HGX.whole))
        self.assertEqual(0.0, HGX.fragments({8: 1.0}, 0))


class StreamTestCase(testtools.TestCase):
    """Job mixes and what is drawn from them."""

    def test_shares_sum_to_one(self):
        for mix in mixes.MIXES.values():
            self.assertAlmostEqual(1.0, sum(mix.shares.values()))

    def test_same_seed_same_jobs(self):
        one, same, other = (
            mixes.churn(STRESS, 64, 0.85, 50, seed) for seed in (1, 1, 2))
        self.assertEqual(one, same)
        self.assertNotEqual(one, other)

    def test_load_is_offered(self):
        jobs = mixes.churn(STRESS, 512, 0.85, 20000, 1)
        held = sum(j.size * j.lifetime for j in jobs if j.arrival)
        self.assertAlmostEqual(
            0.85, held / 512 / jobs[-1].arrival, delta=0.03)
        filled = sum(j.size for j in jobs if not j.arrival)
        self.assertIn(filled, range(436, 444))


class SimulatorTestCase(testtools.TestCase):
    """A scheduler's process, as base.NovaTestCase without its placement."""

    def setUp(self):
        super().setUp()
        self.conf = self.useFixture(config_fixture.Config(base.CONF))
        self.useFixture(fixtures.FakeLogger())
        command.prepare()
        self.addCleanup(base.CONF.clear_override, 'pci_in_placement',
                        'filter_scheduler')

    def simulate(self, policy, jobs, hosts=2, **kwargs):
        simulated = simulation.Simulation(
            policies.POLICIES[policy], HGX, hosts, STRESS.shares, **kwargs)
        return simulated, simulated.run(jobs)


class ClusterTestCase(SimulatorTestCase):
    """Hosts that are kept from request to request."""

    def test_claim_and_release(self):
        host = cluster.Cluster(1, HGX).hosts[0]
        spec = cluster.request_spec(2)
        before = (host.state.free_ram_mb, host.state.free_disk_mb,
                  host.state.vcpus_used, host.state.num_instances)
        pools = sorted(map(str, host.state.pci_stats.pools))
        mask = host.claim(spec, host.candidate(spec, [1, 6]))
        self.assertEqual(facts.mask_of([1, 6]), mask)
        self.assertEqual(HGX.whole & ~mask, host.free)
        self.assertEqual(6, len(host.state.pci_stats.pools))
        self.assertEqual(before[0] - 2 * cluster.MEMORY_MB,
                         host.state.free_ram_mb)
        host.release(spec, mask)
        self.assertEqual(HGX.whole, host.free)
        self.assertEqual(before, (
            host.state.free_ram_mb, host.state.free_disk_mb,
            host.state.vcpus_used, host.state.num_instances))
        self.assertEqual(
            pools, sorted(map(str, host.state.pci_stats.pools)))

    def test_placement_knows_what_is_free(self):
        cloud = cluster.Cluster(2, HGX)
        spec = cloud.spec(4)
        host = cloud.hosts[0]
        mask = host.claim(spec, host.candidate(spec, [0, 1, 2, 3]))
        self.assertEqual(12, len(cloud.placement.uuids))
        host.release(spec, mask)
        self.assertEqual(16, len(cloud.placement.uuids))

    def test_claimed_twice(self):
        host = cluster.Cluster(1, HGX).hosts[0]
        spec = cluster.request_spec(1)
        candidate = host.candidate(spec, [0])
        host.claim(spec, candidate)
        self.assertRaises(RuntimeError, host.claim, spec, candidate)


class SimulationTestCase(SimulatorTestCase):
    """Whole runs."""

    def test_same_seed_same_run(self):
        jobs = mixes.churn(STRESS, 16, 0.9, 40, 3)
        for policy in policies.POLICIES:
            accounts = [self.simulate(policy, jobs, seed=5)[1]
                        for _ in range(2)]
            self.assertEqual(*map(vars, accounts))

    def test_departures_free_gpus(self):
        jobs = [job(0, 8, 0.1, 1.0), job(1, 8, 0.2), job(2, 8, 0.3),
                job(3, 8, 1.2)]
        for policy in policies.POLICIES:
            simulated, account = self.simulate(policy, jobs)
            self.assertEqual({8: 1}, dict(account.refused))
            self.assertEqual({8: 3}, dict(account.served_ever))
            self.assertEqual([0, 0], [
                host.free for host in simulated.cluster.hosts])

    def test_without_departures(self):
        account = self.simulate(
            'topology', [job(0, 8, 0.0, 0.5), job(1, 1), job(2, 8)],
            depart=False)[1]
        self.assertEqual({1: 0, 8: 1}, dict(account.refused))
        self.assertEqual(9 / 16, account.first_refusal)
        self.assertEqual(9 / 16, account.in_use_validly)
        self.assertEqual(0.0, account.whole)

    def test_wrong_set_is_seen(self):
        # With one GPU taken, the next addresses are no partition.
        jobs = [job(0, 1), job(1, 2)]
        account = self.simulate('packed-address', jobs, depart=False)[1]
        self.assertEqual({2: 1}, dict(account.wrong_ever))
        self.assertEqual(1, account.avoidable[2])
        self.assertEqual(1 / 16, account.in_use_validly)
        account = self.simulate('topology', jobs, depart=False)[1]
        self.assertEqual({}, dict(account.wrong_ever))
        self.assertEqual(3 / 16, account.in_use_validly)

    def test_wrong_set_can_end_at_once(self):
        simulated, account = self.simulate(
            'packed-address', [job(0, 1), job(1, 2)], depart=False,
            keep_wrong=False)
        self.assertEqual({2: 1}, dict(account.wrong_ever))
        self.assertEqual(15, sum(
            host.free.bit_count() for host in simulated.cluster.hosts))

    def test_time_is_measured_for_ours(self):
        jobs = mixes.churn(STRESS, 16, 0.9, 10, 1)
        self.assertIsNotNone(
            self.simulate('topology', jobs, time_every=5)[1].cpu_ratio)
        self.assertIsNone(
            self.simulate('stock', jobs, time_every=5)[1].cpu_ratio)

    def test_options_are_put_back(self):
        self.simulate('packed', [job(0, 1)])
        self.assertEqual(
            1.0, base.CONF.filter_scheduler.ram_weight_multiplier)

    def test_json(self):
        account = self.simulate('topology', [job(0, 1, 0.1)])[1]
        found = json.loads(report.as_json({}, [('one', [account])], {}))
        self.assertEqual(
            {'1': 1}, found['cases'][0]['policies'][0]['asked'])
        self.assertIn('topology', report.case_text('one', [account]))


class OptimumTestCase(testtools.TestCase):
    """The exact optimum, on cases that can be done by hand."""

    def search(self, hosts, *jobs):
        return optimum.Optimum(HGX, hosts).search(list(jobs))

    def test_all_fit(self):
        self.assertEqual((4, 8), self.search(
            1, job(0, 1), job(1, 1), job(2, 4), job(3, 2)))

    def test_one_has_to_be_refused(self):
        # More jobs without the eight, more GPUs with it.
        jobs = [job(0, 1), job(1, 2), job(2, 8)]
        self.assertEqual((2, 8), self.search(1, *jobs))
        self.assertEqual((3, 11), self.search(2, *jobs))

    def test_departures(self):
        self.assertEqual((3, 17), self.search(
            1, job(0, 8, 0.0, 1.0), job(1, 1, 1.0, 1.0),
            job(2, 8, 2.0, 1.0)))

    def test_looks_ahead(self):
        # The two that stay have to share a half of the board.
        self.assertEqual((5, 12), self.search(
            1, job(0, 2, 0.0, 1.0), job(1, 2, 0.1), job(2, 2, 0.2, 1.0),
            job(3, 2, 0.3), job(4, 4, 2.0)))

    def test_symmetries_of_the_board(self):
        self.assertEqual(128, len(optimum.symmetries(HGX)))

    def test_ends_meet(self):
        found, = optimum.rounded([job(0, 1, 0.3, 0.4)], 0.5)
        self.assertAlmostEqual(1.0, found.arrival + found.lifetime)
