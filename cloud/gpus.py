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


"""Which GPUs the servers of the cloud really have, and whether they fit.

Nova's API does not show a server's PCI devices, so they are read from the
database of its cell, and what placement has on record from its own.
"""

import dataclasses

from ai_factory_plugins.inventory import capture
from ai_factory_plugins.topology import model
from ai_factory_plugins.topology import selection
from cloud import backing
from cloud import services


@dataclasses.dataclass(frozen=True)
class Placed:
    """A server and its GPUs.

    :param name: name of the server
    :param status: its status
    :param flavor: name of its flavor
    :param host: its compute host, or None
    :param addresses: PCI addresses of its GPUs according to Nova, sorted
    :param claimed: the same according to placement
    :param modules: module ids of its GPUs; empty on boards that have none
    :param partition: the partition that joins exactly these GPUs, or None
    :param joined: whether NVLink joins them
    """

    name: str
    status: str
    flavor: str
    host: str | None = None
    addresses: tuple = ()
    claimed: tuple = ()
    modules: tuple = ()
    partition: int | None = None
    joined: bool = False

    @property
    def verdict(self):
        if self.status != 'ACTIVE':
            return 'no host' if self.host is None else self.status
        if self.addresses != self.claimed:
            return 'NOVA AND PLACEMENT DISAGREE'
        if not self.joined:
            return 'NOT JOINED'
        return ('joined' if self.partition is None
                else f'partition {self.partition}')


def board(cloud, host):
    """The board of a compute.

    :returns: a :class:`~ai_factory_plugins.topology.model.Board`
    """
    return capture.read_directory(services.nova.board_directory(cloud, host))


def devices(cloud):
    """The devices in use according to Nova.

    :returns: dict of server uuid to set of (host, PCI address)
    """
    return _held(
        cloud, 'nova_cell1',
        'SELECT d.instance_uuid, n.host, d.address FROM pci_devices d '
        'JOIN compute_nodes n ON n.id = d.compute_node_id '
        'WHERE d.instance_uuid IS NOT NULL AND d.deleted = 0')


def claims(cloud):
    """The devices in use according to placement.

    :returns: dict of server uuid to set of (host, PCI address)
    """
    return _held(
        cloud, 'placement',
        "SELECT a.consumer_id, SUBSTRING_INDEX(p.name, '_', 1), "
        "LOWER(SUBSTRING_INDEX(p.name, '_', -1)) FROM allocations a "
        'JOIN resource_providers p ON p.id = a.resource_provider_id '
        'WHERE p.parent_provider_id IS NOT NULL')


def _held(cloud, database, query):
    with backing.connect(cloud.layout, database) as connection:
        with connection.cursor() as cursor:
            cursor.execute(query)
            rows = cursor.fetchall()
    found = {}
    for server, host, address in rows:
        found.setdefault(server, set()).add((host, address))
    return found


def placed(cloud, servers):
    """What became of servers.

    :param servers: servers of :mod:`openstack.compute`
    :returns: list of :class:`Placed`
    """
    in_use, claimed = devices(cloud), claims(cloud)
    return [_placed(cloud, server, in_use.get(server.id, set()),
                    claimed.get(server.id, set())) for server in servers]


def _placed(cloud, server, in_use, claimed):
    facts = {'name': server.name, 'status': server.status,
             'flavor': server.flavor['original_name'],
             'host': server.compute_host}
    addresses = tuple(sorted(address for _, address in in_use))
    if {host for host, _ in in_use} != {server.compute_host}:
        return Placed(**facts)
    gpus = board(cloud, server.compute_host)
    described = selection.FreePool(gpus.devices()).describe(addresses)
    modules = [gpus.by_address[address].module_id for address in addresses]
    return Placed(
        **facts, addresses=addresses,
        claimed=tuple(sorted(address for _, address in claimed)),
        modules=tuple(sorted(m for m in modules if m is not None)),
        partition=described.partition,
        joined=described.cost.level == model.Level.NVLINK)
