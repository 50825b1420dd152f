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


"""The parsers of tools' output take everything, or say what is wrong."""

import dataclasses
import json
import tempfile
import unittest

import hypothesis
from hypothesis import strategies as st

from ai_factory_plugins.inventory import capture
from ai_factory_plugins.inventory import errors
from ai_factory_plugins.inventory import fmpm
from ai_factory_plugins.inventory import nova_conf
from ai_factory_plugins.inventory import nvidia_smi
from ai_factory_plugins.inventory import render
from ai_factory_plugins.inventory import store
from ai_factory_plugins.testing import boards
from ai_factory_plugins.topology import model
from ai_factory_plugins.topology import wire

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(
        st.sampled_from([
            'partitionInfo', 'partitionId', 'gpuInfo', 'physicalId',
            'numGpus', 'pciBusId', 'maxNumNvLinks', 'version', 'gpus',
            'members', 'id', 'groups', 'partitions', 'level']), inner,
        max_size=5), max_leaves=20)
LINES = st.lists(st.sampled_from([
    'GPU 00000000:0F:00.0', 'GPU 0', 'GPU 00000000:00:00.0',
    '    Module ID : 5', '    Module ID : five', '    Module Id : N/A',
    '    GPU UUID : GPU-1', '==NVSMI LOG==', '\tGPU0\tGPU1', 'GPU0\t X \tNV12',
    'GPU1\tNV12\t X ', 'GPU7\tX', 'GPU1', '\x00', ':', 'Legend:']),
    max_size=12).map('\n'.join)


def board(name):
    with tempfile.TemporaryDirectory() as directory:
        boards.write_capture(boards.load(name), directory)
        return capture.read_directory(directory)


class FuzzTest(unittest.TestCase):

    def accept_or_refuse(self, parse, text):
        try:
            parse(text)
        except errors.InventoryError:
            pass

    @hypothesis.given(JSON.map(json.dumps) | st.text())
    def test_fmpm(self, text):
        self.accept_or_refuse(fmpm.parse, text)

    @hypothesis.given(JSON.map(json.dumps) | st.text())
    def test_kept_map(self, text):
        self.accept_or_refuse(store.load, text)

    @hypothesis.given(LINES | st.text())
    def test_nvidia_smi(self, text):
        self.accept_or_refuse(nvidia_smi.parse_query, text)
        self.accept_or_refuse(nvidia_smi.parse_topo, text)


class FmpmTest(unittest.TestCase):

    def parse(self, *gpus, **partition):
        return fmpm.parse(json.dumps({'partitionInfo': [
            {'partitionId': 1, 'gpuInfo': list(gpus), **partition}]}))

    def test_active(self):
        found, = self.parse({'physicalId': 3}, isActive=1, numGpus=1)
        self.assertTrue(found.active)
        self.assertEqual(frozenset([3]), found.modules)

    def test_malformed(self):
        gpu = {'physicalId': 3}
        for gpus, partition in (
                ((), {}), ((gpu, gpu), {}), ((gpu,), {'numGpus': 2}),
                (({'physicalId': -1},), {}), (({'physicalId': True},), {}),
                (({'physicalId': '3'},), {}), ((gpu,), {'partitionId': None}),
                (({},), {}), ((None,), {})):
            with self.subTest(gpus=gpus, partition=partition):
                self.assertRaises(
                    errors.InventoryError, self.parse, *gpus, **partition)

    def test_one_partition_id_twice(self):
        partition = {'partitionId': 1, 'gpuInfo': [{'physicalId': 3}]}
        with self.assertRaisesRegex(errors.InventoryError, 'twice'):
            fmpm.parse(json.dumps({'partitionInfo': [partition] * 2}))

    def test_too_much(self):
        self.assertRaises(
            errors.InventoryError, fmpm.parse, ' ' * (fmpm.MAX_BYTES + 1))

    def test_addresses(self):
        for text, address in (
                ('00000000:0F:00.0', '0000:0f:00.0'),
                ('0001:0F:00.0', '0001:0f:00.0'),
                ('00000000:00:00.0', None), ('', None), ('N/A', None)):
            self.assertEqual(address, fmpm.pci_address(text))


class NovaConfTest(unittest.TestCase):

    def test_lines(self):
        gpus = board('hgx-h100')
        text = nova_conf.section(gpus)
        specs = [json.loads(line.partition(' = ')[2])
                 for line in text.splitlines()
                 if line.startswith('device_spec')]
        self.assertEqual([gpu.address for gpu in gpus.gpus],
                         [spec['address'] for spec in specs])
        for spec in specs:
            self.assertEqual(
                gpus.device(spec['address']),
                wire.decode(spec[wire.TAG_KEY], spec['address'],
                            gpus.by_address[spec['address']].numa_node))
        self.assertEqual(1, text.count('alias = '))
        self.assertIn('"device_type": "type-PCI"', text)

    def test_physical_functions(self):
        gpus = board('hgx-h100')
        alias, = nova_conf.aliases(gpus, {g.address for g in gpus.gpus})
        self.assertEqual('type-PF', alias['device_type'])

    def test_unknown_model(self):
        gpu = board('hgx-h100').gpus[0]
        gpu = type(gpu)(gpu.address, '10de', 'ffff')
        self.assertEqual(
            'CUSTOM_GPU_PCI_10DE_FFFF', nova_conf.resource_class(gpu))
        self.assertEqual('pci-10de-ffff', nova_conf.alias_name(gpu))


class RenderTest(unittest.TestCase):

    def test_picture(self):
        gpus = board('hgx-h100')
        text = render.picture(gpus, {'0000:0f:00.0': 'vm-1'})
        self.assertLessEqual(max(map(len, text.splitlines())), 100)
        self.assertEqual(7, text.count('free'))
        for module in range(1, 9):
            self.assertEqual(1, text.count(f' m{module} '))
        for partition in gpus.partitions:
            self.assertRegex(text, rf'[\[=] {partition.id} [\]=]')
        # A GPU stands above the bar of its own partition.
        modules, bars = text.splitlines()[1], text.splitlines()[-1]
        for partition in gpus.partitions[7:]:
            address, = partition.members
            module = gpus.by_address[address].module_id
            column = modules.index(f'm{module} ')
            self.assertIn(
                f' {partition.id} ', bars[column - 4:column + 6])

    def test_bridges(self):
        text = render.picture(board('pcie-bridge-pairs'))
        self.assertIn('joins 0000:17:00.0, 0000:b2:00.0', text)

    def test_many_gpus(self):
        """More than fit side by side."""
        gpus = board('hgx-h100').gpus
        for count, nodes in ((8, 8), (10, 2), (16, 2), (20, 1)):
            many = [dataclasses.replace(
                gpus[0], address=f'0000:{i:02x}:00.0', module_id=i,
                numa_node=i * nodes // count) for i in range(count)]
            pair = frozenset(gpu.address for gpu in many[:2])
            text = render.picture(type(board('hgx-h100'))(
                tuple(many), (model.Partition(70, pair),)))
            with self.subTest(count=count, nodes=nodes):
                self.assertLessEqual(max(map(len, text.splitlines())), 100)
                self.assertEqual(count, text.count('free'))
                self.assertEqual(1, text.count(' 70'))

    def test_no_gpus(self):
        self.assertEqual(
            'no GPUs\n', render.picture(type(board('hgx-h100'))(())))

    def test_table(self):
        lines = render.table(board('hgx-h100')).splitlines()
        self.assertEqual(9, len(lines))
        self.assertRegex(
            lines[1], r'^0000:0f:00\.0 +H100_SXM5_80GB +0 +5 +0 2 5 11 +-$')
