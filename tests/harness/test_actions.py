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


from nova import exception
from nova.scheduler import utils
from nova.tests import fixtures as nova_fixtures

from tests.harness import base


class ActionsTest(base.NovaTestCase):
    """What becomes of the GPUs in every server action but moves."""

    def setUp(self):
        super().setUp()
        self.host('hgx1')

    def down(self, host):
        """A host whose compute service does not answer any more."""
        self.computes[host].stop()
        self.api.put_service_force_down(self.service(host), True)

    def servers(self):
        """All servers, once nothing is going on."""
        found = self.api.get_servers(search_opts={'all_tenants': 1})
        return [self.settled(server) for server in found]

    def test_a_board_fills_up(self):
        for count in (4, 2, 1, 1):
            self.assertHolds(self.boot(self.flavor(count)), count)
        server = self.boot(self.flavor(1), 'ERROR')
        self.assertIn('No valid host', self.fault(server))

    def test_eight(self):
        self.assertHolds(self.boot(self.flavor(8)), 8)

    def test_multi_create(self):
        self.host('hgx2')
        self.ask(self.flavor(2), min_count=6, max_count=8)
        servers = self.servers()
        self.assertEqual(8, len(servers))
        for server in servers:
            self.assertEqual('ACTIVE', server['status'])
            self.assertHolds(server, 2)
        held = [(held.host, address) for held in map(self.held, servers)
                for address in held.addresses]
        self.assertEqual(len(held), len(set(held)))

    def test_multi_create_with_too_few_is_refused_as_a_whole(self):
        self.ask(self.flavor(2), min_count=5, max_count=5)
        for server in self.servers():
            self.assertEqual('ERROR', server['status'])
            self.assertEqual([], self.claimed(server))

    def test_retry_after_a_failed_build(self):
        """The alternate comes with a set of its own."""
        self.host('hgx2', edit=lambda specs: specs[1:])

        def spawn(driver, context, instance, *args, **kwargs):
            if driver._host == 'hgx1':
                raise exception.ComputeResourcesUnavailable(reason='broken')
            return original(driver, context, instance, *args, **kwargs)

        original = base.Driver.spawn
        self.stub_out(f'{base.Driver.__module__}.Driver.spawn', spawn)
        for _ in range(3):
            server = self.boot(self.flavor(2))
            self.assertEqual('hgx2', self.held(server).host)
            self.assertHolds(server, 2)

    def test_shelve_and_unshelve(self):
        server = self.boot(self.flavor(4))
        self._shelve_server(server)
        self.assertHolds(self.boot(self.flavor(2)), 2)
        self._unshelve_server(server)
        self.assertHolds(server, 4)

    def test_rebuild_keeps_the_gpus(self):
        server = self.boot(self.flavor(2))
        before = self.held(server)
        self._rebuild_server(server, '70a599e0-31e7-49b7-b260-868f441e862b')
        self.assertEqual(before, self.held(server))
        self.assertHolds(server, 2)

    def test_server_groups(self):
        self.host('hgx2')
        for policy, hosts in (('affinity', 1), ('anti-affinity', 2)):
            group = self.api.post_server_groups(
                {'name': policy, 'policy': policy})
            servers = [
                self.boot(self.flavor(2), hints={'group': group['id']})
                for _ in range(2)]
            self.assertEqual(
                hosts, len({self.held(server).host for server in servers}))
            for server in servers:
                self.assertHolds(server, 2)

    def test_host_that_is_asked_for(self):
        self.host('hgx2')
        for host in ('hgx1', 'hgx2', 'hgx1'):
            server = self.boot(self.flavor(2), host=host)
            self.assertEqual(host, self.held(server).host)
            self.assertHolds(server, 2)

    def test_volume_backed(self):
        server = self.boot(
            self.flavor(2), image_uuid='', block_device_mapping_v2=[{
                'source_type': 'volume', 'destination_type': 'volume',
                'boot_index': 0,
                'uuid': nova_fixtures.CinderFixture.IMAGE_BACKED_VOL}])
        self.assertHolds(server, 2)

    def test_host_that_is_down(self):
        self.host('hgx2')
        self.down('hgx1')
        servers = [self.boot(self.flavor(4)) for _ in range(2)]
        for server in servers:
            self.assertEqual('hgx2', self.held(server).host)
            self.assertHolds(server, 4)
        self.boot(self.flavor(4), 'ERROR')

    def test_requests_for_the_last_pairs(self):
        """As many servers as there are pairs, whoever comes first."""
        servers = [self.ask(self.flavor(2)) for _ in range(5)]
        active = [server for server in map(self.settled, servers)
                  if server['status'] == 'ACTIVE']
        self.assertEqual(4, len(active))
        for server in active:
            self.assertHolds(server, 2)


class CellsTest(base.NovaTestCase):

    NUMBER_OF_CELLS = 2

    def test_two_cells(self):
        self.host('hgx1', cell_name='cell1')
        self.host('hgx2', cell_name='cell2')
        servers = [self.boot(self.flavor(8)) for _ in range(2)]
        self.assertEqual({'hgx1', 'hgx2'},
                         {self.held(server).host for server in servers})
        for server in servers:
            self.assertHolds(server, 8)


class RivalsTest(base.NovaTestCase):
    """Another scheduler is quicker."""

    def test_next_set_is_claimed(self):
        self.host('hgx1')
        claim = utils.claim_resources
        lost = []

        def lose_three(*args, **kwargs):
            if len(lost) < 3:
                lost.append(args[4])
                return False
            return claim(*args, **kwargs)

        self.stub_out('nova.scheduler.utils.claim_resources', lose_three)
        server = self.boot(self.flavor(2))
        self.assertHolds(server, 2)
        # Each try was for other GPUs.
        self.assertEqual(3, len({
            frozenset(claim['allocations']) for claim in lost}))

    def test_all_sets_are_lost(self):
        self.host('hgx1')
        self.stub_out('nova.scheduler.utils.claim_resources',
                      lambda *args, **kwargs: False)
        server = self.boot(self.flavor(2), 'ERROR')
        self.assertIn('No valid host', self.fault(server))
        self.assertEqual([], self.claimed(server))
