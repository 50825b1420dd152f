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


import json

from ai_factory_plugins.topology import wire
from tests.harness import base


class NicsTest(base.NovaTestCase):

    with_nics = True

    def flavor(self, gpus, nics, affinity='required', **extra_specs):
        return super().flavor(gpus, {
            'pci_passthrough:alias': f'h100-sxm5-80gb:{gpus},nic:{nics}',
            'ai_factory:gpu_nic_affinity': affinity, **extra_specs})

    def assertBeside(self, server, gpus, nics):  # noqa: N802
        """Each NIC is below the switch of a GPU of its own."""
        held = self.held(server)
        self.assertEqual([held], self.claimed(server))
        board = self.boards[held.host].by_address
        ours = [a for a in held.addresses if a in board]
        self.assertEqual(gpus, len(ours))
        self.assertEqual(nics, len(held.addresses) - gpus)
        switches = {board[address].switches for address in ours}
        others = [self.switches[a] for a in held.addresses if a not in board]
        self.assertEqual(nics, len(set(others)))
        self.assertLessEqual(set(others), switches)

    def setUp(self):
        super().setUp()
        self.switches = {}

        def note(specs):
            self.switches = {
                spec['address']: wire.decode(spec['ai_factory_nic'], 'nic')
                .switches for spec in specs if 'ai_factory_nic' in spec}
            return specs

        self.host('hgx1', edit=note)

    def test_a_nic_for_each_gpu(self):
        for count in (2, 4, 1, 1):
            self.assertBeside(self.boot(self.flavor(count, count)),
                              count, count)

    def test_fewer_nics_than_gpus(self):
        self.assertBeside(self.boot(self.flavor(4, 2)), 4, 2)

    def test_nics_of_the_free_gpus_are_gone(self):
        alone = self._create_flavor(
            vcpu=1, memory_mb=512, disk=1,
            extra_spec={'pci_passthrough:alias': 'nic:8'})
        self.boot(alone)
        self.boot(self.flavor(1, 1), 'ERROR')
        self.boot(self.flavor(1, 1, 'preferred'), 'ERROR')

    def test_flavor_without_nics(self):
        self.boot(super().flavor(
            2, {'ai_factory:gpu_nic_affinity': 'required'}), 'ERROR')
        self.assertIn('the flavor asks for no NICs',
                      self.stdlog.logger.output)


class BoardsTest(base.NovaTestCase):

    aliases = ('hgx-h100', 'pcie-bridge-pairs', 'mi300x-8')

    def alias(self, board):
        return json.loads(
            base.CONF.pci.alias[self.aliases.index(board)])['name']

    def test_reserved_gpus(self):
        """What the operator keeps from Nova is in no set."""
        self.host('hgx1', edit=lambda specs: specs[1:])
        for _ in range(3):
            self.assertHolds(self.boot(self.flavor(2)), 2)
        self.boot(self.flavor(2), 'ERROR')
        self.assertIn('No valid host', self.stdlog.logger.output)

    def test_degraded_partitions_come_last(self):
        self.host('hgx1', 'hgx-h100-degraded')
        servers = [self.boot(self.flavor(2)) for _ in range(4)]
        for server in servers:
            self.assertHolds(server, 2)

    def test_degraded_partitions_are_refused(self):
        self.flags(gpu_degraded_partitions='refuse', group='ai_factory')
        self.host('hgx1', 'hgx-h100-degraded')
        self.boot(self.flavor(8), 'ERROR')
        self.assertIn('1 joined by partitions only that lack NVLinks: hgx1',
                      self.stdlog.logger.output)
        self.boot(self.flavor(
            8, {'ai_factory:gpu_topology_policy': 'preferred'}))

    def test_bridge_pairs(self):
        self.host('pcie1', 'pcie-bridge-pairs')
        alias = self.alias('pcie-bridge-pairs')
        self.assertHolds(self.boot(self.flavor(2, alias=alias)), 2)
        self.boot(self.flavor(4, alias=alias), 'ERROR')

    def test_one_alias_twice_is_one_set(self):
        self.host('hgx1')
        alias = self.alias('hgx-h100')
        self.assertHolds(self.boot(self.flavor(
            4, {'pci_passthrough:alias': f'{alias}:2,{alias}:2'})), 4)

    def test_two_models_on_a_host(self):
        """Each model is joined in itself."""
        self.host('hgx1')
        self.host('pcie1', 'pcie-bridge-pairs')
        for name, host in (('hgx-h100', 'hgx1'),
                           ('pcie-bridge-pairs', 'pcie1')):
            server = self.boot(self.flavor(2, alias=self.alias(name)))
            self.assertEqual(host, self.held(server).host)
            self.assertHolds(server, 2)


class FourNodesTest(base.NovaTestCase):
    """A board with 3, 1, 3 and 1 GPUs on four NUMA nodes."""

    def guest(self, count, nodes, **extra_specs):
        return self.flavor(count, {
            'hw:numa_nodes': str(nodes), **extra_specs})

    def test_guest_numa_nodes(self):
        self.host('hgx1', 'h100-4numa')
        server = self.boot(self.guest(2, 1))
        self.assertHolds(server, 2)
        nodes = {self.boards['hgx1'].by_address[address].numa_node
                 for address in self.held(server).addresses}
        self.assertEqual(1, len(nodes))

    def test_no_pair_on_one_node_is_left(self):
        self.host('hgx1', 'h100-4numa')
        seen = [self.boot(self.guest(2, 1)) for _ in range(2)]
        for server in seen:
            self.assertHolds(server, 2)
        self.boot(self.guest(2, 1), 'ERROR')
        self.assertHolds(self.boot(self.guest(
            2, 1, **{'hw:pci_numa_affinity_policy': 'preferred'})), 2)
