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
import tempfile

import testtools
import yaml

from ai_factory_plugins.testing import fleet
from cloud import core
from cloud import machines
from cloud.services import ironic
from cloud.services import redfish
from tests.unit.cloud import test_configuration

RECOMMENDED = pathlib.Path(
    __file__).parents[3] / 'etc/ai_factory_plugins/ironic.conf'


class MachinesTest(testtools.TestCase):

    def setUp(self):
        super().setUp()
        directory = tempfile.TemporaryDirectory()
        self.addCleanup(directory.cleanup)
        self.cloud = core.Cloud(pathlib.Path(directory.name))

    def functions(self, name):
        path = self.cloud.layout.etc('redfish') / 'machines.yaml'
        machine, = (entry for entry in yaml.safe_load(path.read_text())
                    if entry['name'] == name)
        return [function for function in machine['functions']
                if function['DeviceClass'] == 'DisplayController']

    def test_ironic_runs_the_hooks_that_are_recommended(self):
        ironic.configure(self.cloud)
        found = test_configuration.Options(
            self.cloud.layout.etc('ironic') / 'ironic.conf')
        wanted = test_configuration.Options(RECOMMENDED)
        for group, name in (('inspector', 'hooks'),
                            ('redfish', 'inspection_hooks')):
            self.assertIn('gpu-inventory', wanted[group][name])
            self.assertEqual(wanted[group][name], found[group][name])

    def test_a_bmc_tells_what_a_ramdisk_would_see(self):
        redfish.configure(self.cloud)
        found = self.functions('metal-hgx-2')
        self.assertEqual(8, len(found))
        self.assertEqual(
            {'VendorId': '0x10DE', 'DeviceId': '0x2330',
             'ClassCode': '0x030200', 'DeviceClass': 'DisplayController'},
            found[0])

    def test_a_machine_that_was_changed_stays_so(self):
        redfish.configure(self.cloud)
        tree = machines.sysfs(
            self.cloud, 'metal-hgx-2', machines.MACHINES['metal-hgx-2'])
        machines.lose_gpu(tree)
        redfish.describe(self.cloud, 'metal-hgx-2', tree)
        redfish.configure(self.cloud)
        self.assertEqual(7, len(self.functions('metal-hgx-2')))

    def test_machines_are_told_apart(self):
        for identity in (fleet.mac, machines.system):
            self.assertEqual(len(machines.MACHINES),
                             len(set(map(identity, machines.MACHINES))))
