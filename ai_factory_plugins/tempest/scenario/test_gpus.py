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

"""Servers get GPUs that NVLink joins, or none."""

import collections

from tempest.lib import decorators
from tempest.lib import exceptions

from ai_factory_plugins.tempest.scenario import base


@decorators.serial
class JoinedGPUsTest(base.GPUTest):

    @decorators.idempotent_id('0e4a6f1c-6cbb-4d6c-9a2b-6a0a7f1f3f10')
    def test_two_and_four(self):
        """What is wanted of a cloud that has nothing else to do."""
        free = self.free()
        for count in (2, 4):
            if not any(number >= count for number in free.values()):
                self.skipTest(f'no host has {count} free GPUs')
            server = self.boot(self.make_gpu_flavor(count))
            self.assert_joined(server, count)
            self.delete(server)
        self.assertEqual(free, self.free())

    @decorators.idempotent_id('5d1c9b0e-0d0d-4a63-8a86-3c1f0f6f0c52')
    def test_servers_do_not_share_gpus(self):
        flavor = self.make_gpu_flavor(2)
        taken = [device.key for _ in range(2)
                 for device in self.assert_joined(self.boot(flavor), 2)]
        self.assertEqual(4, len(set(taken)))

    @decorators.idempotent_id('a7b52f0d-87b8-4b7c-b4a1-2f5fbb5a7c9e')
    def test_refusal_when_no_partition_is_left(self):
        """Four GPUs of a host are free, but in two partitions of four."""
        pair, quad = (self.make_gpu_flavor(count) for count in (2, 4))
        halves = collections.defaultdict(list)
        for _ in range(sum(self.free().values()) // 2):
            server = self.boot(pair)
            devices = self.assert_joined(server, 2)
            common = set.intersection(
                *(set(device.partitions) for device in devices))
            fours = [item.id for item in common if item.size == 4]
            if not fours:
                self.skipTest('the board has no partitions of four')
            halves[self.host(devices[0]), fours[0]].append(server)
        self.assert_refused(pair)
        for servers in halves.values():
            self.delete(servers.pop())
        self.assertGreaterEqual(max(self.free().values()), 4)
        self.assert_refused(quad)
        self.assert_joined(self.boot(pair), 2)


class ExtraSpecsTest(base.GPUTest):

    @decorators.attr(type=['negative'])
    @decorators.idempotent_id('c1f0f6a4-5b8a-4f2c-8a31-7be4c1f1d6b3')
    def test_typo_is_a_bad_request(self):
        flavor = self.make_flavor({})
        for name, value in (('ai_factory:gpu_topologi', 'nvlink'),
                            ('ai_factory:gpu_topology', 'nvlnk'),
                            ('ai_factory:gpu_topology_policy', 'perhaps')):
            self.assertRaises(
                exceptions.BadRequest, self.flavors.set_flavor_extra_spec,
                flavor, **{name: value})
        found = self.flavors.list_flavor_extra_specs(flavor)
        self.assertEqual({}, found['extra_specs'])
