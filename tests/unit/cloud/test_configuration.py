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

import configparser
import json
import pathlib
import tempfile

import fixtures
import testtools

from cloud import config
from cloud import core
from cloud.services import common
from cloud.services import nova


class Options(configparser.RawConfigParser):
    """Enough of oslo.config's form: an option may be given many times."""

    class _Many(dict):
        def __setitem__(self, key, value):
            if isinstance(value, list) and key in self:
                value = [*self[key], *value]
            super().__setitem__(key, value)

    def __init__(self, path):
        super().__init__(dict_type=self._Many, strict=False)
        self.read(path)

    def many(self, group, name):
        return self[group][name].splitlines()


class ConfigTest(testtools.TestCase):

    def test_write(self):
        with tempfile.TemporaryDirectory() as directory:
            path = pathlib.Path(directory, 'new', 'it.conf')
            config.write(path, {
                'DEFAULT': {'one': 1}, 'pci': {'alias': ['a', 'b']}})
            self.assertEqual(
                '[DEFAULT]\none = 1\n\n[pci]\nalias = a\nalias = b\n',
                path.read_text())


class NovaTest(testtools.TestCase):

    def setUp(self):
        super().setUp()
        directory = tempfile.TemporaryDirectory()
        self.addCleanup(directory.cleanup)
        self.root = pathlib.Path(directory.name)
        paste = self.root / 'packaged.ini'
        paste.write_text('')
        self.useFixture(fixtures.MockPatchObject(
            common, 'packaged', lambda *parts: paste))

    def configure(self, **options):
        cloud = core.Cloud(self.root / 'cloud', **options)
        nova.configure(cloud)
        return cloud

    def options(self, cloud, name='nova'):
        return Options(cloud.layout.etc('nova') / f'{name}.conf')

    def test_our_filters_stand_where_they_have_to(self):
        cloud = self.configure(scheduler='ai-factory')
        options = self.options(cloud)
        names = options['filter_scheduler']['enabled_filters'].split(',')
        self.assertEqual(
            ['GPUTopologyFilter', 'NUMATopologyFilter',
             'PciPassthroughFilter', 'FabricLocalityFilter'], names[-4:])
        self.assertEqual(
            ['nova.scheduler.filters.all_filters',
             'ai_factory_plugins.nova.all_filters'],
            options.many('filter_scheduler', 'available_filters'))
        self.assertEqual(
            ['nova.scheduler.weights.all_weighers,'
             'ai_factory_plugins.nova.all_weighers'],
            options.many('filter_scheduler', 'weight_classes'))

    def test_stock_has_nothing_of_ours(self):
        text = (self.configure(scheduler='stock').layout.etc('nova')
                / 'nova.conf').read_text()
        self.assertNotIn('ai_factory', text)
        self.assertNotIn('GPUTopology', text)

    def test_computes_have_their_boards(self):
        cloud = self.configure()
        for name, count, alias in (
                ('hgx-2', 8, 'h100-sxm5-80gb'),
                ('pcie-1', 4, 'h100-pcie-80gb')):
            options = self.options(cloud, name)
            self.assertEqual(name, options['DEFAULT']['host'])
            specs = [json.loads(line)
                     for line in options.many('pci', 'device_spec')]
            self.assertEqual(count, len(specs))
            self.assertTrue(all('ai_factory_gpu' in s for s in specs))
            self.assertEqual(count, len(nova.device_specs(cloud, name)))
            self.assertEqual([alias], [
                json.loads(line)['name']
                for line in options.many('pci', 'alias')])
            self.assertEqual(
                'True', options['pci']['report_in_placement'])

    def test_the_api_knows_all_aliases(self):
        options = self.options(self.configure())
        self.assertEqual(
            ['h100-sxm5-80gb', 'h100-pcie-80gb'],
            [json.loads(line)['name']
             for line in options.many('pci', 'alias')])

    def test_a_test_may_configure_a_host_wrongly(self):
        cloud = self.configure(computes={
            'one': core.Compute('hgx-h100', lambda lines: lines[:3])})
        self.assertEqual(3, len(nova.device_specs(cloud, 'one')))

    def test_another_board_takes_the_place_of_the_first(self):
        self.configure(computes={'one': core.Compute('hgx-h100')})
        cloud = self.configure(
            computes={'one': core.Compute('pcie-bridge-pairs')})
        self.assertEqual(4, len(nova.device_specs(cloud, 'one')))
