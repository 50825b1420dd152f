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

import testtools
from testtools import matchers

from ai_factory_plugins.baremetal import fields
from ai_factory_plugins.baremetal import sources
from ai_factory_plugins.inventory import catalogue
from tests import devices as data

CATALOGUE = catalogue.load()
NIC = data.NIC


def read(plugin_data=None, inventory=None):
    return sources.read(CATALOGUE, inventory or {}, plugin_data or {})


class TestRead(testtools.TestCase):

    def test_in_band(self):
        machine, complaints = read(
            {'pci_devices': [NIC, data.BMC, data.NVSWITCH, *data.in_band()]})

        self.assertEqual([], complaints)
        self.assertEqual('pci-devices', machine.source)
        self.assertEqual({'H100_SXM5_80GB': 8}, machine.kinds)
        self.assertEqual(80, machine.memory_gib)
        self.assertTrue(machine.nvlink and machine.nvswitch and machine.mig)
        self.assertTrue(machine.numa_balanced)

    def test_redfish(self):
        machine, complaints = read(inventory={'pci_devices': [
            {'vendor_id': '0x15B3', 'product_id': '0x1021',
             'class': 'NetworkController'},
            {'vendor_id': '0x10DE', 'product_id': '0x22A3',
             'class': 'Bridge'}, *data.redfish()]})

        self.assertEqual([], complaints)
        self.assertEqual({'H100_SXM5_80GB': 8}, machine.kinds)
        self.assertTrue(machine.nvswitch)
        self.assertFalse(machine.numa_balanced)

    def test_accelerators_are_gpus(self):
        for told in ({'plugin_data': {'pci_devices': data.in_band(
                '1060', vendor='1da3', class_code='120000')}},
                {'inventory': {'pci_devices': data.redfish(
                    '0x1060', vendor='0x1DA3',
                    device_class='ProcessingAccelerators')}}):
            machine, _ = read(**told)
            self.assertEqual({'GAUDI3': 8}, machine.kinds)
            self.assertFalse(machine.nvlink or machine.mig)

    def test_unknown_model(self):
        machine, _ = read({'pci_devices': data.in_band('ffff', 2)})

        self.assertEqual({'10de:ffff': 2}, machine.kinds)
        self.assertIsNone(machine.gpus[0].model)
        self.assertFalse(machine.nvlink)

    def test_no_gpus_is_an_answer(self):
        machine, complaints = read({'pci_devices': [NIC, data.BMC]})

        self.assertEqual((), machine.gpus)
        self.assertEqual([], complaints)

    def test_nothing_told(self):
        self.assertEqual((None, []), read())
        self.assertEqual((None, []), sources.read(CATALOGUE, None, None))

    def test_best_source_first(self):
        machine, _ = read({'gpu_topology': data.topology(7),
                           'pci_devices': data.in_band(count=8)},
                          {'pci_devices': data.redfish(count=6)})
        self.assertEqual('gpu-topology', machine.source)
        self.assertThat(machine.gpus, matchers.HasLength(7))
        self.assertEqual(16, machine.gpus[0].link_width)

    def test_malformed_source_gives_way_to_the_next(self):
        machine, complaints = read({
            'gpu_topology': data.topology(truncated=True),
            'pci_devices': data.in_band(count=8)})
        self.assertEqual('pci-devices', machine.source)
        self.assertThat(complaints, matchers.HasLength(1))
        self.assertIn('could not read it all', complaints[0])

    def test_duplicates_count_once(self):
        machine, _ = read({'pci_devices': data.in_band() + data.in_band()})
        self.assertThat(machine.gpus, matchers.HasLength(8))

    def test_short_address(self):
        short = [{**device, 'bus': device['bus'][5:]}
                 for device in data.in_band()]
        machine, _ = read({'pci_devices': data.in_band() + short})
        self.assertThat(machine.gpus, matchers.HasLength(8))

    def test_nvml(self):
        nvml = {'driver': '570.86.10', 'gpus': [
            {'address': f'0000:{0x10 + i:02x}:00.0', 'name': 'NVIDIA X1',
             'memory_mib': 183359, 'module_id': None,
             'nvlinks': {'active': 18 if i else 0, 'total': 18, 'peers': {}}}
            for i in range(8)]}
        told = data.topology(nvml=nvml)
        for device in told['devices']:
            device['product_id'] = 'ffff'
        machine, complaints = read({'gpu_topology': told})

        self.assertEqual([], complaints)
        self.assertEqual({'NVIDIA_X1': 8}, machine.kinds)
        self.assertEqual(179, machine.memory_gib)
        self.assertTrue(machine.nvlink)
        self.assertFalse(machine.nvswitch)
        self.assertEqual([0, 18], [gpu.nvlinks for gpu in machine.gpus[:2]])


class TestMalformed(testtools.TestCase):
    """None of it may be taken for a machine with fewer GPUs."""

    def check(self, value, text):
        for plugin_data, inventory in (
                ({'pci_devices': value}, {}), ({}, {'pci_devices': value})):
            machine, complaints = read(plugin_data, inventory)
            self.assertIsNone(machine)
            self.assertThat(complaints, matchers.HasLength(1))
            self.assertIn(text, complaints[0])

    def one_bad(self, **changes):
        found = data.in_band()
        found[3] = {**found[3], **changes}
        return found

    def test_list(self):
        self.check(None, 'not one PCI device')
        self.check([], 'not one PCI device')
        self.check({'0': {}}, 'a dict and not a list')
        self.check('10de', 'a str and not a list')
        self.check(data.in_band() + [None], 'nothing and not a mapping')
        self.check(data.in_band() + [['10de']], 'a list and not a mapping')
        self.check([NIC] * 20000, '20000 entries, more than 4096')
        self.check(data.redfish(count=65), 'more than 64 GPUs')

    def test_fields_of_a_gpu(self):
        self.check(self.one_bad(vendor_id=None), 'without vendor or product')
        self.check(self.one_bad(product_id=0x2330), 'a int and not text')
        self.check(self.one_bad(product_id='233'), 'not of the form')
        self.check(self.one_bad(product_id='２３３０'), 'not of the form')
        self.check(self.one_bad(product_id='2330\n'), 'not of the form')
        self.check(self.one_bad(vendor_id='1' * 10 ** 6), '1000000 charact')
        self.check(self.one_bad(vendor_id=['10de']), 'a list and not text')
        self.check(self.one_bad(**{'class': 3}), 'a int and not text')
        self.check(self.one_bad(**{'class': '０３０２００'}), 'not of the form')

    def test_place_of_a_gpu(self):
        for changes, text in (
                ({'bus': 'slot 3'}, 'not a PCI address'),
                ({'numa_node_id': 'x'}, 'not a number'),
                ({'numa_node_id': 10 ** 9}, 'not a number'),
                ({'numa_node_id': '１'}, 'not a number'),
                ({'numa_node_id': True}, 'not a number')):
            machine, complaints = read(
                {'pci_devices': self.one_bad(**changes)})
            self.assertIsNone(machine)
            self.assertIn(text, complaints[0])
            self.assertIn('entry 3', complaints[0])

    def test_what_is_no_gpu_may_be_odd(self):
        machine, complaints = read({'pci_devices': data.in_band() + [
            {**NIC, 'vendor_id': 'Mellanox'}, {**NIC, 'product_id': None},
            {**NIC, 'bus': 'slot 3', 'numa_node_id': 'x'}]})
        self.assertEqual([], complaints)
        self.assertThat(machine.gpus, matchers.HasLength(8))

    def test_nothing_known_of_a_device(self):
        empty = dict.fromkeys(data.NIC)
        for entry in ({}, empty, {**empty, 'vendor_id': '10de'}):
            self.check([entry], 'neither what they are')
            self.assertIsNone(read({'pci_devices': [NIC, entry]})[0])
            machine, complaints = read(
                inventory={'pci_devices': data.redfish() + [entry]})
            self.assertEqual([], complaints)
            self.assertThat(machine.gpus, matchers.HasLength(8))

    def test_ids_of_redfish_in_band(self):
        machine, _ = read({'pci_devices': [
            {**device, 'vendor_id': '0x10DE', 'class': '0x030200'}
            for device in data.in_band()]})
        self.assertEqual({'H100_SXM5_80GB': 8}, machine.kinds)

    def test_topology(self):
        for value, text in (
                (None, 'not a mapping'), ([], 'not a mapping'),
                ({}, 'version'),
                (data.topology(version='1'), 'version'),
                (data.topology(devices=None), 'not a list'),
                (data.topology(nvml=[]), 'nvml is not a mapping'),
                (data.topology(nvml={'gpus': {}}), 'not a list'),
                (data.topology(nvml={'gpus': [{'nvlinks': 1}]}),
                 'nvlinks is not')):
            machine, complaints = read({'gpu_topology': value})
            self.assertIsNone(machine)
            self.assertIn(text, complaints[0])
        broken = data.topology()
        broken['devices'][0]['link'] = 'x16'
        self.assertIn('link is not a mapping',
                      read({'gpu_topology': broken})[1][0])

    def test_topology_without_gpus(self):
        machine, _ = read({'gpu_topology': data.topology(0)})
        self.assertEqual((), machine.gpus)


class TestProcessors(testtools.TestCase):

    def processors(self, count=8, **changes):
        return [{'manufacturer': 'NVIDIA', 'model': 'NVIDIA B200',
                 'memory_mib': 183359, **changes} for _ in range(count)]

    def with_processors(self, machine, processors):
        return sources.with_processors(CATALOGUE, machine, processors)

    def test_alone(self):
        machine = self.with_processors(None, self.processors())
        self.assertEqual({'NVIDIA_B200': 8}, machine.kinds)
        self.assertEqual(179, machine.memory_gib)
        self.assertEqual('NVIDIA', machine.gpus[0].vendor)
        self.assertFalse(machine.nvlink)

    def test_none(self):
        self.assertIsNone(self.with_processors(None, []))

    def test_fill_what_the_list_lacks(self):
        machine, _ = read(inventory={'pci_devices': data.redfish('0x2901')})
        self.assertTrue(sources.needs_processors(machine))
        machine = self.with_processors(machine, self.processors())
        self.assertEqual({'B200': 8}, machine.kinds)
        self.assertEqual(179, machine.memory_gib)
        self.assertFalse(sources.needs_processors(machine))

    def test_of_a_machine_whose_list_has_no_gpus(self):
        machine, _ = read(inventory={'pci_devices': [
            {'vendor_id': '0x15B3', 'product_id': '0x1021',
             'class': 'NetworkController'}]})
        self.assertTrue(sources.needs_processors(machine))
        self.assertIs(machine, self.with_processors(machine, []))
        machine = self.with_processors(machine, self.processors())
        self.assertEqual({'NVIDIA_B200': 8}, machine.kinds)

    def test_a_gpu_is_gone_from_the_list(self):
        machine, _ = read(inventory={'pci_devices': data.redfish('0xFFFF', 7)})
        machine = self.with_processors(machine, self.processors())
        self.assertEqual({'NVIDIA_B200': 7}, machine.kinds)

    def test_makers(self):
        for maker, vendor in (
                ('AMD', 'AMD'), ('Advanced Micro Devices, Inc.', 'AMD'),
                ('NVIDIA Corporation', 'NVIDIA'), ('Advanced', 'ADVANCED')):
            machine = self.with_processors(
                None, self.processors(manufacturer=maker))
            self.assertEqual(vendor, machine.gpus[0].vendor)

    def test_which_is_which_is_not_told(self):
        machine, _ = read(inventory={'pci_devices': data.redfish('0x2901')})
        self.assertIs(machine, self.with_processors(
            machine, self.processors(7)))
        self.assertIs(machine, self.with_processors(
            machine, self.processors(7) + self.processors(1, model='other')))

    def test_odd(self):
        machine = self.with_processors(
            None, self.processors(manufacturer=None, model=None,
                                  memory_mib=None))
        self.assertEqual('UNKNOWN', machine.gpus[0].vendor)
        for bad in (self.processors(model=5), self.processors(memory_mib='x'),
                    self.processors(65), [None], 'NVIDIA'):
            self.assertRaises(
                fields.MalformedError, self.with_processors, None, bad)
