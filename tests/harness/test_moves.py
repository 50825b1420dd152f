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


from tests.harness import base


class MovesTest(base.NovaTestCase):
    """Moves in which Nova does not keep to the devices of the scheduler."""

    def setUp(self):
        super().setUp()
        self.host('hgx1')
        # Without the first GPU, the first two in PCI order are no pair.
        self.host('hgx2', edit=lambda specs: specs[1:])

    def start(self, **extra_specs):
        return self.boot(self.flavor(2, extra_specs), host='hgx1')

    def assertRefused(self, server, action, body=None):  # noqa: N802
        """A move is refused with a way out, and nothing has changed."""
        before = self.held(server)
        self.api.post_server_action(server['id'], {action: body})
        self._wait_for_action_fail_completion(
            server, action, 'cold_migrate')
        # The conductor puts another message into the server's events.
        self.assertIn('Shelve and unshelve the server instead.',
                      self.stdlog.logger.output)
        self._wait_for_server_parameter(
            server, {'status': 'ACTIVE', 'OS-EXT-STS:task_state': None})
        self.assertEqual(before, self.held(server))
        self.assertHolds(server, 2)

    def test_cold_migration_is_refused(self):
        self.assertRefused(self.start(), 'migrate')

    def test_resize_is_refused(self):
        self.assertRefused(
            self.start(), 'resize', {'flavorRef': self.flavor(4)})

    def test_shelving_moves(self):
        server = self.start()
        self._shelve_server(server)
        self.assertEqual([], self.claimed(server))
        self.computes['hgx1'].stop()
        self.api.put_service_force_down(self.service('hgx1'), True)
        self._unshelve_server(server)
        self.assertEqual('hgx2', self.held(server).host)
        self.assertHolds(server, 2)

    def test_evacuation_is_refused(self):
        server = self.start()
        before = self.claimed(server)
        self.computes['hgx1'].stop()
        self.api.put_service_force_down(self.service('hgx1'), True)
        self._evacuate_server(
            server, expected_state='ERROR', expected_migration_status='error',
            expected_host='hgx1')
        self.assertIn('Shelve and unshelve the server', self.fault(server))
        self.assertEqual(before, self.claimed(server))

    def test_nova_does_not_keep_to_the_devices_of_the_scheduler(self):
        # Should this fail, Nova has been mended: see "Moves" in the
        # contributor's guide for what to change here.
        self.flags(gpu_topology_allow_moves=True, group='ai_factory')
        server = self.start()
        self._migrate_server(server)
        held, (claim,) = self.held(server), self.claimed(server)
        self.assertEqual('hgx2', held.host)
        self.assertEqual(2, len(held.addresses))
        self.assertNotEqual('NVLINK', self.joined_by(server).name)
        self.assertLess(set(held.addresses), set(claim.addresses))
        self._confirm_resize(server)
        self._run_periodics()
        self.assertEqual([claim], self.claimed(server))

        # From now on Nova does not even keep to them when it unshelves, which
        # is refused once the operator allows no moves any more.
        self.flags(gpu_topology_allow_moves=False, group='ai_factory')
        self._shelve_server(server)
        self.api.post_server_action(server['id'], {'unshelve': None})
        self._wait_for_action_fail_completion(
            server, 'unshelve', 'schedule_instances')
        self.assertIn('Refused unshelving after an earlier move',
                      self.stdlog.logger.output)

    def test_who_only_prefers_a_topology_may_move(self):
        server = self.start(**{
            'ai_factory:gpu_topology_policy': 'preferred'})
        self._migrate_server(server)
        self.assertIn('need not give it the GPUs', self.stdlog.logger.output)
