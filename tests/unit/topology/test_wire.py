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

import hypothesis
from hypothesis import strategies as st

from ai_factory_plugins.topology import model
from ai_factory_plugins.topology import wire

LEVELS = st.sampled_from([model.Level.NVLINK, model.Level.PCIE])
IDS = st.integers(0, wire.MAX_ID)
SIZES = st.integers(1, wire.MAX_SIZE)
NAMES = st.text('abcXYZ019._-', min_size=1, max_size=20)
DEVICES = st.builds(
    model.Device,
    key=st.just('0000:0f:00.0'),
    numa_node=st.none() | st.integers(0, 15),
    module_id=st.none() | IDS,
    partitions=st.lists(
        st.builds(model.PartitionRef, IDS, SIZES, st.booleans()),
        unique_by=lambda ref: ref.id, max_size=20
    ).map(sorted).map(tuple),
    groups=st.lists(
        st.builds(model.GroupRef, LEVELS, NAMES, SIZES),
        unique_by=lambda ref: (ref.level, ref.id), max_size=5
    ).map(sorted).map(tuple),
    switches=st.lists(NAMES, unique=True, max_size=3).map(tuple))


class WireTest(unittest.TestCase):

    def test_format(self):
        """The format is a contract between hosts of different releases."""
        device = model.Device(
            '0000:0f:00.0', numa_node=0, module_id=5,
            partitions=(model.PartitionRef(0, 8),
                        model.PartitionRef(5, 2, True)),
            groups=(model.GroupRef(model.Level.NVLINK, 'b0', 2),
                    model.GroupRef(model.Level.PCIE, '0000.0c.00.0', 4)))
        text = ('v1 module=5 partitions=0:8,5:2 degraded=5 '
                'nvlink=b0:2 pcie=0000.0c.00.0:4')
        self.assertEqual(text, wire.encode(device))
        self.assertEqual(device, wire.decode(text, '0000:0f:00.0', 0))

    def test_nothing_to_tell(self):
        self.assertEqual('v1', wire.encode(model.Device('a')))
        self.assertEqual(model.Device('a'), wire.decode('v1', 'a'))

    @hypothesis.given(DEVICES)
    def test_round_trip(self, device):
        self.assertEqual(device, wire.decode(
            wire.encode(device), device.key, device.numa_node))

    @hypothesis.given(st.text() | DEVICES.flatmap(
        lambda device: st.tuples(
            st.just(wire.encode(device)), st.integers(0, 200), st.characters()
        ).map(lambda t: t[0][:t[1]] + t[2] + t[0][t[1] + 1:])))
    def test_anything_is_read_or_refused(self, text):
        try:
            device = wire.decode(text, 'a')
        except wire.WireError:
            return
        self.assertEqual(device, wire.decode(wire.encode(device), 'a'))

    def test_unknown_version(self):
        for text in ('v2 module=5', 'module=5', '', 'V1', ' v1'):
            self.assertRaises(
                wire.UnknownVersion, wire.decode, text, 'a')

    def test_malformed(self):
        for text in (
                'v1 module', 'v1 module=', 'v1 module=x', 'v1 module=-1',
                'v1 module=1 module=2', 'v1  module=1', 'v1 module=\u0661',
                'v1 module=99999999999', 'v1 module=4294967296',
                'v1 partitions=1', 'v1 partitions=1:0', 'v1 partitions=1:257',
                'v1 partitions=1:2,1:4', 'v1 partitions=1:2,',
                'v1 partitions=1:2 degraded=3', 'v1 degraded=1',
                'v1 partitions=1:2 degraded=1,1', 'v1 nvlink=:2',
                'v1 nvlink=a/b:2', 'v1 switches=',
                'v1 switches=a//b', 'v1 switches=a/a', 'v1 switches=a:b',
                'v1 nvlink=a:2,a:2', 'v1 colour=red',
                'v1 ' + 'x' * wire.MAX_LENGTH, None, 5, ['v1']):
            with self.subTest(text=text):
                with self.assertRaises(wire.WireError) as caught:
                    wire.decode(text, 'a')
                self.assertLess(len(str(caught.exception)), 200)

    def test_what_cannot_be_read_back_is_not_written(self):
        for device in (
                model.Device('a', module_id=-1),
                model.Device('a', partitions=(model.PartitionRef(1, 0),)),
                model.Device('a', groups=(
                    model.GroupRef(model.Level.PCIE, '0000:0c:00.0', 2),)),
                model.Device('a', groups=(
                    model.GroupRef(model.Level.NUMA, '0', 2),))):
            with self.subTest(device=device):
                self.assertRaises(wire.WireError, wire.encode, device)
