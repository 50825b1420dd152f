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


"""Compute hosts as nova-scheduler sees them, kept over many requests.

A HostState is made once for each host and then changed: a claim is Nova's own
``consume_from_request``, and what is freed is put back as the update of the
compute host would. Making all of them anew for each request, as Nova does
from its database, would change nothing of what is decided.
"""

import uuid

from nova import objects

from benchmarks.placement import facts as board_facts
from tests.unit.nova import base

# A host has the CPU, memory and disk of eight GPUs' share, and a flavor takes
# the share of its GPUs: GPUs run out, and nothing else before them.
VCPUS = 12
MEMORY_MB = 128 * 1024
DISK_GB = 200


def request_spec(size):
    """A RequestSpec for ``size`` GPUs that NVLink has to join."""
    spec = base.request_spec(size)
    spec.instance_group = None
    spec.requested_destination = None
    spec.image = None
    spec.flavor = objects.Flavor(
        name=spec.flavor.name, extra_specs=spec.flavor.extra_specs,
        vcpus=size * VCPUS, memory_mb=size * MEMORY_MB,
        root_gb=size * DISK_GB, ephemeral_gb=0, swap=0)
    return spec


class FreeProviders:
    """Placement's answer to the filter: the free providers, kept up to date.

    :ivar uuids: dict whose keys are the providers, in the order of arrival
    """

    def __init__(self):
        self.uuids = {}

    def get(self, url, version=None, global_request_id=None):
        return base.Response(200, {'resource_providers': [
            {'uuid': provider, 'name': provider}
            for provider in self.uuids]})


class Host:
    """A host: Nova's HostState, and the same as a set of free GPUs.

    :param name: name of the host
    :param facts: a :class:`~benchmarks.placement.facts.Facts`
    :param placement: the :class:`FreeProviders` to keep up to date
    :ivar state: the HostState
    :ivar free: the free GPUs, as bits in the order of PCI addresses
    """

    def __init__(self, name, facts, placement):
        self.facts = facts
        self.free = facts.whole
        self._placement = placement
        host = base.Host(name, base.board(facts.name))
        self._providers = [
            host.providers[address] for address in sorted(host.providers)]
        self._places = {
            provider: i for i, provider in enumerate(self._providers)}
        self._groups = {}
        self.state = host.state(request_spec(1), offers=0)
        self._pools = {
            pool['rp_uuid']: dict(pool)
            for pool in self.state.pci_stats.pools}
        self._size(facts.count)
        placement.uuids.update(dict.fromkeys(self._providers))

    def _size(self, gpus):
        state = self.state
        state.total_usable_ram_mb = state.free_ram_mb = gpus * MEMORY_MB
        state.total_usable_disk_gb = gpus * DISK_GB
        state.free_disk_mb = gpus * DISK_GB * 1024
        state.vcpus_total = gpus * VCPUS
        state.cpu_allocation_ratio = 1.0
        state.ram_allocation_ratio = 1.0
        state.disk_allocation_ratio = 1.0

    def candidate(self, spec, places):
        """The allocation candidate that names the GPUs at these places."""
        chosen = {
            group.requester_id: self._providers[place]
            for group, place in zip(spec.requested_resources, places)}
        flavor = spec.flavor
        return {
            'allocations': {
                self.state.uuid: {'resources': {
                    'VCPU': flavor.vcpus, 'MEMORY_MB': flavor.memory_mb,
                    'DISK_GB': flavor.root_gb}},
                **{provider: {'resources': {base.RESOURCE_CLASS: 1}}
                   for provider in chosen.values()}},
            'mappings': {
                '': [self.state.uuid],
                **{group: [provider] for group, provider in chosen.items()}}}

    def gpus_of(self, candidate):
        """The GPUs that a candidate names, as a set."""
        return board_facts.mask_of(
            self._places[provider]
            for providers in candidate['mappings'].values()
            for provider in providers if provider in self._places)

    def claim(self, spec, candidate):
        """Take what a candidate names, as the scheduler does.

        :returns: the GPUs that were taken, as a set
        :raises RuntimeError: a GPU was not free, or is counted as free still
        """
        mask = self.gpus_of(candidate)
        if mask & self.free != mask:
            raise RuntimeError(f'{self.state.host}: claimed twice')
        for group in spec.requested_resources:
            group.provider_uuids = candidate['mappings'][group.requester_id]
        self.state.consume_from_request(spec)
        # The server is built before the next one comes.
        self.state.num_io_ops = 0
        self.free &= ~mask
        if len(self.state.pci_stats.pools) != self.free.bit_count():
            # HostState logs what fails and goes on.
            raise RuntimeError(f'{self.state.host}: Nova did not claim')
        for place in board_facts.places_of(mask):
            del self._placement.uuids[self._providers[place]]
        return mask

    def release(self, spec, mask):
        """Give back what a server took."""
        if mask & self.free:
            raise RuntimeError(f'{self.state.host}: freed twice')
        self.free |= mask
        providers = [
            self._providers[place] for place in board_facts.places_of(mask)]
        state = self.state
        state.pci_stats.pools.extend(
            dict(self._pools[provider]) for provider in providers)
        self._placement.uuids.update(dict.fromkeys(providers))
        state.free_ram_mb += spec.flavor.memory_mb
        state.free_disk_mb += spec.flavor.root_gb * 1024
        state.vcpus_used -= spec.flavor.vcpus
        state.num_instances -= 1


class Cluster:
    """Hosts of one board, all of them empty.

    :param count: number of hosts
    :param facts: a :class:`~benchmarks.placement.facts.Facts`
    """

    def __init__(self, count, facts):
        self.facts = facts
        self.placement = FreeProviders()
        self.hosts = [Host(f'hgx{i}', facts, self.placement)
                      for i in range(count)]
        self.by_name = {host.state.host: host for host in self.hosts}
        self._specs = {}

    @property
    def gpus(self):
        return len(self.hosts) * self.facts.count

    def spec(self, size):
        """The request for so many GPUs, under a new server's name."""
        if size not in self._specs:
            self._specs[size] = request_spec(size)
        self._specs[size].instance_uuid = str(uuid.uuid4())
        return self._specs[size]
