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


import fixtures
from nova import context
from nova.scheduler.client import report

from ai_factory_plugins.nova import audit
from ai_factory_plugins.nova import filters
from ai_factory_plugins.nova import inventory
from tests.harness import base


class AuditTest(base.NovaTestCase):

    def setUp(self):
        super().setUp()
        self.flags(gpu_topology_allow_moves=True, group='ai_factory')
        self.host('hgx1')
        # Without the first GPU, the first two in PCI order are no pair.
        self.host('hgx2', edit=lambda specs: specs[1:])

    def findings(self):
        return audit.Audit(
            context.get_admin_context(),
            inventory.Placement(report.report_client_singleton())).findings()

    def test_a_move(self):
        server = self.boot(self.flavor(2), host='hgx1')
        self.assertEqual([], self.findings())
        self._migrate_server(server)
        self.assertEqual([], self.findings())
        self._confirm_resize(server)
        found = self.findings()
        self.assertEqual(
            ['claimed in placement, but the server does not have them',
             'its GPUs are not joined as its flavor asks: nvlink (required)'],
            [item.problem for item in found])
        self.assertEqual({(server['id'], 'hgx2')},
                         {(item.server, item.host) for item in found})
        held = self.held(server).addresses
        self.assertEqual(tuple(held), found[1].addresses)
        self.assertEqual(set(), set(held) & set(found[0].addresses))
        self.assertEqual(
            {audit.REMAKE}, {item.advice for item in found})
        self._delete_server(server)
        self._run_periodics()
        self.assertEqual([], self.findings())

    def test_forced_to_a_host_and_the_way_out(self):
        """Nova asks no filter when an administrator forces a host."""
        servers = []
        with fixtures.MonkeyPatch(
                f'{filters.__name__}.GPUTopologyFilter.filter_all',
                lambda self, host_states, spec_obj: list(host_states)):
            while not self.findings():
                servers.append(self.boot(self.flavor(2)))
        found, = self.findings()
        self.assertEqual(
            ('its GPUs are not joined as its flavor asks: nvlink (required)',
             audit.RENEW), (found.problem, found.advice))
        server, = (item for item in servers if item['id'] == found.server)
        self._shelve_server(server)
        self._unshelve_server(server)
        self.assertEqual([], self.findings())
        self.assertHolds(server, 2)

    def test_claim_of_nobody(self):
        server = self.boot(self.flavor(2), host='hgx1')
        claim = self.placement.get(
            f'/allocations/{server["id"]}', version='1.28').body
        self._delete_server(server)
        nobody = '11111111-2222-3333-4444-555555555555'
        response = self.placement.put(f'/allocations/{nobody}', {
            'allocations': {
                provider: {'resources': item['resources']}
                for provider, item in claim['allocations'].items()},
            'project_id': 'p', 'user_id': 'u', 'consumer_generation': None,
        }, version='1.28')
        self.assertEqual(204, response.status)
        found, = self.findings()
        self.assertEqual((nobody, 'hgx1', 2), (
            found.server, found.host, len(found.addresses)))
        self.assertIn('by no server', found.problem)
        self.assertIn(f'allocation delete {nobody}', found.advice)
