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

import itertools
import json
import pathlib
import subprocess
import sys
import threading
import types
from unittest import mock

import fixtures
import testtools

from ai_factory_plugins.baremetal import sources
from ai_factory_plugins.inventory import catalogue
from ai_factory_plugins.ramdisk import collector
from ai_factory_plugins.ramdisk import nvml
from ai_factory_plugins.testing import boards


class CollectorTest(testtools.TestCase):

    def setUp(self):
        super().setUp()
        self.useFixture(fixtures.FakeLogger())
        directory = self.useFixture(fixtures.TempDir()).path
        boards.write_capture(boards.load('hgx-h100'), directory)
        self.sysfs = pathlib.Path(directory) / 'sys'
        self.devices = self.sysfs / 'bus/pci/devices'
        self.gpus = [gpu['address'] for gpu in boards.load('hgx-h100').gpus]
        self.useFixture(fixtures.EnvironmentVariable(
            collector.ROOT, str(self.sysfs)))
        self.useFixture(fixtures.MockPatchObject(
            nvml, 'read', lambda: None))

    def collect(self):
        data, failures = {}, mock.NonCallableMock(spec=[])
        collector.collect(data, failures)
        return data.get(collector.KEY)

    def told(self, address):
        return next(device for device in self.collect()['devices']
                    if device['address'] == address)

    def test_board(self):
        found = self.collect()
        self.assertEqual(found, json.loads(json.dumps(found)))
        self.assertFalse(found['truncated'])
        self.assertEqual(
            sorted(self.gpus), [d['address'] for d in found['devices'][:8]])
        machine, complaints = sources.read(
            catalogue.load(), {}, {'gpu_topology': found})
        self.assertEqual([], complaints)
        self.assertTrue(machine.nvswitch)
        self.assertEqual(8, len(machine.gpus))

    def test_gpu_and_nic_of_one_switch(self):
        gpu = self.told(self.gpus[0])
        self.assertEqual('030200', gpu['class'])
        self.assertTrue(any(
            device['switches'] == gpu['switches']
            for device in self.collect()['devices']
            if device['class'] == '020700'))

    def test_link(self):
        path = self.devices / self.gpus[0]
        for name, text in (
                ('current_link_speed', '16.0 GT/s PCIe'),
                ('max_link_speed', '32.0 GT/s PCIe'),
                ('current_link_width', '8'), ('max_link_width', '16')):
            (path / name).write_text(f'{text}\n')
        self.assertEqual(
            {'speed': 16.0, 'max_speed': 32.0, 'width': 8, 'max_width': 16},
            self.told(self.gpus[0])['link'])

    def test_link_that_is_not_known(self):
        path = self.devices / self.gpus[0]
        (path / 'current_link_speed').write_text('Unknown\n')
        (path / 'max_link_width').write_text('x' * 100000)
        self.assertEqual({}, self.told(self.gpus[0])['link'])

    def test_a_bad_gpu_does_not_hide_the_others(self):
        (self.devices / self.gpus[3] / 'vendor').unlink()
        found = self.collect()
        self.assertTrue(found['truncated'])
        self.assertEqual(7, len([
            d for d in found['devices'] if d['class'] == '030200']))

    def test_a_bad_nic_makes_nothing_doubtful(self):
        nic = boards.load('hgx-h100').nics[0]['address']
        (self.devices / nic / 'device').write_text('x')
        self.assertFalse(self.collect()['truncated'])

    def test_virtual_functions_are_not_told(self):
        (self.devices / self.gpus[0] / 'physfn').symlink_to(
            self.devices / self.gpus[1])
        self.assertEqual(7, len([d for d in self.collect()['devices']
                                 if d['class'] == '030200']))

    def test_most_devices(self):
        self.useFixture(fixtures.MockPatchObject(collector, 'MAX_DEVICES', 9))
        found = self.collect()
        self.assertEqual(9, len(found['devices']))
        self.assertFalse(found['truncated'])
        collector.MAX_DEVICES = 7
        self.assertTrue(self.collect()['truncated'])

    def test_time_is_up(self):
        ticks = itertools.count(step=collector.SECONDS / 3)
        found = collector.read(self.sysfs, clock=lambda: next(ticks))
        self.assertTrue(found['truncated'])

    def test_no_sysfs_fails_no_inspection(self):
        self.useFixture(fixtures.EnvironmentVariable(
            collector.ROOT, '/nowhere'))
        self.assertIsNone(self.collect())

    def test_imports_nothing_heavy(self):
        code = ('import sys; import ai_factory_plugins.ramdisk.collector; '
                'print([n for n in sys.modules if n.split(".")[0] in '
                '("ironic", "nova", "oslo_config", "yaml", "stevedore")])')
        self.assertEqual('[]\n', subprocess.run(
            [sys.executable, '-c', code], text=True, check=True,
            capture_output=True).stdout)


class NVMLError(Exception):
    pass


class FakeNVML:
    """NVIDIA's driver for two GPUs, the second of which has no NVLinks."""

    NVML_NVLINK_MAX_LINKS = 18
    NVML_FEATURE_ENABLED = 1
    NVMLError = NVMLError

    def nvmlInit(self):
        pass

    def nvmlShutdown(self):
        pass

    def nvmlSystemGetDriverVersion(self):
        return b'570.86.10'

    def nvmlDeviceGetCount(self):
        return 2

    def nvmlDeviceGetHandleByIndex(self, index):
        return index

    def nvmlDeviceGetPciInfo(self, handle):
        return types.SimpleNamespace(
            busId=f'00000000:{handle + 0x1b:02X}:00.0')

    def nvmlDeviceGetName(self, handle):
        return 'NVIDIA H100 80GB HBM3'

    def nvmlDeviceGetMemoryInfo(self, handle):
        return types.SimpleNamespace(total=81559 * 2 ** 20)

    def nvmlDeviceGetModuleId(self, handle):
        if handle:
            raise NVMLError('Not Supported')
        return 2

    def nvmlDeviceGetNvLinkState(self, handle, link):
        if handle or link > 3:
            raise NVMLError('Not Supported')
        return int(link != 2)

    def nvmlDeviceGetNvLinkRemotePciInfo(self, handle, link):
        return types.SimpleNamespace(busId=b'00000000:C1:00.0')


class NVMLTest(testtools.TestCase):

    def read(self, fake, **options):
        self.useFixture(fixtures.FakeLogger())
        self.useFixture(fixtures.MonkeyPatch('sys.modules', {
            **sys.modules, 'pynvml': fake}))
        return nvml.read(**options)

    def test_gpus(self):
        self.assertEqual(
            {'driver': '570.86.10', 'gpus': [
                {'address': '0000:1b:00.0', 'name': 'NVIDIA H100 80GB HBM3',
                 'memory_mib': 81559, 'module_id': 2, 'nvlinks': {
                     'active': 3, 'total': 4, 'peers': {'0000:c1:00.0': 3}}},
                {'address': '0000:1c:00.0', 'name': 'NVIDIA H100 80GB HBM3',
                 'memory_mib': 81559, 'module_id': None, 'nvlinks': None}]},
            self.read(FakeNVML()))

    def test_no_bindings(self):
        self.assertIsNone(self.read(None))

    def test_no_driver(self):
        fake = FakeNVML()
        fake.nvmlInit = mock.Mock(side_effect=NVMLError('Not Found'))
        self.assertIsNone(self.read(fake))

    def test_driver_hangs(self):
        release = threading.Event()
        self.addCleanup(release.set)
        fake = FakeNVML()
        fake.nvmlDeviceGetCount = lambda: release.wait(60) and 0
        self.assertIsNone(self.read(fake, seconds=0.1))
