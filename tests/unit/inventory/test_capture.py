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


import dataclasses
import json
import pathlib
import tempfile
import unittest

from ai_factory_plugins.inventory import capture
from ai_factory_plugins.inventory import catalogue
from ai_factory_plugins.inventory import errors
from ai_factory_plugins.inventory import store
from ai_factory_plugins.inventory import sysfs
from ai_factory_plugins.testing import boards
from ai_factory_plugins.topology import model


class CaptureTestCase(unittest.TestCase):
    """A machine with a board, whose files a test may change."""

    def setUp(self):
        directory = tempfile.TemporaryDirectory()
        self.addCleanup(directory.cleanup)
        self.root = pathlib.Path(directory.name)

    def write(self, name='hgx-h100', **changes):
        self.spec = dataclasses.replace(boards.load(name), **changes)
        boards.write_capture(self.spec, self.root)

    def edit_fmpm(self, change):
        path = self.root / 'fmpm.json'
        facts = json.loads(path.read_text())
        for partition in facts['partitionInfo']:
            for gpu in partition['gpuInfo']:
                change(partition, gpu)
        path.write_text(json.dumps(facts))

    def read(self):
        return capture.read_directory(self.root)

    def assert_refused(self, message):
        with self.assertRaisesRegex(errors.InventoryError, message):
            self.read()


class ReadTest(CaptureTestCase):

    def test_partitions_are_those_of_the_facts(self):
        self.write()
        found = self.read()
        addresses = {gpu['module_id']: gpu['address']
                     for gpu in self.spec.gpus}
        self.assertEqual(
            {p['id']: {addresses[m] for m in p['modules']}
             for p in self.spec.partitions},
            {p.id: set(p.members) for p in found.partitions})
        self.assertEqual(
            [(g['address'], g['module_id'], g['numa_node'])
             for g in self.spec.gpus],
            [(g.address, g.module_id, g.numa_node) for g in found.gpus])
        self.assertEqual({'H100_SXM5_80GB'}, {g.model for g in found.gpus})
        self.assertEqual((), found.groups)

    def test_nothing_is_degraded_on_a_healthy_board(self):
        """GPUs that are alone have no NVLinks, and need none."""
        self.write()
        self.assertFalse(any(p.degraded for p in self.read().partitions))

    def test_degraded_partition(self):
        self.write()
        self.edit_fmpm(lambda partition, gpu: gpu.update(
            numNvLinksAvailable=16) if (
                partition['partitionId'], gpu['physicalId']) == (3, 1)
            else None)
        self.assertEqual(
            [3], [p.id for p in self.read().partitions if p.degraded])

    def test_bus_ids_that_fabric_manager_resolves_are_checked(self):
        self.write()
        addresses = {gpu['module_id']: '0000' + gpu['address'].upper()
                     for gpu in self.spec.gpus}
        self.edit_fmpm(lambda partition, gpu: gpu.update(
            pciBusId=addresses[gpu['physicalId']]))
        self.assertEqual(15, len(self.read().partitions))
        self.edit_fmpm(lambda partition, gpu: gpu.update(
            pciBusId=addresses[9 - gpu['physicalId']]))
        self.assert_refused('for Fabric Manager and .* for the driver')

    def test_empty_bus_ids(self):
        self.write()
        self.edit_fmpm(lambda partition, gpu: gpu.update(pciBusId=''))
        self.assertEqual(15, len(self.read().partitions))

    def test_modules_that_do_not_join_are_refused(self):
        self.write()
        self.edit_fmpm(lambda partition, gpu: gpu.update(
            physicalId=gpu['physicalId'] - 1))
        self.assert_refused(r'modules \[0, 1, .*\[1, 2')

    def test_module_id_as_since_r580(self):
        self.write()
        path = self.root / 'nvidia-smi-q.txt'
        path.write_text('\n'.join(
            '    Platform Info\n        Module Id : ' + line.split(': ')[1]
            if 'Module ID' in line else line
            for line in path.read_text().splitlines()))
        self.assertEqual(15, len(self.read().partitions))

    def test_two_gpus_with_one_module_id(self):
        gpus = [dict(gpu) for gpu in boards.load('hgx-h100').gpus]
        gpus[0]['module_id'] = gpus[1]['module_id']
        self.write(gpus=gpus)
        self.assert_refused('two GPUs have one module id')

    def test_driver_tells_of_a_gpu_that_sysfs_does_not_have(self):
        self.write()
        (self.root / 'sys/bus/pci/devices/0000:0f:00.0').unlink()
        self.assert_refused('sysfs does not have.*0f:00.0')

    def test_bridge_pairs(self):
        self.write('pcie-bridge-pairs')
        gpus = [gpu['address'] for gpu in self.spec.gpus]
        groups = self.read().groups
        nvlink = {g.members for g in groups if g.level == model.Level.NVLINK}
        pcie = {g.members for g in groups if g.level == model.Level.PCIE}
        self.assertEqual({frozenset([gpus[0], gpus[3]]),
                          frozenset([gpus[1], gpus[2]])}, nvlink)
        self.assertEqual({frozenset(gpus[:2]), frozenset(gpus[2:])}, pcie)

    def test_half_of_the_bridges_is_refused(self):
        """The driver sees three of four GPUs of one kind."""
        spec = boards.load('pcie-bridge-pairs')
        self.write('pcie-bridge-pairs', gpus=spec.gpus[:3], bridges=[[0, 1]])
        whole = self.root / 'whole'
        boards.write_capture(spec, whole)
        told = {name: (self.root / file_name).read_text()
                for name, file_name in capture.FILES.items()
                if (self.root / file_name).exists()}
        with self.assertRaisesRegex(
                errors.InventoryError, 'does not see .*b2:00.0'):
            capture.read(capture.Capture(str(whole / 'sys'), **told))

    def test_nvswitches_without_partitions(self):
        """The driver shows each GPU joined to each; in a VM they are not."""
        for name, gone in (('hgx-h100', False), ('hgx-b200', True)):
            spec = boards.load('hgx-h100')
            if gone:
                # Since Blackwell, NVSwitches are no PCI devices.
                self.root /= name
                spec = dataclasses.replace(spec, nvswitches=[], gpus=[
                    {**gpu, 'id': '10de:2901'} for gpu in spec.gpus])
            boards.write_capture(spec, self.root)
            (self.root / 'fmpm.json').unlink()
            with self.subTest(name), self.assertLogs(
                    capture.LOG, 'WARNING') as logs:
                self.assertEqual((), self.read().groups)
            self.assertIn('partitions', logs.output[0])

    def test_chain_of_bridges_is_refused(self):
        """0 to 1 and 1 to 2, but not 0 to 2, is no group."""
        self.write('pcie-bridge-pairs', bridges=[[0, 1], [1, 2]])
        self.assert_refused('not joined each to each')

    def test_unknown_numa_node(self):
        gpus = [{**gpu, 'numa_node': -1}
                for gpu in boards.load('pcie-bridge-pairs').gpus]
        self.write('pcie-bridge-pairs', gpus=gpus)
        self.assertEqual({None}, {g.numa_node for g in self.read().gpus})

    def test_gpu_that_the_catalogue_does_not_know(self):
        gpus = [{**gpu, 'id': '10de:ffff'}
                for gpu in boards.load('hgx-h100').gpus]
        self.write(gpus=gpus)
        self.assertEqual({None}, {g.model for g in self.read().gpus})

    def test_no_gpus(self):
        self.write('pcie-bridge-pairs', gpus=[], bridges=[])
        (self.root / 'nvidia-smi-topo.txt').unlink()
        (self.root / 'sys/bus/pci/devices').mkdir(parents=True)
        self.assertEqual((), self.read().gpus)

    def test_no_sysfs(self):
        self.assert_refused('cannot list PCI devices')

    def test_sysfs_with_nonsense(self):
        self.write()
        device = self.root / 'sys/bus/pci/devices/0000:0f:00.0'
        for name, text in (('vendor', 'nvidia'), ('class', '0xfffffffff'),
                           ('numa_node', '0 or 1')):
            kept = (device / name).read_text()
            (device / name).write_text(text)
            self.assert_refused(f'{name}: ')
            (device / name).write_text(kept)
        self.assertEqual(8, len(self.read().gpus))


class KeptMapTest(CaptureTestCase):
    """GPUs that are bound to vfio-pci vanish from nvidia-smi."""

    def capture(self):
        return capture.Capture(
            sysfs_root=str(self.root / 'sys'), query='NVSMI LOG',
            fmpm=(self.root / 'fmpm.json').read_text()
            if (self.root / 'fmpm.json').exists() else None)

    def test_partitions(self):
        self.write()
        whole = self.read()
        with self.assertRaisesRegex(errors.InventoryError, 'vfio-pci'):
            capture.read(self.capture())
        kept = store.load(store.dump(whole))
        self.assertEqual(whole, capture.read(self.capture(), kept))

    def test_bridges(self):
        self.write('pcie-bridge-pairs')
        whole = self.read()
        self.assertEqual(whole, capture.read(self.capture(), whole))

    def test_fabric_manager_runs_elsewhere(self):
        """In a service VM, so that this machine has no fmpm."""
        self.write()
        whole = self.read()
        for query in (None, 'No devices were found\n'):
            self.assertEqual(whole, capture.read(capture.Capture(
                sysfs_root=str(self.root / 'sys'), query=query), whole))

    def test_driver_contradicts_the_map(self):
        self.write()
        whole = self.read()
        path = self.root / 'nvidia-smi-q.txt'
        path.write_text(path.read_text().replace(
            ': 5\n', ': x\n').replace(': 7\n', ': 5\n').replace(
                ': x\n', ': 7\n'))
        with self.assertRaisesRegex(errors.InventoryError, 'another GPU'):
            capture.read(capture.Capture(
                str(self.root / 'sys'), query=path.read_text()), whole)

    def test_gpu_was_replaced(self):
        self.write()
        whole = self.read()
        device = self.root / 'sys/bus/pci/devices/0000:0f:00.0/device'
        device.write_text('0x2335')
        with self.assertRaisesRegex(
                errors.InventoryError, '0f:00.0 is another GPU'):
            capture.read(self.capture(), whole)

    def test_malformed(self):
        self.write()
        good = json.loads(store.dump(self.read()))
        for change in (
                {'version': 2}, {'gpus': None}, {'gpus': [{}]},
                {'partitions': [{'id': '1', 'members': [], 'degraded': 0}]},
                {'groups': [{'level': 'x', 'id': 'a', 'members': []}]},
                {'groups': [{'level': 5}]}):
            with self.subTest(change=change):
                self.assertRaises(errors.InventoryError, store.load,
                                  json.dumps({**good, **change}))
        for text in ('', '[]', 'null', '[' * 100000):
            self.assertRaises(errors.InventoryError, store.load, text)


class SysfsTest(CaptureTestCase):

    def test_switch_and_driver(self):
        self.write('pcie-bridge-pairs')
        device = self.root / 'sys/bus/pci/devices/0000:17:00.0'
        drivers = self.root / 'sys/bus/pci/drivers/vfio-pci'
        drivers.mkdir(parents=True)
        (device / 'driver').symlink_to(drivers)
        (device / 'sriov_totalvfs').write_text('16\n')
        found = {d.address: d for d in sysfs.read_pci_devices(
            self.root / 'sys')}
        gpu, other, far = (found[f'0000:{bus}:00.0']
                           for bus in ('17', '18', 'b1'))
        self.assertEqual(('vfio-pci', 16), (gpu.driver, gpu.sriov_totalvfs))
        self.assertEqual((None, 0), (other.driver, other.sriov_totalvfs))
        self.assertEqual(gpu.switches, other.switches)
        self.assertNotEqual(gpu.switches, far.switches)
        switch, = gpu.switches
        self.assertEqual(0x060400, found[switch].class_code)
        self.assertEqual((), found[switch].switches)

    def device(self, path):
        target = self.root / 'sys/devices/pci0000:00' / path
        target.mkdir(parents=True)
        for name, text in (('vendor', '0x1002'), ('device', '0x74a1'),
                           ('class', '0x120000')):
            (target / name).write_text(text)
        links = self.root / 'sys/bus/pci/devices'
        links.mkdir(parents=True, exist_ok=True)
        (links / target.name).symlink_to(target)
        return target

    def test_gpus_with_a_switch_on_their_own_card(self):
        """They are below one switch all the same."""
        for bus in ('03', '08'):
            self.device(
                f'0000:00:01.0/0000:01:00.0/0000:02:{bus}.0/'
                f'0000:{bus}:00.0/0000:{bus}:01.0/0000:{bus}:02.0')
        self.device('0000:00:02.0/0000:20:00.0')
        group, = self.read().groups
        self.assertEqual(
            (model.Level.PCIE, '0000.01.00.0',
             {'0000:03:02.0', '0000:08:02.0'}),
            (group.level, group.id, group.members))

    def test_switch_behind_a_switch(self):
        """Each level counts once, named after its innermost switch."""
        outer = '0000:00:01.0/0000:01:00.0/0000:02:00.0'
        inner = f'{outer}/0000:03:00.0/0000:04:00.0'
        self.device(f'{inner}/0000:05:00.0')
        self.device(f'{inner}/0000:05:00.1')
        self.assertEqual(
            ['0000.03.00.0'], [group.id for group in self.read().groups])
        self.device('0000:00:01.0/0000:01:00.0/0000:02:01.0/0000:06:00.0')
        self.assertEqual(
            [('0000.01.00.0', 3), ('0000.03.00.0', 2)],
            [(group.id, len(group.members)) for group in self.read().groups])

    def test_virtual_functions_are_not_handed_out(self):
        whole = self.device('0000:00:01.0/0000:01:00.0')
        part = self.device('0000:00:01.0/0000:01:00.1')
        (part / 'physfn').symlink_to(whole)
        self.assertEqual(
            ['0000:01:00.0'], [gpu.address for gpu in self.read().gpus])


class CatalogueTest(unittest.TestCase):

    def override(self, text):
        with tempfile.NamedTemporaryFile('w', suffix='.yaml') as stream:
            stream.write(text)
            stream.flush()
            return catalogue.load(stream.name)

    def device(self, id_, class_code):
        vendor, product = id_.split(':')
        return sysfs.PciDevice('0000:01:00.0', vendor, product, class_code, 0)

    def test_what_is_a_gpu(self):
        known = catalogue.load()
        for id_, class_code, expected in (
                ('10de:2330', 0x030200, True),
                ('10de:ffff', 0x030000, True),
                ('1002:74a1', 0x120000, True),
                ('1a03:2000', 0x030000, False),
                ('10de:22a3', 0x068000, False),
                ('15b3:1021', 0x020700, False)):
            self.assertEqual(
                expected, known.is_gpu(self.device(id_, class_code)), id_)

    def test_override(self):
        known = self.override(
            "gpus:\n  '10de:2339': {model: H100_SXM5_94GB, memory_gib: 94}\n")
        self.assertEqual('H100_SXM5_94GB', known.model('10de', '2339'))
        self.assertEqual('H100_SXM5_80GB', known.model('10de', '2330'))

    def test_malformed(self):
        for text in (
                '[]', 'gpus: []', '{', 'other: {}',
                "gpus: {'10de:2339': {}}", "gpus: {'10DE:2339': {model: A}}",
                "gpus: {'10de:2339': {model: 'a b'}}",
                "gpus: {'10de:2339': {model: A, memory_gib: -1}}",
                "gpus: {'10de:2339': {model: A, memory_gib: true}}",
                "gpus: {'10de:2339': {model: A, color: red}}",
                "gpus: {'10de:2339': {model: A, nvswitch: 1}}",
                'gpus: 2024-99-99', '[' * 10000,
                'gpu_classes: [302]', 'gpu_classes: 0302'):
            with self.subTest(text=text):
                self.assertRaises(
                    errors.InventoryError, self.override, text)
        self.assertRaises(
            errors.InventoryError, catalogue.load, '/does/not/exist')
