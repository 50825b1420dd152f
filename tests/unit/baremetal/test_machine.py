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

import testtools

from ai_factory_plugins.baremetal import health
from ai_factory_plugins.baremetal import machine as machines
from ai_factory_plugins.baremetal import ownership
from ai_factory_plugins.baremetal import shape
from ai_factory_plugins.baremetal import vocabulary


def machine(count=8, model='H100', product='2330', links=None, widths=None,
            **changes):
    gpus = tuple(machines.Gpu(
        '10de', product, 'NVIDIA', model, 80, f'0000:{i:02x}:00.0', i % 2,
        16 if widths is None else widths[i], links and links[i])
        for i in range(count))
    return machines.Machine(gpus, 'pci-devices', **changes)


class TestVocabulary(testtools.TestCase):

    def test_all(self):
        self.assertEqual(
            ['CUSTOM_GPU_MODEL_H100', 'CUSTOM_GPU_COUNT_8',
             'CUSTOM_GPU_NVLINK', 'CUSTOM_GPU_NVSWITCH',
             'CUSTOM_GPU_MEMORY_80GB', 'CUSTOM_GPU_MIG_CAPABLE',
             'CUSTOM_GPU_VENDOR_NVIDIA', 'CUSTOM_GPU_PCI_10DE_2330',
             'CUSTOM_GPU_NUMA_BALANCED'],
            vocabulary.traits(machine(nvlink=True, nvswitch=True, mig=True)))

    def test_chosen(self):
        self.assertEqual(
            ['CUSTOM_X_COUNT_8', 'CUSTOM_X_PCI_10DE_2330'],
            vocabulary.traits(machine(), 'CUSTOM_X', ['count']))

    def test_mixed(self):
        both = machines.Machine(
            machine(1).gpus + machine(1, 'L40S', '26b9').gpus, 'redfish')
        names = vocabulary.traits(both)
        for name in ('MODEL_H100', 'MODEL_L40S', 'COUNT_2', 'MIXED',
                     'PCI_10DE_2330', 'PCI_10DE_26B9'):
            self.assertIn(f'CUSTOM_GPU_{name}', names)

    def test_no_gpus(self):
        self.assertEqual([], vocabulary.traits(machine(0, nvswitch=True)))

    def test_none_that_placement_would_refuse(self):
        odd = machine(1, model='Ｈ100')
        self.assertEqual(
            [], [name for name in vocabulary.traits(odd) if 'MODEL' in name])
        self.assertFalse(vocabulary.is_custom('CUSTOM_' + 'A' * 300))
        self.assertFalse(vocabulary.is_custom('HW_CPU_X86_VMX'))


class TestOwnership(testtools.TestCase):

    def test_stale_goes_and_foreign_stays(self):
        change = ownership.change(
            present=['CUSTOM_GPU_A', 'CUSTOM_GPU_MINE', 'CUSTOM_B'],
            owned=['CUSTOM_GPU_A', 'CUSTOM_GONE'], wanted=['CUSTOM_GPU_C'])
        self.assertEqual(['CUSTOM_GPU_A'], change.remove)
        self.assertEqual(['CUSTOM_GPU_C'], change.add)
        self.assertEqual(['CUSTOM_GPU_C'], change.owned)

    def test_what_the_operator_has_set_stays_theirs(self):
        change = ownership.change(['CUSTOM_A'], [], ['CUSTOM_A', 'CUSTOM_B'])
        self.assertEqual(['CUSTOM_B'], change.add)
        self.assertEqual(['CUSTOM_B'], change.owned)

    def test_no_change(self):
        change = ownership.change(['A', 'B'], ['A', 'B'], ['A', 'B'])
        self.assertEqual(([], [], ['A', 'B'], []), dataclasses.astuple(change))

    def test_budget(self):
        foreign = [f'CUSTOM_{i}' for i in range(48)]
        change = ownership.change(
            [*foreign, 'OLD'], ['OLD'], ['A', 'B', 'C', 'CUSTOM_1'])
        self.assertEqual(['A', 'B'], change.add)
        self.assertEqual(['C'], change.dropped)
        self.assertEqual(['OLD'], change.remove)

    def test_full(self):
        foreign = [f'CUSTOM_{i}' for i in range(51)]
        change = ownership.change(foreign, [], ['A'])
        self.assertEqual(([], [], [], ['A']), dataclasses.astuple(change))

    def test_record_with_odd_things_in_it(self):
        change = ownership.change(['A'], [None, 3, {}, 'A'], [])
        self.assertEqual(['A'], change.remove)


class TestHealth(testtools.TestCase):

    def problems(self, found, last=None, **kwargs):
        last = health.Record() if last is None else health.record(
            last, health.Record())
        return health.problems(found, last, **kwargs)

    def test_well(self):
        self.assertEqual([], self.problems(machine()))
        self.assertEqual([], self.problems(machine(), machine()))
        self.assertEqual([], self.problems(machine(0)))

    def test_fewer_than_before(self):
        self.assertEqual(['7 GPUs where it had before 8'],
                         self.problems(machine(7), machine(8)))
        self.assertEqual(['0 GPUs where it had before 8'],
                         self.problems(machine(0), machine(8)))

    def test_still_missing_the_next_time(self):
        last = health.record(machine(8), health.Record())
        for _ in range(3):
            last = health.record(machine(7), last)
            self.assertEqual(1, len(health.problems(machine(7), last)))
        last = health.record(machine(0), last)
        self.assertEqual(1, len(health.problems(machine(7), last)))
        self.assertEqual([], health.problems(machine(8), last))

    def test_other_models_begin_anew(self):
        self.assertEqual(
            [], self.problems(machine(4, 'H200', '2335'), machine(8)))

    def test_model_is_not_told_each_time(self):
        self.assertEqual(['7 GPUs where it had before 8'],
                         self.problems(machine(7, model=None), machine(8)))
        self.assertEqual(['7 GPUs where it had before 8'],
                         self.problems(machine(7), machine(8, model=None)))

    def test_operator_declares(self):
        self.assertEqual(
            [], self.problems(machine(4), machine(8), declared=4))
        self.assertEqual(['4 GPUs where the operator declared 6'],
                         self.problems(machine(4), declared=6))

    def test_siblings(self):
        self.assertEqual(['7 GPUs where its siblings have 8'],
                         self.problems(machine(7), siblings=[8, 8, 8, 4]))
        self.assertEqual([], self.problems(machine(7), siblings=[8, 8]))
        self.assertEqual([], self.problems(machine(7), siblings=[8, 8, 4, 4]))

    def test_narrow_link(self):
        widths = [16, 16, 8, 16]
        self.assertEqual(['GPU 0000:02:00.0 has 8 PCIe lanes of 16'],
                         self.problems(machine(4, widths=widths)))
        self.assertEqual(
            ['GPU 0000:00:00.0 has 4 PCIe lanes of 16'],
            self.problems(machine(1, widths=[4]), machine(1)))
        self.assertEqual([], self.problems(machine(4, widths=[8] * 4)))
        self.assertEqual([], self.problems(machine(4, widths=[None] * 4)))

    def test_nvlink_mesh(self):
        self.assertEqual(
            ['GPU 0000:01:00.0 has 0 NVLinks of 18',
             'GPU 0000:03:00.0 has 16 NVLinks of 18'],
            self.problems(machine(4, links=[18, 0, 18, 16])))
        self.assertEqual(
            [], self.problems(machine(4, links=[0, 0, 0, 0])))

    def test_record_survives_json(self):
        kept = health.record(machine(8), health.Record())
        self.assertEqual(kept, health.Record.from_dict(kept.to_dict()))
        for odd in (None, [], {}, {'count': '8', 'kinds': []},
                    {'count': 8, 'kinds': [1]}, {'count': 8, 'kinds': None}):
            self.assertEqual(health.Record(), health.Record.from_dict(odd))


class TestShape(testtools.TestCase):

    def test_resource_class(self):
        self.assertEqual('GPU_H100_X8', shape.resource_class(
            'GPU_{model}_X{count}', machine()))
        self.assertEqual('NVIDIA_80', shape.resource_class(
            '{vendor}_{memory}', machine()))

    def test_none_that_would_not_be_true(self):
        both = machines.Machine(
            machine(1).gpus + machine(1, 'L40S', '26b9').gpus, 'redfish')
        for found in (machine(0), both, machine(model=None)):
            self.assertIsNone(shape.resource_class('GPU_{model}', found))
        self.assertIsNone(shape.resource_class('A' * 90, machine()))

    def test_template(self):
        shape.check_template('GPU_{model}_X{count}')
        for bad, text in (
                ('GPU {model}', "'GPU '"), ('{gpu}', '{gpu} is not one of'),
                ('{model.x}', 'is not one of'), ('{model', 'not a template'),
                ('{count:5}', 'is not one of'), ('{}', 'is not one of'),
                ('{model!r}', 'is not one of')):
            exc = self.assertRaises(ValueError, shape.check_template, bad)
            self.assertIn(text, str(exc))


class TestFlavors(testtools.TestCase):

    def node(self, count=8, resource_class='baremetal', **properties):
        return {'resource_class': resource_class, 'properties': properties,
                'traits': ['CUSTOM_RACK_1', 'CUSTOM_GPU_MODEL_H100_NVL',
                           f'CUSTOM_GPU_COUNT_{count}',
                           'CUSTOM_GPU_PCI_10DE_2321']}

    def test_one_a_shape(self):
        found = shape.flavors([
            self.node(cpus='96', memory_mb='4096', local_gb='10'),
            self.node(cpus=64, memory_mb=8192), self.node(4)])
        self.assertEqual(['bm.gpu.h100-nvl.x4', 'bm.gpu.h100-nvl.x8'],
                         [flavor.name for flavor in found])
        eight = found[1]
        self.assertEqual((64, 4096, 10),
                         (eight.vcpus, eight.ram_mb, eight.disk_gb))
        self.assertEqual({
            'resources:CUSTOM_BAREMETAL': '1', 'resources:VCPU': '0',
            'resources:MEMORY_MB': '0', 'resources:DISK_GB': '0',
            'trait:CUSTOM_GPU_MODEL_H100_NVL': 'required',
            'trait:CUSTOM_GPU_COUNT_8': 'required',
            'trait:CUSTOM_GPU_DEGRADED': 'forbidden'}, eight.extra_specs)
        self.assertEqual(
            ['CUSTOM_GPU_COUNT_8', 'CUSTOM_GPU_DEGRADED',
             'CUSTOM_GPU_MODEL_H100_NVL'], eight.traits)

    def test_nobody_asks_for_a_broken_machine(self):
        broken = self.node(7)
        broken['traits'].append('CUSTOM_GPU_DEGRADED')
        self.assertEqual(
            ['bm.gpu.h100-nvl.x8'],
            [flavor.name for flavor in shape.flavors([broken, self.node()])])
        self.assertEqual(2, len(shape.flavors(
            [broken, self.node()], degraded=None)))

    def test_names_differ_where_classes_do(self):
        found = shape.flavors([self.node(), self.node(resource_class='b-2')])
        self.assertEqual(
            ['bm.gpu.h100-nvl.x8.b-2', 'bm.gpu.h100-nvl.x8.baremetal'],
            [flavor.name for flavor in found])

    def test_nodes_without(self):
        self.assertEqual([], shape.flavors([
            {'resource_class': None, 'traits': ['CUSTOM_GPU_COUNT_8']},
            {'resource_class': 'baremetal', 'traits': None}]))

    def test_unknown_model(self):
        node = self.node()
        node['traits'].remove('CUSTOM_GPU_MODEL_H100_NVL')
        self.assertEqual('bm.gpu.10de-2321.x8', shape.flavors([node])[0].name)
