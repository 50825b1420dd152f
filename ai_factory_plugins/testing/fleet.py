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

"""Whole machines with GPUs: what an operator does with them in Ironic.

``python -m ai_factory_plugins.testing.fleet DIRECTORY BOARD [BOARD ...]``
enrols, inspects and provides a machine that is not there for each board, makes
the flavors for them, and prints the names of these. Their ramdisk needs
ironic-python-agent.
"""

import argparse
import hashlib
import os
import pathlib
import shutil
import subprocess
import sys
import time

from ai_factory_plugins.baremetal import shape
from ai_factory_plugins.testing import boards

SECONDS = 120
TRAITS_API = '1.6'
CALLBACK = '/v1/continue_inspection'


class FleetError(Exception):
    """Something went wrong with a machine; the message says what."""


class Fleet:
    """Enrols, inspects and provides machines.

    :param connection: an ``openstack.connection.Connection``
    :param system: the one for Ironic, if it is another
    """

    def __init__(self, connection, system=None):
        self.baremetal = (system or connection).baremetal
        self.compute = connection.compute
        self.placement = connection.placement

    def enrol(self, name, **fields):
        """Make a machine known to Ironic, as one that can be managed.

        :param fields: of the node, beside its name and its driver
        :returns: the node
        """
        node = self.baremetal.create_node(
            name=name, driver='fake-hardware', **fields)
        self.baremetal.create_port(node_id=node.id, address=mac(name))
        node = self._provision(node.id, 'manage', 'manageable')
        # A machine whose power state is not known takes no servers.
        self.baremetal.set_node_power_state(node, 'power off')
        self._until(
            lambda: self.baremetal.get_node(node.id).power_state
            == 'power off', f'{name} is not off')
        return self.baremetal.get_node(node.id)

    def inspect(self, name, tree):
        """Inspect a machine in band.

        :param tree: its sysfs tree
        :returns: the node after it
        """
        return self.told(name, lambda: self._ramdisk(name, tree))

    def told(self, name, tell):
        """Inspect a machine in band, with somebody else for its ramdisk.

        :param tell: called when Ironic waits for the ramdisk
        :returns: the node after it
        :raises FleetError: the inspection failed; the message says why
        """
        node = self._provision(name, 'inspect', 'inspect wait')
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
        return self._provision(name, 'provide', 'available')

    def withdraw(self, name):
        """Take a machine that no server has back from the users."""
        return self._provision(name, 'manage', 'manageable')

    def flavors(self):
        """Make the flavors for the machines that were inspected.

        :returns: dict of name to id
        """
        found = {}
        nodes = [node.to_dict()
                 for node in self.baremetal.nodes(details=True)]
        for flavor in shape.flavors(nodes):
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

    def offered(self, node):
        """Wait until placement offers a machine, with the traits it has.

        :returns: set of their names
        """
        path = f'/resource_providers/{node.id}'
        wanted = set(node.traits)

        def offered():
            inventories = self.placement.get(f'{path}/inventories').json()
            traits = self.placement.get(
                f'{path}/traits', microversion=TRAITS_API).json()
            return wanted == {
                name for name in traits.get('traits', ())
                if name.startswith('CUSTOM_')} and any(
                    not item['reserved'] for item in
                    inventories.get('inventories', {}).values())

        self._until(offered, f'placement does not offer {node.name} with '
                             f'{sorted(wanted)}')
        return wanted

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

    def _provision(self, name, action, state):
        """Change the provision state of a node, and wait until it is so."""
        node = self.baremetal.get_node(name)
        self.baremetal.set_node_provision_state(node, action)
        return self._wait(node, state)

    def _wait(self, node, state):
        """Wait until a node is in a state; what fails meanwhile is told."""

        def arrived():
            nonlocal node
            node = self.baremetal.get_node(node.id)
            # What cannot be managed is enrolled again, without the word.
            if node.provision_state != state and (
                    node.provision_state.endswith(('failed', 'error'))
                    or node.provision_state == 'enroll' and node.last_error):
                raise FleetError(
                    f'{node.name}: {node.provision_state}: {node.last_error}')
            return node.provision_state == state

        self._until(arrived, f'{node.name} is not {state}')
        return node

    def _until(self, condition, problem):
        deadline = time.monotonic() + SECONDS
        while not condition():
            if time.monotonic() > deadline:
                raise FleetError(f'{problem} after {SECONDS} s')
            time.sleep(0.2)

    def _ramdisk(self, name, tree):
        url = self.baremetal.get_endpoint().rstrip('/')
        url = url.removesuffix('/v1') + CALLBACK
        done = subprocess.run(
            [sys.executable, '-W', 'ignore', '-m',
             f'{__package__}.ramdisk', str(tree), mac(name), url],
            capture_output=True, text=True, timeout=SECONDS,
            env={key: value for key, value in os.environ.items()
                 if not key.startswith('OS_')})
        if done.returncode:
            raise FleetError(
                f'the ramdisk of {name} failed:\n{done.stderr[-2000:]}')


def mac(name):
    """The MAC address of a machine's network interface."""
    digits = hashlib.sha256(name.encode()).hexdigest()[:6]
    return '52:54:00:' + ':'.join(digits[i:i + 2] for i in (0, 2, 4))


def sysfs(directory, spec):
    """Write the sysfs tree of a machine anew.

    :param directory: where
    :param spec: a :class:`~ai_factory_plugins.testing.boards.BoardSpec`
    :returns: its path
    """
    directory = pathlib.Path(directory)
    shutil.rmtree(directory, ignore_errors=True)
    boards.write_capture(spec, directory)
    return directory / 'sys'


def main(argv=None):
    # Others use this module without a cloud.
    import openstack
    from openstack import exceptions

    parser = argparse.ArgumentParser(description=__doc__.split('\n')[0])
    parser.add_argument('--os-cloud', help='the cloud in clouds.yaml')
    parser.add_argument('--os-system-cloud',
                        help='the one with the right to enrol machines')
    parser.add_argument('directory', help='where their sysfs trees are kept')
    parser.add_argument('board', nargs='+', choices=boards.names())
    arguments = parser.parse_args(argv)
    fleet = Fleet(
        openstack.connect(cloud=arguments.os_cloud),
        openstack.connect(
            cloud=arguments.os_system_cloud or arguments.os_cloud))
    for number, board in enumerate(arguments.board, 1):
        name = f'ai-factory-{number}'
        tree = sysfs(pathlib.Path(arguments.directory, name),
                     boards.load(board))
        try:
            # Nova takes no node without a class; the hook may give another.
            fleet.enrol(name, inspect_interface='agent',
                        resource_class='baremetal')
            fleet.inspect(name, tree)
            fleet.offered(fleet.provide(name))
        except (FleetError, exceptions.SDKException) as exc:
            return f'cannot enrol a machine with {board}: {exc}'
    print(*fleet.flavors(), sep='\n')
    return 0


if __name__ == '__main__':
    sys.exit(main())
