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


"""Whether a cloud can take work: what no single service tells."""

from keystoneauth1 import exceptions as ks_exc
from openstack import exceptions as sdk_exc
import pymysql

from cloud import backing
from cloud import services


def problems(cloud, connection):
    """What is amiss with the computes, as a list of sentences.

    A compute takes work when Nova holds it to be up, it is mapped to its
    cell, and placement has an inventory of each of its devices.

    :param cloud: a :class:`~cloud.core.Cloud` that runs
    :param connection: its connection
    """
    try:
        return list(_problems(cloud, connection))
    except (ks_exc.ClientException, sdk_exc.SDKException,
            pymysql.Error) as exc:
        return [f'asking it failed: {exc}']


def _problems(cloud, connection):
    for binary, host in _down(cloud, connection):
        yield f'{binary} on {host} is not up'
    mapped = _mapped(cloud)
    providers = {provider.name: provider
                 for provider in connection.placement.resource_providers()}
    for name in cloud.computes:
        if name not in mapped:
            yield f'{name} is not mapped to a cell'
        wanted = len(services.nova.device_specs(cloud, name))
        have = sum(
            _has_inventory(connection, provider)
            for key, provider in providers.items()
            if key.startswith(f'{name}_'))
        if have < wanted:
            yield f'{name} has {have} of {wanted} devices in placement'


def _down(cloud, connection):
    """The services of Nova that are not up."""
    known = {(item.binary, item.host): item.state
             for item in connection.compute.services()}
    wanted = [('nova-scheduler', 'controller'),
              ('nova-conductor', 'controller'),
              *(('nova-compute', name)
                for name in (*cloud.computes, services.nova.METAL))]
    return [item for item in wanted if known.get(item) != 'up']


def _mapped(cloud):
    """The hosts that are mapped to a cell."""
    with backing.connect(cloud.layout, 'nova_api') as database:
        with database.cursor() as cursor:
            cursor.execute('SELECT host FROM host_mappings')
            return {row[0] for row in cursor.fetchall()}


def _has_inventory(connection, provider):
    answer = connection.placement.get(
        f'/resource_providers/{provider.id}/inventories')
    return answer.ok and bool(answer.json()['inventories'])
