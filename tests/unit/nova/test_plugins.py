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


import pathlib
import sys

import fixtures
from nova.scheduler import filters as nova_filters
import testtools

from ai_factory_plugins import nova as plugins
from ai_factory_plugins.nova import fabric_filter
from ai_factory_plugins.nova import fabric_weigher
from ai_factory_plugins.nova import filters
from ai_factory_plugins.nova import weighers


class EntryPointsTest(testtools.TestCase):
    """What operators name in nova.conf leads to the classes."""

    def test_filters(self):
        handler = nova_filters.HostFilterHandler()
        self.assertEqual(
            {fabric_filter.FabricLocalityFilter, filters.GPUTopologyFilter},
            set(handler.get_matching_classes(
                ['ai_factory_plugins.nova.all_filters'])))

    def test_weighers(self):
        self.assertEqual(
            {fabric_weigher.FabricLocalityWeigher,
             weighers.GPUTopologyWeigher}, set(plugins.all_weighers()))

    def test_a_plugin_that_does_not_load_is_an_error(self):
        """Rather no scheduler than one without its filter."""
        directory = pathlib.Path(self.useFixture(fixtures.TempDir()).path)
        metadata = directory / 'broken-1.0.dist-info'
        metadata.mkdir()
        metadata.joinpath('METADATA').write_text(
            'Metadata-Version: 2.1\nName: broken\nVersion: 1.0\n')
        metadata.joinpath('entry_points.txt').write_text(
            f'[{plugins.FILTERS}]\nBroken = no_such_module:Broken\n')
        self.useFixture(fixtures.MonkeyPatch(
            'sys.path', [str(directory), *sys.path]))
        self.useFixture(fixtures.MonkeyPatch(
            'stevedore.ExtensionManager.ENTRY_POINT_CACHE', {}))
        self.assertRaises(ImportError, plugins.all_filters)
