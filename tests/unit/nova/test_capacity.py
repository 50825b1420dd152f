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


import uuid

from ai_factory_plugins.nova import capacity
from tests.unit.nova import base
from tests.unit.nova import fabric_base

spec = fabric_base.spec
group_of = fabric_base.group_of


class CapacityTest(fabric_base.FabricTestCase):

    def room(self, request, state):
        return capacity.Estimate(request).room(state)

    def test_cpu_memory_and_disk(self):
        state = self.node('n', servers=8)
        self.assertEqual(8, self.room(spec(), state))
        state.cpu_allocation_ratio, state.vcpus_used = 2.0, 4
        self.assertEqual(15, self.room(spec(), state))
        state.free_ram_mb, state.ram_allocation_ratio = 0, 1.005
        self.assertEqual(5, self.room(spec(), state))
        state.disk_mb_used = (1024 - 3) * 1024
        self.assertEqual(3, self.room(spec(), state))
        volume = spec()
        volume.is_bfv = True
        self.assertEqual(5, self.room(volume, state))
        state.vcpus_used = 200
        self.assertEqual(1, self.room(spec(), state))

    def test_anti_affinity(self):
        state = self.node('n', servers=8)
        group = group_of(policy='anti-affinity')
        self.assertEqual(1, self.room(spec(group=group), state))
        group = group_of(policy='anti-affinity', max_server_per_host='3')
        self.assertEqual(3, self.room(spec(group=group), state))
        there = str(uuid.uuid4())
        group.members = [there]
        state.instances = {there: None, str(uuid.uuid4()): None}
        self.assertEqual(2, self.room(spec(group=group), state))

    def gpus(self, *used, count=2, tags=True, offers=1, **extra_specs):
        """Room on a board of eight with some in use."""
        host = self.host('hgx', tags=tags)
        host.use(*used)
        request = base.request_spec(count, **extra_specs)
        flavor = spec().flavor
        flavor.extra_specs = request.flavor.extra_specs
        request.flavor, request.instance_group = flavor, None
        state = host.state(request, offers)
        state.vcpus_total, state.free_ram_mb = 1000, 1024 * 1024
        state.total_usable_ram_mb = 1024 * 1024
        state.total_usable_disk_gb = 1024
        return self.room(request, state)

    def test_gpus(self):
        self.assertEqual(4, self.gpus())
        self.assertEqual(2, self.gpus(count=4))
        self.assertEqual(3, self.gpus(1))

    def test_only_sets_that_are_joined(self):
        """Two free in each quad, but never a pair."""
        self.assertEqual(1, self.gpus(1, 4, 5, 8))
        self.assertEqual(2, self.gpus(1, 4, 5, 8, topology='any'))
        self.assertEqual(2, self.gpus(1, 4, 5, 8, policy='preferred'))

    def test_without_our_filter_only_what_placement_offers(self):
        for offers, expected in ((1, 1), (2, 1), (3, 2), (8, 4)):
            self.assertEqual(
                expected, self.gpus(topology=None, offers=offers))

    def test_no_tags(self):
        self.assertEqual(4, self.gpus(tags=False))

    def test_nobody_knows_which_devices(self):
        self.assertEqual(1, self.gpus(topology='nvlnk'))
        self.conf.config(group='filter_scheduler', pci_in_placement=False)
        self.assertEqual(1, self.gpus())
