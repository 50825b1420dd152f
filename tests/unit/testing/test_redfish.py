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
import subprocess
import sys
import textwrap
import time
from urllib import error
from urllib import request

import fixtures
import testtools

from ai_factory_plugins.testing import machines
from ai_factory_plugins.testing import redfish

MACHINE = machines.Machine(
    '5f0a7d0e-6a5b-4b8e-9a55-3f1b6f0c0001', 'hgx-1',
    macs=('52:54:00:00:00:01',), sockets=2, cores=24, memory_gib=512,
    disk_gib=100, functions=(
        {'VendorId': '0x15B3', 'DeviceId': '0x1021'},
        {'count': 2, 'VendorId': '0x10DE', 'DeviceId': '0x2330',
         'DeviceClass': 'DisplayController', 'ClassCode': '0x030200'}),
    gpus=({'count': 2, 'Manufacturer': 'NVIDIA', 'Model': 'H100',
           'MemorySummary': {'TotalMemorySizeMiB': 81559}},))
OTHER = machines.Machine('5f0a7d0e-6a5b-4b8e-9a55-3f1b6f0c0002', 'other')


class EmulatorCase(testtools.TestCase):

    def serve(self, *served):
        context = redfish.serve(served)
        self.bmc, self.url = context.__enter__()
        self.addCleanup(context.__exit__, None, None, None)

    def get(self, path='', machine=MACHINE):
        with request.urlopen(f'{self.url}{machine.path}{path}') as answer:
            return json.load(answer)

    def follow(self, links):
        """The resources that links lead to."""
        return [self.get(link['@odata.id'].removeprefix(MACHINE.path))
                for link in links]

    def post(self, path, **body):
        with request.urlopen(request.Request(
                f'{self.url}{MACHINE.path}{path}', json.dumps(body).encode(),
                {'Content-Type': 'application/json'})) as answer:
            return answer.status

    def status(self, path):
        return self.assertRaises(error.HTTPError, self.get, path).code


class TestEmulator(EmulatorCase):

    def setUp(self):
        super().setUp()
        self.serve(MACHINE, OTHER)

    def test_system(self):
        system = self.get()
        self.assertEqual('hgx-1', system['Name'])
        self.assertEqual(512, system['MemorySummary']['TotalSystemMemoryGiB'])
        self.assertEqual(2, system['ProcessorSummary']['Count'])
        nics = self.follow(self.get('/EthernetInterfaces')['Members'])
        self.assertEqual(['52:54:00:00:00:01'],
                         [nic['MACAddress'] for nic in nics])
        drive, = self.follow(self.get('/Storage/1')['Drives'])
        self.assertEqual(100 * 2 ** 30, drive['CapacityBytes'])

    def test_power(self):
        for reset, state in (('On', 'On'), ('ForceRestart', 'On'),
                             ('ForceOff', 'Off')):
            self.post('/Actions/ComputerSystem.Reset', ResetType=reset)
            self.assertEqual(state, self.get()['PowerState'])
            self.assertEqual('Off', self.get(machine=OTHER)['PowerState'])

    def test_pci_devices(self):
        system = self.get()
        self.assertEqual(3, system['PCIeDevices@odata.count'])
        functions = []
        for device in self.follow(system['PCIeDevices']):
            collection, = self.follow([device['PCIeFunctions']])
            functions += self.follow(collection['Members'])
        self.assertEqual(
            ['0x1021', '0x2330', '0x2330'],
            [function['DeviceId'] for function in functions])
        self.assertEqual('DisplayController', functions[2]['DeviceClass'])

    def test_processors(self):
        found = self.follow(self.get('/Processors')['Members'])
        self.assertEqual(['CPU', 'CPU', 'GPU', 'GPU'],
                         [entry['ProcessorType'] for entry in found])
        self.assertEqual('48', found[0]['TotalThreads'])
        self.assertEqual(81559, found[3]['MemorySummary']
                         ['TotalMemorySizeMiB'])
        self.assertEqual(404, self.status('/Processors/GPU_2'))

    def test_machine_that_does_not_tell(self):
        self.assertNotIn('PCIeDevices', self.get(machine=OTHER))
        self.assertEqual(
            2, self.get('/Processors', OTHER)['Members@odata.count'])

    def test_rebuilt(self):
        self.bmc.replace(dataclasses.replace(
            MACHINE, functions=(), gpus=(), memory_gib=1,
            devices_in_collection=True))
        system = self.get()
        self.assertEqual(1, system['MemorySummary']['TotalSystemMemoryGiB'])
        devices, = self.follow([system['PCIeDevices']])
        self.assertEqual([], devices['Members'])
        self.assertEqual(404, self.status('/Processors/GPU_0'))

    def test_two_emulators(self):
        with redfish.serve([OTHER]) as (_, url):
            with request.urlopen(f'{url}/redfish/v1/Systems') as answer:
                self.assertEqual(1, json.load(answer)['Members@odata.count'])
        with request.urlopen(f'{self.url}/redfish/v1/Systems') as answer:
            self.assertEqual(2, json.load(answer)['Members@odata.count'])


class TestAnswers(EmulatorCase):

    def test_bad_ones(self):
        self.serve(dataclasses.replace(MACHINE, answers={
            'Processors/GPU_0': machines.Answer(503),
            'Processors/GPU_1': machines.Answer(body=['x']),
            'Processors/CPU0': machines.Answer(text='<html>'),
            'Processors': machines.Answer(500, after=2)}))
        for _ in range(2):
            self.assertEqual(4, len(self.get('/Processors')['Members']))
        self.assertEqual(500, self.status('/Processors'))
        self.assertEqual(503, self.status('/Processors/GPU_0'))
        self.assertEqual(['x'], self.get('/Processors/GPU_1'))
        self.assertRaises(ValueError, self.get, '/Processors/CPU0')
        self.assertEqual(3, self.bmc.reads(MACHINE, 'Processors'))

    def test_slow(self):
        self.serve(dataclasses.replace(MACHINE, answers={
            'Processors/GPU_0': machines.Answer(delay=0.2)}))
        begin = time.monotonic()
        self.assertEqual('H100', self.get('/Processors/GPU_0')['Model'])
        self.assertGreaterEqual(time.monotonic() - begin, 0.2)


class TestFile(testtools.TestCase):

    def write(self, text):
        path = self.useFixture(fixtures.TempDir()).path + '/machines.yaml'
        with open(path, 'w') as stream:
            stream.write(textwrap.dedent(text))
        return path

    def test_example(self):
        example = machines.__doc__.partition('::\n\n')[2]
        machine, = machines.load(self.write(example))
        self.assertEqual('hgx-1', machine.name)
        self.assertEqual(machines.Answer(500),
                         machine.answers['Processors/GPU_3'])
        found = machines.resources(machine)
        self.assertEqual(
            'H100', found[f'{machine.path}/Processors/GPU_7']['Model'])

    def test_mistakes(self):
        for text, reason in (
                ('{', 'not YAML'), ('a: 1', 'no list'), ('- a', 'mapping'),
                ('- {uuid: a}', 'name'), ('- {uuid: a, name: b, gpu: []}',
                                          'gpu'),
                ('- {uuid: a, name: b, gpus: [3]}', 'count'),
                ('- {uuid: a, name: b, gpus: [{count: x}]}', 'count'),
                ('- {uuid: a, name: b, answers: {x: {code: 1}}}', 'code')):
            exc = self.assertRaises(
                machines.MachineError, machines.load, self.write(text))
            self.assertIn(reason, str(exc))

    def test_program(self):
        path = self.write(f'- {{uuid: {OTHER.uuid}, name: other}}')
        program = subprocess.Popen(
            [sys.executable, '-m', 'ai_factory_plugins.testing.redfish',
             '--port', '0', path], stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL, text=True)
        self.addCleanup(program.stdout.close)
        self.addCleanup(program.kill)
        url = program.stdout.readline().split()[-1]
        with request.urlopen(url + OTHER.path) as answer:
            self.assertEqual('other', json.load(answer)['Name'])
        # It listens on one address alone.
        self.assertRaises(error.URLError, request.urlopen,
                          url.replace('127.0.0.1', '127.0.0.2'))
        program.terminate()
        self.assertEqual(0, program.wait(timeout=20))

    def test_program_without_machines(self):
        self.assertEqual(1, redfish.main(['--port', '0', '/nowhere']))
