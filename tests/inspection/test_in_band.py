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

import copy
from unittest import mock

import fixtures
from ironic.common import exception
from ironic import objects

from tests import devices as data
from tests.inspection import base


def names(*found):
    return {f'CUSTOM_GPU_{name}' for name in found}


H100 = names(
    'MODEL_H100_SXM5_80GB', 'COUNT_8', 'NVLINK', 'NVSWITCH', 'MEMORY_80GB',
    'MIG_CAPABLE', 'VENDOR_NVIDIA', 'PCI_10DE_2330', 'NUMA_BALANCED')


class TestModels(base.InspectionCase):

    def check(self, devices, expected):
        found = self.inspect(
            self.node(), {'pci_devices': [data.NIC, data.BMC, *devices]})
        self.assertEqual(expected, found)

    def test_h100(self):
        self.check([data.NVSWITCH, *data.in_band()], H100)

    def test_h200(self):
        self.check(data.in_band('2335'), names(
            'MODEL_H200_SXM_141GB', 'COUNT_8', 'NVLINK', 'MEMORY_141GB',
            'MIG_CAPABLE', 'VENDOR_NVIDIA', 'PCI_10DE_2335', 'NUMA_BALANCED'))

    def test_b200(self):
        self.check(data.in_band('2901'), names(
            'MODEL_B200', 'COUNT_8', 'NVLINK', 'NVSWITCH', 'MIG_CAPABLE',
            'VENDOR_NVIDIA', 'PCI_10DE_2901', 'NUMA_BALANCED'))

    def test_gb200(self):
        self.check(data.in_band('2941', 4), names(
            'MODEL_GB200', 'COUNT_4', 'NVLINK', 'NVSWITCH', 'MIG_CAPABLE',
            'VENDOR_NVIDIA', 'PCI_10DE_2941', 'NUMA_BALANCED'))

    def test_mi300x(self):
        self.check(data.in_band('74a1', vendor='1002', class_code='120000'),
                   names('MODEL_MI300X', 'COUNT_8', 'MEMORY_192GB',
                         'VENDOR_AMD', 'PCI_1002_74A1', 'NUMA_BALANCED'))

    def test_gaudi3(self):
        self.check(data.in_band('1060', vendor='1da3', class_code='120000'),
                   names('MODEL_GAUDI3', 'COUNT_8', 'MEMORY_128GB',
                         'VENDOR_HABANA', 'PCI_1DA3_1060', 'NUMA_BALANCED'))

    def test_l40s(self):
        self.check(data.in_band('26b9', 4), names(
            'MODEL_L40S', 'COUNT_4', 'MEMORY_48GB', 'VENDOR_NVIDIA',
            'PCI_10DE_26B9', 'NUMA_BALANCED'))

    def test_mixed(self):
        self.check(
            data.in_band('26b9', 2) + data.in_band('2331', 2, first=2),
            names('MODEL_L40S', 'MODEL_H100_PCIE_80GB', 'COUNT_4', 'MIXED',
                  'VENDOR_NVIDIA', 'PCI_10DE_26B9', 'PCI_10DE_2331',
                  'NUMA_BALANCED'))

    def test_none(self):
        self.check([], set())

    def test_unknown_model(self):
        self.check(data.in_band('ffff', 1), names(
            'COUNT_1', 'VENDOR_NVIDIA', 'PCI_10DE_FFFF'))


class TestTraits(base.InspectionCase):

    def test_six_inspections(self):
        node = self.node()
        theirs = {'CUSTOM_RACK_7', 'CUSTOM_GPU_MINE', 'HW_CPU_X86_VMX',
                  'CUSTOM_GPU_COUNT_4'}
        self.set_traits(node, *theirs)
        for product, count in (('2330', 8), ('2335', 4), ('26b9', 2),
                               ('26b9', 4), ('ffff', 1)):
            found = self.inspect(
                node, {'pci_devices': data.in_band(product, count)})
            self.assertEqual(theirs, theirs & found)
            self.assertEqual(
                names(f'PCI_10DE_{product}'.upper()),
                {name for name in found if '_PCI_' in name})
            self.assertEqual(
                names('COUNT_4', f'COUNT_{count}'),
                {name for name in found if '_COUNT_' in name})
        self.assertEqual(
            theirs | names('DEGRADED'),
            self.inspect(node, {'pci_devices': [data.NIC]}))

    def test_nothing_told_changes_nothing(self):
        node = self.node()
        devices = [data.NVSWITCH, *data.in_band()]
        self.inspect(node, {'pci_devices': devices})
        for plugin_data in ({}, {'pci_devices': None}, {'pci_devices': []},
                            {'pci_devices': {'a': 1}},
                            {'pci_devices': devices[:-1] + [None]},
                            {'gpu_topology': {'version': 9}}):
            self.assertEqual(H100, self.inspect(node, plugin_data))

    def test_odd_record_does_no_harm(self):
        for record in ('x', [], {'traits': 'CUSTOM_A', 'record': 3},
                       {'traits': [None, 'CUSTOM_A'], 'count': 'x'}):
            node = self.node(driver_internal_info={'gpu_inventory': record})
            self.assertIn('CUSTOM_GPU_COUNT_8', self.inspect(
                node, {'pci_devices': data.in_band()}))

    def test_budget(self):
        node = self.node()
        theirs = {f'CUSTOM_{i}' for i in range(48)}
        self.set_traits(node, *theirs)
        found = self.inspect(node, {'pci_devices': data.in_band()})
        self.assertEqual(
            theirs | names('MODEL_H100_SXM5_80GB', 'COUNT_8'), found)

    def test_no_room_at_all(self):
        node = self.node()
        theirs = {f'CUSTOM_{i}' for i in range(50)}
        self.set_traits(node, *theirs)
        self.assertEqual(
            theirs, self.inspect(node, {'pci_devices': data.in_band()}))

    def test_failure_half_way_is_made_good(self):
        node = self.node()
        self.inspect(node, {'pci_devices': data.in_band()})
        with mock.patch.object(objects.Trait, 'create', autospec=True,
                               side_effect=RuntimeError('lost')):
            self.inspect(node, {'pci_devices': data.in_band('2335')})
        found = self.inspect(node, {'pci_devices': data.in_band('26b9')})
        self.assertEqual(
            names('MODEL_L40S'),
            {name for name in found if '_MODEL_' in name})

    def test_what_was_sent_is_not_changed(self):
        sent = {'pci_devices': data.in_band(), 'gpu_topology': {'version': 9}}
        kept = copy.deepcopy(sent)
        self.inspect(self.node(), sent)
        self.assertEqual(kept, sent)


class TestOptions(base.InspectionCase):

    def test_strict(self):
        self.options(strict=True)
        self.assertRaisesRegex(
            exception.HardwareInspectionFailure, 'a dict and not a list',
            self.inspect, self.node(), {'pci_devices': {'a': 1}})

    def test_vocabulary(self):
        self.options(trait_prefix='CUSTOM_ACC', trait_families=['count'])
        self.assertEqual(
            {'CUSTOM_ACC_COUNT_8', 'CUSTOM_ACC_PCI_10DE_2330'},
            self.inspect(self.node(), {'pci_devices': data.in_band()}))

    def test_catalogue(self):
        path = self.useFixture(fixtures.TempDir()).path + '/gpus.yaml'
        with open(path, 'w') as stream:
            stream.write("gpus: {'10de:ffff': {model: R100}}")
        self.options(catalogue_file=path)
        self.assertIn('CUSTOM_GPU_MODEL_R100', self.inspect(
            self.node(), {'pci_devices': data.in_band('ffff')}))

    def test_resource_class(self):
        self.config(default_resource_class='baremetal')
        self.options(resource_class_template='GPU_{model}_X{count}')
        for before, product, after in (
                (None, '26b9', 'GPU_L40S_X8'),
                ('baremetal', '26b9', 'GPU_L40S_X8'),
                ('mine', '26b9', 'mine'), (None, 'ffff', None)):
            node = self.node(resource_class=before)
            self.inspect(node, {'pci_devices': data.in_band(product)})
            self.assertEqual(after, self.reread(node).resource_class)

    def test_no_resource_class_by_default(self):
        node = self.node(resource_class=None)
        self.inspect(node, {'pci_devices': data.in_band()})
        self.assertIsNone(self.reread(node).resource_class)
        self.assertNotIn('gpu_summary', self.reread(node).properties)

    def test_summary(self):
        self.options(store_summary=True)
        node = self.node()
        self.inspect(node, {'pci_devices': data.in_band()})
        properties = self.reread(node).properties
        self.assertEqual('8 x H100_SXM5_80GB, NVLink',
                         properties['gpu_summary'])
        self.assertEqual('ok', properties['gpu_health'])


class TestHealth(base.InspectionCase):

    def degraded(self, node, count=8, **kwargs):
        found = self.inspect(
            node, {'pci_devices': data.in_band(count=count)}, **kwargs)
        return 'CUSTOM_GPU_DEGRADED' in found

    def test_lost_gpu_and_repair(self):
        self.options(store_summary=True,
                     resource_class_template='GPU_X{count}')
        node = self.node()
        self.assertFalse(self.degraded(node))
        self.assertTrue(self.degraded(node, 7))
        self.assertTrue(self.degraded(node, 7))
        self.assertEqual('7 GPUs where it had before 8',
                         self.reread(node).properties['gpu_health'])
        self.assertFalse(self.degraded(node))
        self.assertEqual('ok', self.reread(node).properties['gpu_health'])

    def test_operator_declares(self):
        node = self.node(properties={'gpu_expected': '8'})
        self.assertTrue(self.degraded(node, 7))
        odd = self.node(properties={'gpu_expected': '８'})
        self.assertFalse(self.degraded(odd, 7))

    def test_siblings(self):
        for _ in range(3):
            self.degraded(self.node(resource_class='hgx'))
        self.assertTrue(self.degraded(self.node(resource_class='hgx'), 7))
        self.assertFalse(self.degraded(self.node(resource_class='other'), 7))

    def test_link(self):
        told = data.topology()
        told['devices'][2]['link']['width'] = 8
        self.assertIn('CUSTOM_GPU_DEGRADED', self.inspect(
            self.node(), {'gpu_topology': told}))

    def test_degraded_machine_gets_no_resource_class(self):
        self.options(resource_class_template='GPU_X{count}')
        node = self.node(properties={'gpu_expected': 8}, resource_class=None)
        self.degraded(node, 7)
        self.assertIsNone(self.reread(node).resource_class)

    def test_off(self):
        self.options(check_health=False)
        self.assertFalse(
            self.degraded(self.node(properties={'gpu_expected': 9})))

    def test_other_trait_or_none(self):
        for name in ('CUSTOM_BROKEN', ''):
            self.options(degraded_trait=name)
            found = self.inspect(
                self.node(properties={'gpu_expected': 9}),
                {'pci_devices': data.in_band()})
            self.assertEqual(bool(name), 'CUSTOM_BROKEN' in found)
            self.assertNotIn('CUSTOM_GPU_DEGRADED', found)
