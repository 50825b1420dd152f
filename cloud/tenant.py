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


"""What a user does with the cloud: flavors, servers, and waiting for them."""

import time

from openstack import exceptions

from cloud import errors
from cloud import gpus

SECONDS = 120
#: Aliases of the GPU models on the boards, as the inventory tool names them.
SXM, PCIE = 'h100-sxm5-80gb', 'h100-pcie-80gb'


class Tenant:
    """A user of the cloud, who is its admin too.

    :param cloud: a :class:`~cloud.core.Cloud`
    """

    def __init__(self, cloud):
        self.cloud = cloud
        self.compute = cloud.connection().compute
        self.image = cloud.connection().image.find_image('tiny').id

    def flavor(self, name, alias, count, **extra_specs):
        """Make a flavor with GPUs, if there is none of that name.

        :param extra_specs: further extra specs, without the prefix
            ``ai_factory:``
        :returns: the id of the flavor
        :raises openstack.exceptions.BadRequestException: Nova refuses an
            extra spec; there is no flavor then
        """
        found = self.compute.find_flavor(name)
        if found is None:
            found = self.compute.create_flavor(
                name=name, ram=1024 * count, vcpus=count, disk=1)
            try:
                self.compute.create_flavor_extra_specs(found, {
                    'pci_passthrough:alias': f'{alias}:{count}',
                    **{f'ai_factory:{key}': value
                       for key, value in extra_specs.items()}})
            except exceptions.BadRequestException:
                self.compute.delete_flavor(found)
                raise
        return found.id

    def create(self, name, flavor, **options):
        """Ask for a server, or for several with ``min_count``.

        :param flavor: id of the flavor
        :returns: the server as it is at once
        """
        return self.compute.create_server(
            name=name, flavor_id=flavor, image_id=self.image,
            networks='none', **options)

    def boot(self, name, flavor, **options):
        """Ask for a server and wait for what becomes of it."""
        return self.settled(self.create(name, flavor, **options))

    def settled(self, server):
        """Wait until a server is no longer being built.

        :raises CloudError: it is still being built after two minutes
        """
        deadline = time.monotonic() + SECONDS
        # Nova writes down the fault a moment after the status.
        while server.status in ('BUILD', None) or (
                server.status == 'ERROR' and not server.fault):
            if time.monotonic() > deadline:
                raise errors.CloudError(
                    f'{server.name} is still building after {SECONDS} s')
            time.sleep(0.2)
            server = self.compute.get_server(server.id)
        return server

    def delete(self, *servers):
        """Delete servers and wait until they and their GPUs are released.

        :raises CloudError: something is left behind after two minutes
        """
        ids = {server.id for server in servers}
        for server in servers:
            self.compute.delete_server(server)
        deadline = time.monotonic() + SECONDS
        while True:
            left = ids & {
                *(server.id for server in self.compute.servers()),
                *gpus.devices(self.cloud), *gpus.claims(self.cloud)}
            if not left:
                return
            if time.monotonic() > deadline:
                raise errors.CloudError(
                    f'servers or their GPUs are left behind: {sorted(left)}')
            time.sleep(0.3)

    def clear(self):
        """Delete all servers."""
        self.delete(*self.compute.servers())

    def placed(self, *servers):
        """See :func:`cloud.gpus.placed`."""
        return gpus.placed(self.cloud, servers)
