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


"""What Nova and placement have on record about GPUs, for operators' tools.

Everything is read once and kept: the tools look at one moment of a cloud that
goes on working.
"""

import collections
import dataclasses
from urllib import parse

from keystoneauth1 import exceptions as ks_exc
from nova import context as nova_context
from nova import objects

from ai_factory_plugins.nova import placement

# Every provider of a device that nova-compute has made carries it.
MANAGED = 'COMPUTE_MANAGED_PCI_DEVICE'


@dataclasses.dataclass(frozen=True)
class Provider:
    """A PCI device in placement.

    :param uuid: its uuid
    :param name: ``<node>_<ADDRESS>``
    :param root: uuid of the provider of its host
    """

    uuid: str
    name: str
    root: str

    @property
    def node(self):
        return self.name.rpartition('_')[0]

    @property
    def address(self):
        return self.name.rpartition('_')[2].lower()


@dataclasses.dataclass(frozen=True)
class Node:
    """A compute node and its PCI devices.

    :param name: hypervisor hostname
    :param pools: pools of free devices, as dicts
    :param devices: the nova PciDevice objects, free or not
    """

    name: str
    pools: list
    devices: list


class Placement:
    """Placement, as far as PCI devices are concerned.

    :param client: a nova SchedulerReportClient
    """

    def __init__(self, client):
        self.client = client

    def providers(self):
        """All PCI devices.

        :returns: list of :class:`Provider`
        :raises ai_factory_plugins.nova.placement.Unavailable: placement
            cannot be reached, or refuses the query
        """
        found = self._get('/resource_providers?' + parse.urlencode(
            {'required': MANAGED}))['resource_providers']
        return [Provider(item['uuid'], item['name'],
                         item['root_provider_uuid']) for item in found]

    def traits(self, prefixes):
        """The traits of all providers that begin in a certain way.

        :param prefixes: what the names begin with
        :returns: dict of provider uuid to set of names
        :raises ai_factory_plugins.nova.placement.Unavailable: see above
        """
        found = collections.defaultdict(set)
        for prefix in prefixes:
            names = self._get(f'/traits?name=startswith:{prefix}&'
                              'associated=true')['traits']
            for name in names:
                for item in self._get('/resource_providers?' + parse.urlencode(
                        {'required': name}))['resource_providers']:
                    found[item['uuid']].add(name)
        return found

    def consumers(self, provider):
        """Who has allocations of a device.

        :param provider: uuid of the provider
        :returns: set of consumer uuids
        :raises ai_factory_plugins.nova.placement.Unavailable: see above
        """
        return set(self._get(
            f'/resource_providers/{provider}/allocations')['allocations'])

    def classes(self, provider):
        """The resource classes of a device.

        :param provider: uuid of the provider
        :returns: set of names
        :raises ai_factory_plugins.nova.placement.Unavailable: see above
        """
        return set(self._get(
            f'/resource_providers/{provider}/inventories')['inventories'])

    def _get(self, url):
        try:
            response = self.client.get(url, version=placement.MICROVERSION)
        except ks_exc.ClientException as exc:
            raise placement.Unavailable(str(exc)) from exc
        if response.status_code != 200:
            raise placement.Unavailable(
                f'{url}: {response.status_code} {response.text:.200}')
        return response.json()


def cells(context):
    """The cells that have compute hosts.

    :param context: a nova RequestContext
    :returns: iterator of contexts, each for one cell
    """
    for cell in objects.CellMappingList.get_all(context):
        if not cell.is_cell0():
            with nova_context.target_cell(context, cell) as targeted:
                yield targeted


def nodes(context):
    """The compute nodes of a cell.

    :param context: a nova RequestContext of the cell
    :returns: list of :class:`Node`
    """
    return [
        Node(node.hypervisor_hostname,
             [pool.to_dict() for pool in node.pci_device_pools or []],
             list(objects.PciDeviceList.get_by_compute_node(
                 context, node.id)))
        for node in objects.ComputeNodeList.get_all(context)]
