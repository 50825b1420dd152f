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
import pathlib
import tempfile

import fixtures
from nova import objects
from nova.pci import whitelist
from nova.virt import node
from oslo_config import fixture as config_fixture
import testtools

from ai_factory_plugins.cmd import inventory
from ai_factory_plugins.testing import boards
from ai_factory_plugins.testing import virt


class BoardDriverTest(testtools.TestCase):

    def setUp(self):
        super().setUp()
        objects.register_all()
        directory = tempfile.TemporaryDirectory()
        self.addCleanup(directory.cleanup)
        self.root = pathlib.Path(directory.name)
        self.conf = self.useFixture(config_fixture.Config(virt.CONF))
        self.conf.conf([], default_config_files=[], project='nova')
        self.conf.config(state_path=str(self.root))
        self.conf.register_opts(virt.OPTS, group=virt.GROUP)

    def resources(self, board):
        boards.write_capture(boards.load(board), self.root / board)
        self.conf.config(
            sysfs_root=str(self.root / board / 'sys'),
            group=virt.GROUP.name)
        return self.driver().get_available_resource('hgx-1')

    def driver(self):
        # What one process knows, the next does not.
        self.useFixture(fixtures.MonkeyPatch(
            'nova.virt.node.LOCAL_NODE_UUID', None))
        driver = virt.BoardDriver(None)
        driver.init_host('hgx-1')
        return driver

    def devices(self, board):
        return json.loads(
            self.resources(board)['pci_passthrough_devices'])

    def assignable(self, board):
        """Devices that Nova takes with the lines of the inventory tool."""
        devices = self.devices(board)
        directory = self.root / board
        lines = inventory.run([
            '--sysfs-root', str(directory / 'sys'), '-f', 'nova',
            '--nvidia-smi', str(directory / 'nvidia-smi-q.txt'),
            '--topo', str(directory / 'nvidia-smi-topo.txt'),
            *(['--fmpm', str(directory / 'fmpm.json')]
              if (directory / 'fmpm.json').exists() else [])]).splitlines()
        known = whitelist.Whitelist([
            line.partition(' = ')[2] for line in lines
            if line.startswith('device_spec')])
        return [device for device in devices
                if known.device_assignable(device)]

    def test_nova_takes_the_gpus_and_nothing_else(self):
        for board in ('hgx-h100', 'pcie-bridge-pairs'):
            gpus = {gpu['address']: gpu for gpu in boards.load(board).gpus}
            found = {device['address']: device
                     for device in self.assignable(board)}
            self.assertEqual(set(gpus), set(found))
            for address, device in found.items():
                gpu = gpus[address]
                self.assertEqual(
                    (gpu['id'], gpu['numa_node']),
                    (f'{device["vendor_id"]}:{device["product_id"]}',
                     device['numa_node']))

    def test_bridges_are_left_out(self):
        spec = boards.load('hgx-h100')
        self.assertEqual(
            {item['address']
             for kind in (spec.gpus, spec.nvswitches, spec.nics)
             for item in kind},
            {device['address'] for device in self.devices('hgx-h100')})

    def test_numa_topology(self):
        found = objects.NUMATopology.obj_from_db_obj(
            self.resources('hgx-h100')['numa_topology'])
        self.assertEqual([0, 1], [cell.id for cell in found.cells])
        self.assertEqual(
            virt.BoardDriver.memory_mb,
            sum(cell.memory for cell in found.cells))
        one, two = (cell.cpuset for cell in found.cells)
        self.assertEqual(set(), one & two)
        self.assertEqual(virt.BoardDriver.vcpus, len(one | two))

    def test_the_node_is_the_same_after_a_restart(self):
        first = self.resources('hgx-h100')['uuid']
        self.assertEqual(
            {first: 'hgx-1'}, self.driver().get_nodenames_by_uuid())
        self.assertEqual(first, self.driver().get_available_resource(
            'hgx-1')['uuid'])
        # Without it nova-compute refuses to start for the second time.
        self.assertEqual(first, node.read_local_node_uuid())
