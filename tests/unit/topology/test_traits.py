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


import re
import unittest

import hypothesis

from ai_factory_plugins.topology import model
from ai_factory_plugins.topology import traits
from tests.unit.topology import test_wire


class TraitsTest(unittest.TestCase):

    def test_names(self):
        """Placement keeps them, and other releases read them."""
        device = model.Device(
            'gpu', partitions=(model.PartitionRef(0, 8),
                               model.PartitionRef(5, 2, True)),
            groups=(model.GroupRef(model.Level.NVLINK, 'b0', 2),
                    model.GroupRef(model.Level.PCIE, '0000.0c.00.0', 4)))
        self.assertEqual(
            ['CUSTOM_NVLINK_GROUP_B0_OF_2', 'CUSTOM_NVLINK_PARTITION_0_OF_8',
             'CUSTOM_NVLINK_PARTITION_5_OF_2',
             'CUSTOM_PCIE_GROUP_0000_0C_00_0_OF_4'], traits.encode(device))

    def test_strangers_are_passed_over(self):
        self.assertEqual(
            model.Device('gpu', 1), traits.decode(
                ['COMPUTE_MANAGED_PCI_DEVICE', 'CUSTOM_NVLINK',
                 'CUSTOM_NVLINK_PARTITION_X_OF_2', 'CUSTOM_GOLD'], 'gpu', 1))

    @hypothesis.given(test_wire.DEVICES)
    def test_memberships_come_back(self, device):
        names = traits.encode(device)
        for name in names:
            self.assertRegex(name, '^CUSTOM_[A-Z0-9_]{1,248}$')
            self.assertTrue(name.startswith(traits.PREFIXES))
        found = traits.decode(names, device.key, device.numa_node)
        self.assertEqual({(ref.id, ref.size) for ref in device.partitions},
                         {(ref.id, ref.size) for ref in found.partitions})
        self.assertEqual(
            {(ref.level, re.sub('[^A-Z0-9]', '_', ref.id.upper()), ref.size)
             for ref in device.groups},
            {(ref.level, ref.id, ref.size) for ref in found.groups})
        self.assertFalse(any(ref.degraded for ref in found.partitions))
