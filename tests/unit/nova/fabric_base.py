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


"""Hosts with paths in the fabric, and the scheduler's loop over them."""

import uuid

import fixtures
from nova import objects
from nova.scheduler import filters as nova_filters
from nova.scheduler import host_manager
from nova.scheduler import weights as nova_weights

from ai_factory_plugins.nova import fabric_filter
from ai_factory_plugins.nova import fabric_weigher
from ai_factory_plugins.topology import fabric
from tests.unit.nova import base

CELL = '00000000-0000-0000-0000-00000000c311'


def aggregate(metadata, *hosts):
    return objects.Aggregate(metadata=metadata, hosts=list(hosts))


def spec(count=1, group=None, **extra_specs):
    """A RequestSpec of servers of 4 CPUs, which ask for no GPUs."""
    return objects.RequestSpec(
        instance_uuid=str(uuid.uuid4()), scheduler_hints={},
        num_instances=count, instance_group=group, is_bfv=False,
        flavor=objects.Flavor(
            name='job', vcpus=4, memory_mb=1024, root_gb=1, ephemeral_gb=0,
            extra_specs={f'ai_factory:{key}': value
                         for key, value in extra_specs.items()}),
        numa_topology=None, pci_requests=None, requested_resources=[],
        requested_destination=None, retry=None)


def group_of(*hosts, policy='soft-anti-affinity', **rules):
    return objects.InstanceGroup(
        uuid=str(uuid.uuid4()), hosts=list(hosts), members=[], policy=policy,
        rules=rules)


class FabricTestCase(base.NovaTestCase):
    """A cloud of hosts, and the scheduler's loop over them."""

    def setUp(self):
        super().setUp()
        self.filter = fabric_filter.FabricLocalityFilter()
        self.weigher = fabric_weigher.FabricLocalityWeigher()
        self.aggregates = []
        self.useFixture(fixtures.MockPatch(
            'nova.objects.AggregateList.get_by_metadata_key',
            side_effect=self._get_by_metadata_key))

    def _get_by_metadata_key(self, context, key, hosts=None):
        self.assertEqual(fabric.PATH, key)
        return [item for item in self.aggregates
                if key in item.metadata and hosts.intersection(item.hosts)]

    def node(self, name, path=None, servers=1):
        """A host with CPUs for that many servers, in its aggregate."""
        state = host_manager.HostState(name, name, CELL)
        state.uuid = str(uuid.uuid4())
        state.vcpus_total, state.cpu_allocation_ratio = 4 * servers, 1.0
        state.total_usable_ram_mb = state.free_ram_mb = 1024 * 1024
        state.total_usable_disk_gb = 1024
        if path is not None:
            found = aggregate({fabric.PATH: path}, name)
            self.aggregates.append(found)
            state.aggregates = [found]
        return state

    def leaves(self, **rooms):
        """Hosts of one server each, so many in each leaf of a block."""
        return [self.node(f'{leaf}-{i}', f's/{leaf}')
                for leaf, room in rooms.items() for i in range(room)]

    def passed(self, request, *states):
        """Names of the hosts that the filter leaves."""
        return [state.host
                for state in self.filter.filter_all(iter(states), request)]

    def schedule(self, request, states, weighers=None):
        """What nova.scheduler.manager does; names of the hosts picked.

        Without the filter if there is none in the test.
        """
        handler = nova_filters.HostFilterHandler()
        found, states = [], iter(states)
        for index in range(request.num_instances):
            request.instance_uuid = str(uuid.uuid4())
            states = self.pass_over(handler, request, states, index, weighers)
            if not states:
                return None
            picked = states[0]
            picked.consume_from_request(request)
            if request.instance_group is not None:
                request.instance_group.hosts.append(picked.host)
            found.append(picked.host)
        self.alternates = [state.host for state in self.pass_over(
            handler, request, states, index or 1, weighers)
            if state.host not in found]
        return found

    def pass_over(self, handler, request, states, index, weighers=None):
        filters = [Room()] + ([self.filter] if self.filter else [])
        states = handler.get_filtered_objects(filters, states, request, index)
        return [item.obj
                for item in nova_weights.HostWeightHandler(
                ).get_weighed_objects(
                    weighers or [self.weigher], states, request)]


class Room(nova_filters.BaseHostFilter):
    """In the place of placement: a host without CPUs is not on offer."""

    def host_passes(self, host_state, spec_obj):
        return host_state.vcpus_used < host_state.vcpus_total
