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


"""What is written for a board is what is read from a machine that has it."""

import json
import pathlib
import tempfile
import unittest

from ai_factory_plugins.inventory import capture
from ai_factory_plugins.inventory import nova_conf
from ai_factory_plugins.inventory import sysfs
from ai_factory_plugins.testing import boards
from ai_factory_plugins.topology import wire


class BoardsTest(unittest.TestCase):

    def setUp(self):
        directory = tempfile.TemporaryDirectory()
        self.addCleanup(directory.cleanup)
        self.root = pathlib.Path(directory.name)

    def read(self, name):
        self.spec = boards.load(name)
        boards.write_capture(self.spec, self.root / name)
        return capture.read_directory(self.root / name)

    def test_facts_are_read_back(self):
        for name in boards.names():
            board = self.read(name)
            with self.subTest(name):
                self.assertEqual(
                    [(gpu['address'], gpu['id'], gpu['numa_node'],
                      gpu.get('module_id')) for gpu in self.spec.gpus],
                    [(gpu.address, f'{gpu.vendor_id}:{gpu.product_id}',
                      gpu.numa_node, gpu.module_id) for gpu in board.gpus])
                self.assertNotIn(None, {gpu.model for gpu in board.gpus})
                address = {gpu.get('module_id'): gpu['address']
                           for gpu in self.spec.gpus}
                self.assertEqual(
                    [(p['id'], {address[m] for m in p['modules']})
                     for p in self.spec.partitions],
                    [(p.id, set(p.members)) for p in board.partitions])

    def test_command(self):
        boards.main(['hgx-h100', str(self.root / 'one')])
        boards.write_capture(boards.load('hgx-h100'), self.root / 'two')
        one, two = (
            {path.relative_to(self.root / name): path.read_text()
             for path in (self.root / name).rglob('*') if path.is_file()}
            for name in ('one', 'two'))
        self.assertTrue(one)
        self.assertEqual(two, one)

    def test_nova_can_be_told_of_each(self):
        for name in boards.names():
            board = self.read(name)
            for spec in nova_conf.device_specs(board):
                device = board.device(spec['address'])
                self.assertEqual(device, wire.decode(
                    spec[wire.TAG_KEY], device.key, device.numa_node))

    def test_devices_that_are_no_gpus(self):
        self.read('hgx-h100')
        found = [f'{device.vendor_id}:{device.product_id}'
                 for device in sysfs.read_pci_devices(
                     self.root / 'hgx-h100/sys')]
        self.assertEqual(4, found.count('10de:22a3'))
        self.assertEqual(8, found.count('15b3:1021'))

    def test_a_nic_below_the_switch_of_each_gpu(self):
        self.read('hgx-h100')
        found = sysfs.read_pci_devices(self.root / 'hgx-h100/sys')
        switches = {
            id_: sorted(device.switches for device in found
                        if device.product_id == id_)
            for id_ in ('2330', '1021')}
        self.assertEqual(8, len(set(switches['2330'])))
        self.assertEqual(switches['2330'], switches['1021'])

    def test_degraded(self):
        """Links of module 1 are missing wherever it is joined to others."""
        self.assertEqual(
            [0, 1, 3],
            [partition.id for partition in
             self.read('hgx-h100-degraded').partitions if partition.degraded])

    def test_bus_ids(self):
        board = self.read('hgx-h100-bus-ids')
        text = (self.root / 'hgx-h100-bus-ids/fmpm.json').read_text()
        told = {
            (gpu['physicalId'], gpu['pciBusId'])
            for partition in json.loads(text)['partitionInfo']
            for gpu in partition['gpuInfo']}
        self.assertEqual(
            {(gpu.module_id, '0000' + gpu.address.upper())
             for gpu in board.gpus}, told)

    def test_four_numa_nodes(self):
        self.assertEqual(
            [0, 0, 0, 1, 2, 2, 2, 3],
            [gpu.numa_node for gpu in self.read('h100-4numa').gpus])

    def test_gpus_of_another_vendor(self):
        board = self.read('mi300x-8')
        self.assertEqual({'MI300X'}, {gpu.model for gpu in board.gpus})
        self.assertEqual(
            ['sys'], [path.name for path in (self.root / 'mi300x-8')
                      .iterdir()])
        devices = sysfs.read_pci_devices(self.root / 'mi300x-8/sys')
        sriov = {device.address for device in devices
                 if device.sriov_totalvfs}
        self.assertEqual({gpu.address for gpu in board.gpus}, sriov)
        alias, = nova_conf.aliases(board, sriov)
        self.assertEqual(('mi300x', 'type-PF'),
                         (alias['name'], alias['device_type']))

    def test_no_such_board(self):
        with self.assertRaisesRegex(KeyError, 'there are .*hgx-h100'):
            boards.load('../hgx-h100')
