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


import unittest

from ai_factory_plugins.topology import model

GPU = model.Gpu('0000:0f:00.0', '10de', '2330', numa_node=0, module_id=5)
OTHER = model.Gpu('0000:10:00.0', '10de', '2330', numa_node=1, module_id=7)


class BoardTest(unittest.TestCase):

    def test_device_carries_its_own_memberships(self):
        board = model.Board(
            (GPU, OTHER),
            partitions=(
                model.Partition(5, frozenset([GPU.address, OTHER.address]),
                                degraded=True),
                model.Partition(11, frozenset([GPU.address]))),
            groups=(model.AffinityGroup(
                model.Level.PCIE, 'sw0', frozenset([OTHER.address])),))
        self.assertEqual(
            model.Device(
                GPU.address, numa_node=0, module_id=5,
                partitions=(model.PartitionRef(5, 2, True),
                            model.PartitionRef(11, 1))),
            board.device(GPU.address))
        self.assertEqual(
            model.Device(
                OTHER.address, numa_node=1, module_id=7,
                partitions=(model.PartitionRef(5, 2, True),),
                groups=(model.GroupRef(model.Level.PCIE, 'sw0', 1),)),
            board.devices()[1])

    def test_unknown_address(self):
        self.assertRaises(
            KeyError, model.Board((GPU,)).device, '0000:ff:00.0')

    def test_one_address_twice(self):
        self.assertRaises(ValueError, model.Board, (GPU, GPU))

    def test_members_must_be_there(self):
        for members in ([GPU.address, '0000:ff:00.0'], []):
            with self.assertRaisesRegex(ValueError, 'Partition 3'):
                model.Board(
                    (GPU,),
                    partitions=(model.Partition(3, frozenset(members)),))
