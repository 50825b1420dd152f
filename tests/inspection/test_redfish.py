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
from unittest import mock

from ironic.common import exception
from ironic.common import states
from ironic.conductor import task_manager

from ai_factory_plugins.ironic import redfish
from ai_factory_plugins.testing import machines
from tests.inspection import redfish_base as base

NIC = base.NIC
gpus = base.gpus
processors = base.processors


def names(*found):
    return {f'CUSTOM_GPU_{name}' for name in found}


H100 = names('MODEL_H100_SXM5_80GB', 'COUNT_8', 'NVLINK', 'NVSWITCH',
             'MEMORY_80GB', 'MIG_CAPABLE', 'VENDOR_NVIDIA', 'PCI_10DE_2330')
B200 = names('MODEL_NVIDIA_B200', 'COUNT_8', 'MEMORY_179GB', 'VENDOR_NVIDIA')


class TestModels(base.PCICase):

    def check(self, functions, expected, told=(), **changes):
        self.build(*functions, gpus=told, **changes)
        self.assertEqual(expected, self.inspect(self.node()))

    def test_h100(self):
        for in_collection in (False, True):
            self.check([NIC, base.NVSWITCH, gpus()], H100,
                       devices_in_collection=in_collection)

    def test_h200(self):
        self.check([NIC, gpus('0x2335')], names(
            'MODEL_H200_SXM_141GB', 'COUNT_8', 'NVLINK', 'MEMORY_141GB',
            'MIG_CAPABLE', 'VENDOR_NVIDIA', 'PCI_10DE_2335'))

    def test_b200(self):
        expected = names('MODEL_B200', 'COUNT_8', 'NVLINK', 'NVSWITCH',
                         'MIG_CAPABLE', 'VENDOR_NVIDIA', 'PCI_10DE_2901')
        self.check([NIC, gpus('0x2901')], expected)
        self.check([NIC, gpus('0x2901')], expected | names('MEMORY_179GB'),
                   [processors()])

    def test_gb200(self):
        told = processors('GB200', 4, None, ProcessorMemory=[
            {'IntegratedMemory': True, 'MemoryType': 'HBM3',
             'CapacityMiB': 188416}])
        self.check([NIC, gpus('0x2941', 4)], names(
            'MODEL_GB200', 'COUNT_4', 'NVLINK', 'NVSWITCH', 'MIG_CAPABLE',
            'VENDOR_NVIDIA', 'PCI_10DE_2941', 'MEMORY_184GB'), [told])

    def test_mi300x(self):
        self.check(
            [NIC, gpus('0x74A1', vendor='0x1002', accelerator=True)],
            names('MODEL_MI300X', 'COUNT_8', 'MEMORY_192GB', 'VENDOR_AMD',
                  'PCI_1002_74A1'))

    def test_gaudi3(self):
        self.check(
            [NIC, gpus('0x1060', vendor='0x1DA3', accelerator=True)],
            names('MODEL_GAUDI3', 'COUNT_8', 'MEMORY_128GB', 'VENDOR_HABANA',
                  'PCI_1DA3_1060'))

    def test_l40s(self):
        self.check([NIC, gpus('0x26B9', 4)], names(
            'MODEL_L40S', 'COUNT_4', 'MEMORY_48GB', 'VENDOR_NVIDIA',
            'PCI_10DE_26B9'))

    def test_mixed(self):
        self.check([gpus('0x26B9', 2), NIC, gpus('0x2331', 2)], names(
            'MODEL_L40S', 'MODEL_H100_PCIE_80GB', 'COUNT_4', 'MIXED',
            'VENDOR_NVIDIA', 'PCI_10DE_26B9', 'PCI_10DE_2331'))

    def test_none(self):
        self.check([NIC], set())

    def test_unknown_model(self):
        expected = names('COUNT_2', 'VENDOR_NVIDIA', 'PCI_10DE_FFFF')
        self.check([NIC, gpus('0xFFFF', 2)], expected)
        self.check([NIC, gpus('0xFFFF', 2)],
                   expected | names('MODEL_NVIDIA_R100', 'MEMORY_288GB'),
                   [processors('NVIDIA R100', 2, 294912)])

    def test_gpus_are_only_among_the_processors(self):
        self.check([NIC], B200, [processors()])

    def test_empty_slot(self):
        self.check([NIC, base.NVSWITCH, gpus(), {
            'VendorId': None, 'DeviceId': None, 'DeviceClass': None}], H100)


class TestProcessors(base.RedfishCase):
    """BMCs that do not list PCI devices."""

    def check(self, expected, *told):
        self.build(gpus=told)
        self.assertEqual(expected, self.inspect(self.node()))

    def test_one_model(self):
        self.check(B200, processors())

    def test_vendors(self):
        for maker, vendor in (
                ('AMD', 'AMD'), ('Advanced Micro Devices, Inc.', 'AMD'),
                ('Advanced Micro Devices, Inc. [AMD/ATI]', 'AMD'),
                ('Intel(R) Corporation', 'INTEL'),
                ('Habana Labs', 'HABANA'), ('NVIDIA Corporation', 'NVIDIA')):
            self.check(names('MODEL_X1', 'COUNT_8', 'MEMORY_192GB',
                             f'VENDOR_{vendor}'),
                       processors('X1', mib=196608, Manufacturer=maker))

    def test_mixed(self):
        self.check(
            names('MODEL_A', 'MODEL_B', 'COUNT_3', 'MIXED', 'VENDOR_NVIDIA',
                  'MEMORY_16GB'),
            processors('A', 2, 16384), processors('B', 1, 16384))

    def test_absent(self):
        self.check(B200, processors(), processors(
            count=2, Status={'State': 'Absent'}))

    def test_other_processors(self):
        self.check(B200, processors(), processors(
            count=2, ProcessorType='FPGA'))

    def test_neither(self):
        self.check(set())

    def test_off(self):
        self.options(read_redfish_processors=False)
        self.check(set(), processors())


class TestAgain(base.RedfishCase):

    THEIRS = {'CUSTOM_RACK_7', 'CUSTOM_GPU_MINE', 'HW_CPU_X86_VMX',
              'CUSTOM_GPU_COUNT_4'}

    def test_what_ironic_finds(self):
        node = self.node()
        self.build(gpus=[processors()])
        self.inspect(node)
        found = self.reread(node).properties
        # Ironic 32 has a text there.
        found['local_gb'] = int(found['local_gb'])
        self.assertEqual(
            {'memory_mb': 2 ** 21, 'local_gb': 1023, 'cpu_arch': 'x86_64',
             'capabilities': 'boot_mode:uefi'}, found)
        self.assertEqual(set(self.machine.macs), self.macs(node))

    def test_power(self):
        node = self.node()
        with task_manager.acquire(self.context, node.id) as task:
            power = task.driver.power
            self.assertEqual(states.POWER_OFF, power.get_power_state(task))
            for state in (states.POWER_ON, states.POWER_OFF):
                power.set_power_state(task, state, timeout=5)
                self.assertEqual(state, power.get_power_state(task))

    def test_changed_processors(self):
        node = self.node()
        self.set_traits(node, *self.THEIRS)
        for model, count in (('A', 8), ('B', 4), ('B', 8), ('C', 1)):
            self.build(gpus=[processors(model, count)])
            self.assertEqual(
                self.THEIRS | names(f'MODEL_{model}', f'COUNT_{count}',
                                    'MEMORY_179GB', 'VENDOR_NVIDIA'),
                self.inspect(node))

    def test_lost_processor(self):
        node = self.node()
        for count, degraded in ((8, False), (7, True), (8, False)):
            self.build(gpus=[processors(count=count)])
            self.assertEqual(
                degraded, 'CUSTOM_GPU_DEGRADED' in self.inspect(node))

    def test_nothing_told_changes_nothing(self):
        node = self.node()
        self.build(gpus=[processors()])
        self.inspect(node)
        self.build()
        self.assertEqual(B200, self.inspect(node))

    def test_summary(self):
        self.options(store_summary=True)
        node = self.node(properties={'mine': 'x'})
        self.build(gpus=[processors()])
        self.inspect(node)
        properties = self.reread(node).properties
        self.assertEqual('8 x NVIDIA_B200', properties['gpu_summary'])
        self.assertEqual('ok', properties['gpu_health'])
        self.assertEqual('x', properties['mine'])
        self.assertEqual('x86_64', properties['cpu_arch'])
        self.build(gpus=[processors(count=7)])
        self.inspect(node)
        properties = self.reread(node).properties
        self.assertEqual('7 x NVIDIA_B200', properties['gpu_summary'])
        self.assertEqual('7 GPUs where it had before 8',
                         properties['gpu_health'])

    def test_resource_class(self):
        self.options(resource_class_template='GPU_{model}_X{count}')
        self.build(gpus=[processors()])
        for before, after in ((None, 'GPU_NVIDIA_B200_X8'), ('mine', 'mine')):
            node = self.node(resource_class=before)
            self.inspect(node)
            self.assertEqual(after, self.reread(node).resource_class)


class TestPCIAgain(base.PCICase):

    def test_changed_devices(self):
        node = self.node()
        theirs = TestAgain.THEIRS
        self.set_traits(node, *theirs)
        for device, count in (('0x2330', 8), ('0x2335', 4), ('0x26B9', 2),
                              ('0x26B9', 4), ('0xFFFF', 1)):
            self.build(NIC, gpus(device, count))
            found = self.inspect(node)
            self.assertEqual(theirs, theirs & found)
            self.assertEqual(names(f'PCI_10DE_{device[2:]}'),
                             {name for name in found if '_PCI_' in name})
            self.assertEqual(names('COUNT_4', f'COUNT_{count}'),
                             {name for name in found if '_COUNT_' in name})
        self.build(NIC)
        self.assertEqual(theirs | names('DEGRADED'), self.inspect(node))

    def test_device_that_the_bmc_cannot_tell(self):
        """sushy passes over it."""
        node = self.node()
        self.build(NIC, base.NVSWITCH, gpus())
        self.inspect(node)
        self.build(NIC, base.NVSWITCH, gpus(), answers={
            'PCIeDevices/PCI_5': machines.Answer(500)})
        self.assertEqual(H100 - names('COUNT_8') | names(
            'COUNT_7', 'DEGRADED'), self.inspect(node))

    def test_lost_gpu_of_an_unknown_model(self):
        """It is still there among the Processors."""
        node = self.node()
        for count, degraded in ((8, False), (7, True)):
            self.build(NIC, gpus('0xFFFF', count), gpus=[processors('R100')])
            self.assertEqual(
                degraded, 'CUSTOM_GPU_DEGRADED' in self.inspect(node))

    def test_lost_gpu_and_processors_that_fail(self):
        node = self.node()
        self.build(NIC, gpus('0xFFFF', 8), gpus=[processors('R100')])
        self.assertIn('CUSTOM_GPU_MODEL_R100', self.inspect(node))
        self.build(NIC, gpus('0xFFFF', 7), gpus=[processors('R100', 7)],
                   answers={'Processors/GPU_3': machines.Answer(
                       500, after=1)})
        self.assertEqual(
            names('DEGRADED', 'COUNT_7', 'VENDOR_NVIDIA', 'PCI_10DE_FFFF'),
            self.inspect(node))

    def test_processors_that_fail_say_nothing_of_none(self):
        node = self.node()
        self.build(NIC, gpus=[processors()])
        self.inspect(node)
        self.build(NIC, gpus=[processors()], answers={
            'Processors/GPU_3': machines.Answer(500, after=1)})
        self.assertEqual(B200, self.inspect(node))

    def test_malformed(self):
        node = self.node()
        self.build(NIC, base.NVSWITCH, gpus())
        self.inspect(node)
        for strict in (False, True):
            self.options(strict=strict)
            for bad in ({'VendorId': None}, {'DeviceId': '0x' + 'A' * 10 ** 6},
                        {'DeviceId': 0x2330}, {'VendorId': ['0x10DE']},
                        {'DeviceId': '0x２３３０'}, {'DeviceId': ''}):
                self.build(NIC, gpus(count=7), {**gpus(count=1), **bad})
                if strict:
                    self.assertRaises(exception.HardwareInspectionFailure,
                                      self.inspect, node)
                else:
                    self.inspect(node)
                self.assertEqual(H100, self.traits(node))


class TestBadAnswers(base.RedfishCase):
    """Ironic reads the Processors before the hook does, and fails of itself.

    So the BMC begins to answer badly with the second time.
    """

    def setUp(self):
        super().setUp()
        self.options(store_summary=True,
                     resource_class_template='GPU_{model}_X{count}')
        self.subject = self.node(resource_class=None)
        self.build(gpus=[processors()])
        self.inspect(self.subject)

    def check(self, *cases):
        """The node stays as it is, and strict mode tells why.

        :param cases: dicts of fields of the machine, and reasons
        """
        before = self.state()
        for strict in (False, True):
            self.options(strict=strict)
            for changes, reason in cases:
                self.build(**{'gpus': [processors()], **changes})
                if strict:
                    self.assertRaisesRegex(
                        exception.HardwareInspectionFailure, reason,
                        self.inspect, self.subject)
                    self.assertEqual(
                        states.INSPECTFAIL,
                        self.reread(self.subject).provision_state)
                else:
                    self.inspect(self.subject)
                self.assertEqual(before, self.state())

    def check_answers(self, *cases):
        """One Processor is answered badly.

        :param cases: fields of an Answer, and reasons
        """
        self.check(*(({'answers': {'Processors/GPU_3': machines.Answer(
            after=1, **answer)}}, reason) for answer, reason in cases))

    def state(self):
        node = self.reread(self.subject)
        self.assertEqual('GPU_NVIDIA_B200_X8', node.resource_class)
        return (self.traits(node), node.properties,
                node.driver_internal_info['gpu_inventory'])

    def test_fields(self):
        good = {'Id': 'GPU_3', 'ProcessorType': 'GPU', 'Model': 'X'}
        self.check_answers(*(({'body': {**good, **bad}}, reason)
                             for bad, reason in (
            ({'Model': 5}, 'model is a int'),
            ({'Model': {'a': 1}}, 'model is a dict'),
            ({'Model': 'A' * 10 ** 6}, '1000000 characters'),
            ({'Manufacturer': ['NVIDIA']}, 'manufacturer is a list'),
            ({'Manufacturer': 'A' * 10 ** 6}, '1000000 characters'),
            ({'ProcessorType': None}, 'what it is'),
            ({'ProcessorType': ['GPU']}, 'what it is'))))

    def test_memory(self):
        self.check_answers(*(({'body': {
            'Id': 'GPU_3', 'ProcessorType': 'GPU', 'Model': 'X',
            'MemorySummary': {'TotalMemorySizeMiB': bad}}}, 'not a number')
            for bad in ('x', -5, 1e300, [1], True)))

    def test_no_processor_at_all(self):
        self.check_answers(*(({'body': body}, 'redfish-processors')
                             for body in ([], {}, 'GPU', 5)))
        self.check_answers(*(({'text': text}, 'redfish-processors')
                             for text in ('', 'null', '<html>', '{"Id": "G')))

    def test_http_errors(self):
        self.check_answers(*(({'status': status}, 'GPU_3')
                             for status in (401, 404, 500, 503)))

    def test_deep(self):
        deep = '[' * 10 ** 5 + ']' * 10 ** 5
        self.check_answers(
            ({'text': deep}, 'recursion'),
            ({'text': f'{{"Id": "GPU_3", "Model": {deep}}}'}, 'recursion'))

    def test_many(self):
        self.check(
            ({'gpus': [processors(count=200)]}, '202 Processors'),
            ({'gpus': [processors(count=65)]}, '65 entries'))

    def test_slow(self):
        clock = itertools.count(step=redfish.SECONDS // 3)
        with mock.patch.object(redfish.gpu_processors, '__defaults__',
                               (clock.__next__,)):
            self.check(({}, 'more than 30 s'))
        # Ironic has read them all, the hook only the first.
        self.assertEqual(1, self.bmc.reads(self.machine, 'Processors/GPU_7'))
        self.assertEqual(2, self.bmc.reads(self.machine, 'Processors/CPU0'))
