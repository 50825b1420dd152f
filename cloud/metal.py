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

"""Whole machines with GPUs: what an operator does with them in Ironic."""

import dataclasses
import hashlib
import pathlib
import shutil
import subprocess
import sys
import time

from ai_factory_plugins.baremetal import shape
from ai_factory_plugins.testing import boards
from cloud import errors
from cloud import process

SECONDS = 120
TRAITS_API = '1.6'
CALLBACK = '/v1/continue_inspection'


@dataclasses.dataclass(frozen=True)
class Machine:
    """A machine that is not there.

    :param board: name of its board, see
        :mod:`ai_factory_plugins.testing.boards`, or None
    :param redfish: whether its BMC, rather than a ramdisk, is asked what it
        has
    """

    board: str | None
    redfish: bool = False


NO_GPUS = boards.BoardSpec('none', '', gpus=[], nics=[
    {'address': '0000:18:00.0', 'id': '15b3:1021', 'numa_node': 0}])
MACHINES = {
    'metal-hgx-1': Machine('hgx-h100'),
    'metal-pcie-1': Machine('pcie-bridge-pairs'),
    'metal-mi300x-1': Machine('mi300x-8'),
}


class Operator:
    """Enrols, inspects and provides machines.

    :param cloud: a :class:`~cloud.core.Cloud` that runs
    """

    def __init__(self, cloud):
        self.cloud = cloud
        connection = cloud.connection()
        self.baremetal = connection.baremetal
        self.compute = connection.compute
        self.placement = connection.placement

    def enrol(self, name, **fields):
        """Make a machine known to Ironic, as one that can be managed.

        :param fields: of the node, beside those that the machine needs
        :returns: the node
        """
        node = self.baremetal.find_node(name)
        if node is not None:
            self.remove(name)
        node = self.baremetal.create_node(
            name=name, driver='fake-hardware',
            **{'inspect_interface': 'agent', **fields})
        self.baremetal.create_port(node_id=node.id, address=mac(name))
        self.baremetal.set_node_provision_state(node, 'manage', wait=True)
        # A machine whose power state is not known takes no servers.
        self.baremetal.set_node_power_state(node, 'power off', wait=True)
        return self.baremetal.get_node(node.id)

    def inspect(self, name, machine, edit=lambda sysfs: None):
        """Inspect a machine in band, as its ramdisk would do.

        :param machine: a :class:`Machine`
        :param edit: called with the machine's sysfs tree, to break it
        :returns: the node after it
        """
        tree = sysfs(self.cloud, name, machine)
        edit(tree)
        return self.told(name, lambda: self._ramdisk(name, tree))

    def told(self, name, tell):
        """Inspect a machine in band, with somebody else for its ramdisk.

        :param tell: called when Ironic waits for the ramdisk
        :returns: the node after it
        :raises CloudError: the inspection failed; the message says why
        """
        node = self.baremetal.set_node_provision_state(
            self.baremetal.get_node(name), 'inspect')
        self._wait(node, 'inspect wait')
        try:
            tell()
        except Exception:
            self.baremetal.set_node_provision_state(node, 'abort')
            raise
        return self._wait(node, 'manageable')

    def provide(self, name):
        """Offer a machine to users.

        :returns: the node after it
        """
        return self.baremetal.set_node_provision_state(
            self.baremetal.get_node(name), 'provide', wait=True)

    def withdraw(self, name):
        """Take a machine that no server has back from the users."""
        return self.baremetal.set_node_provision_state(
            self.baremetal.get_node(name), 'manage', wait=True)

    def flavors(self):
        """Make the flavors for the machines that were inspected.

        :returns: dict of name to id
        """
        found = {}
        for flavor in shape.flavors([
                node.to_dict() for node in self.baremetal.nodes(details=True)]):
            made = self.compute.find_flavor(flavor.name)
            if made is None:
                for trait in flavor.traits:
                    self.placement.put(
                        f'/traits/{trait}', microversion=TRAITS_API)
                made = self.compute.create_flavor(
                    name=flavor.name, vcpus=flavor.vcpus, ram=flavor.ram_mb,
                    disk=flavor.disk_gb)
                self.compute.create_flavor_extra_specs(
                    made, flavor.extra_specs)
            found[flavor.name] = made.id
        return found

    def traits(self, node):
        """The traits that placement knows a machine by, once it is offered.

        :returns: set of names
        """
        path = f'/resource_providers/{node.id}'
        self._until(lambda: any(
            not item['reserved'] for item in self.placement.get(
                f'{path}/inventories').json().get('inventories', {}).values()),
            f'placement does not offer {node.name}')
        return set(self.placement.get(
            f'{path}/traits', microversion=TRAITS_API).json()['traits'])

    def remove(self, name):
        """Forget a machine that no server has, whatever its state."""
        node = self.baremetal.get_node(name)
        self.baremetal.set_node_maintenance(node, 'it is removed')
        self.baremetal.delete_node(node)

    def clear(self):
        """Forget all machines, and wait until Nova has done so, too.

        There must be no servers any more.
        """
        nodes = list(self.baremetal.nodes())
        for node in nodes:
            # A server is deleted before its machine is taken down.
            self._until(
                lambda: self.baremetal.get_node(node.id).instance_id is None,
                f'{node.name} is in use')
            self.remove(node.id)
        self._until(
            lambda: not any(provider.id in [node.id for node in nodes]
                            for provider in
                            self.placement.resource_providers()),
            'placement still has the machines')

    def _wait(self, node, state):
        """Wait until a node is in a state; what fails meanwhile is told."""

        def arrived():
            nonlocal node
            node = self.baremetal.get_node(node.id)
            if (node.provision_state != state
                    and node.provision_state.endswith(('failed', 'error'))):
                raise errors.CloudError(
                    f'{node.name}: {node.provision_state}: {node.last_error}')
            return node.provision_state == state

        self._until(arrived, f'{node.name} is not {state}')
        return node

    def _until(self, condition, problem):
        deadline = time.monotonic() + SECONDS
        while not condition():
            if time.monotonic() > deadline:
                raise errors.CloudError(f'{problem} after {SECONDS} s')
            time.sleep(0.2)

    def _ramdisk(self, name, tree):
        url = self.cloud.layout.url('ironic') + CALLBACK
        done = subprocess.run(
            [sys.executable, '-W', 'ignore', '-m', 'cloud.ramdisk',
             str(tree), mac(name), url],
            capture_output=True, text=True, timeout=SECONDS,
            env=process.environment({}))
        if done.returncode:
            raise errors.CloudError(
                f'the ramdisk of {name} failed:\n{done.stderr[-2000:]}')


def mac(name):
    """The MAC address of a machine's network interface."""
    digits = hashlib.sha256(name.encode()).hexdigest()[:6]
    return '52:54:00:' + ':'.join(digits[i:i + 2] for i in (0, 2, 4))


def sysfs(cloud, name, machine):
    """The sysfs tree of a machine; written anew.

    :returns: a path
    """
    directory = pathlib.Path(cloud.layout.root, 'boards', name)
    shutil.rmtree(directory, ignore_errors=True)
    spec = NO_GPUS if machine.board is None else boards.load(machine.board)
    boards.write_capture(spec, directory)
    return directory / 'sys'
