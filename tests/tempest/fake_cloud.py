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

"""A cloud with HGX H100 boards and inspected machines, as far as the scenarios
see it. Its scheduler chooses as our filter does, or wrongly on demand.
"""

import collections
import itertools
import pathlib
import tempfile
import types

from tempest.lib import exceptions

from ai_factory_plugins.inventory import capture
from ai_factory_plugins.testing import boards
from ai_factory_plugins.topology import selection
from ai_factory_plugins.topology import traits
from tests import tempest as settings

KEYS = {'ai_factory:gpu_topology': {'nvlink', 'pcie'},
        'ai_factory:gpu_topology_policy': {'required', 'preferred'}}


def _devices(board):
    with tempfile.TemporaryDirectory() as directory:
        boards.write_capture(boards.load(board), pathlib.Path(directory))
        return list(capture.read_directory(directory).devices())


class Cloud:
    """It plays all clients of Tempest that the scenarios use.

    :param hosts: how many there are
    :param joined: whether the GPUs of a server are chosen by what joins them
    :param refuses: whether it says no when no joined GPUs are left
    :param validates: whether it looks into extra specs
    :param leaks: whether GPUs of deleted servers stay taken
    :param nodes: what Ironic's API shows
    :param by_trait: whether servers get nodes with the traits of the flavor
    """

    build_timeout, build_interval = 1, 0
    auth_provider = None

    def __init__(self, hosts=2, joined=True, refuses=True, validates=True,
                 leaks=False, nodes=(), by_trait=True):
        self.joined, self.refuses = joined, refuses
        self.validates, self.leaks = validates, leaks
        self.nodes, self.by_trait = list(nodes), by_trait
        devices = _devices('hgx-h100')
        self.devices = {f'host{i}': {device.key: device for device in devices}
                        for i in range(hosts)}
        self.specs, self.booted, self.held = {}, {}, {}
        self.traits = set()
        self.numbers = itertools.count()
        self.servers_client = self.flavors_client = self
        self.placement_client = self.resource_providers_client = self

    # Flavors

    def create_flavor(self, **fields):
        flavor = f'flavor-{next(self.numbers)}'
        self.specs[flavor] = {}
        return {'flavor': {'id': flavor}}

    def delete_flavor(self, flavor):
        del self.specs[flavor]

    def set_flavor_extra_spec(self, flavor, **specs):
        for name, value in specs.items():
            if (self.validates and name.startswith('ai_factory:')
                    and value not in KEYS.get(name, ())):
                raise exceptions.BadRequest(name)
        self.specs[flavor].update(specs)

    def list_flavor_extra_specs(self, flavor):
        return {'extra_specs': self.specs[flavor]}

    # Servers

    def create_server(self, name, flavorRef, imageRef, networks):
        assert networks == 'none'
        server = f'server-{next(self.numbers)}'
        specs = self.specs[flavorRef]
        if 'pci_passthrough:alias' in specs:
            count = int(specs['pci_passthrough:alias'].rpartition(':')[2])
            self.held[server] = self._choose(count)
        else:
            self.held[server] = self._machine(server, specs)
        status = 'ACTIVE' if self.held[server] else 'ERROR'
        self.booted[server] = status
        return {'server': {'id': server}}

    def _free(self):
        taken = set(itertools.chain.from_iterable(
            held or () for held in self.held.values()))
        return {host: {key: device for key, device in devices.items()
                       if (host, key) not in taken}
                for host, devices in self.devices.items()}

    def _choose(self, count):
        for host, free in self._free().items():
            if self.joined:
                found = next(selection.FreePool(free.values()).best(count),
                             None)
                keys = found and [device.key for device in found.devices]
            else:
                mixed = [*list(free)[::2], *list(free)[1::2]]
                keys = mixed[:count] if len(free) >= count else None
            if not keys and not self.refuses and len(free) >= count:
                keys = list(free)[:count]
            if keys:
                return [(host, key) for key in keys]
        return None

    def put(self, url, body):
        assert body is None
        self.traits.add(url.removeprefix('/traits/'))

    def _machine(self, server, specs):
        # Placement refuses what it does not know, even where it is forbidden.
        if any(name.startswith('trait:')
               and name.removeprefix('trait:') not in self.traits
               for name in specs):
            return None
        for node in self.nodes:
            fits = all(
                (name.partition(':')[2] in node['traits'])
                == (value == 'required') for name, value in specs.items()
                if name.startswith('trait:'))
            if fits == self.by_trait:
                node['instance_uuid'] = server
                return [(node['uuid'], None)]
        return None

    def show_server(self, server):
        if server not in self.booted:
            raise exceptions.NotFound(server)
        return {'server': {
            'id': server, 'status': self.booted[server],
            'OS-EXT-STS:task_state': None,
            'fault': {'message': 'No valid host was found. '}}}

    def delete_server(self, server):
        if server not in self.booted:
            raise exceptions.NotFound(server)
        del self.booted[server]
        if not self.leaks:
            del self.held[server]

    # Placement

    def list_allocations(self, server):
        found = {}
        for host, key in self.held.get(server) or ():
            found[host] = {'resources': {'VCPU': 1}}
            found[f'{host}/{key}'] = {
                'resources': {settings.RESOURCE_CLASS: 1}}
        return {'allocations': found}

    def list_resource_providers(self, resources):
        assert resources == f'{settings.RESOURCE_CLASS}:1'
        return {'resource_providers': [
            self.show_resource_provider(f'{host}/{key}')
            for host, free in self._free().items() for key in free]}

    def show_resource_provider(self, uuid):
        return {'uuid': uuid, 'root_provider_uuid': uuid.partition('/')[0]}

    def list_resource_provider_traits(self, uuid):
        host, _, key = uuid.partition('/')
        return {'traits': [*traits.encode(self.devices[host][key]),
                           'COMPUTE_NODE']}

    def left_behind(self):
        """What the tests have not taken away again."""
        return collections.Counter(
            flavors=len(self.specs), servers=len(self.booted))


def machine(name, *names, **fields):
    """A node as Ironic's API shows it."""
    return {'uuid': name, 'provision_state': 'available', 'maintenance': False,
            'instance_uuid': None, 'resource_class': 'GPU_X8',
            'traits': list(names), **fields, 'properties': {
                'cpus': '96', 'memory_mb': '2048', 'local_gb': '10'}}


def manager(cloud):
    """What Tempest asks for a user's clients."""
    return types.SimpleNamespace(
        **{name: getattr(cloud, name) for name in (
            'servers_client', 'flavors_client', 'placement_client',
            'resource_providers_client', 'auth_provider')})
