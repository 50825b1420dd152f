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


"""Servers whose GPUs are not joined, and claims that nobody stands behind.

Nova can bring about both when it moves a server (see
:mod:`ai_factory_plugins.nova.moves`), and when an administrator forces a
server to a host, which skips the filters.
"""

import dataclasses

from nova import exception
from nova import objects

from ai_factory_plugins.nova import inventory
from ai_factory_plugins.nova import moves
from ai_factory_plugins.topology import model
from ai_factory_plugins.topology import policy
from ai_factory_plugins.topology import selection
from ai_factory_plugins.topology import traits

RENEW = ('shelve and unshelve the server: it gets devices and allocations '
         'anew')
REMAKE = ('make the server anew, from a snapshot or from its volumes: it was '
          'moved before, and Nova does not bind it to chosen devices any '
          'more')
# Migration.status while devices may be held for a migration.
_UNDER_WAY = ('accepted', 'queued', 'preparing', 'pre-migrating', 'running',
              'migrating', 'post-migrating', 'finished', 'confirming',
              'reverting')


@dataclasses.dataclass(frozen=True)
class Finding:
    """Something that an operator has to see to.

    :param server: uuid of the server, or of whoever has the allocation
    :param host: hypervisor hostname
    :param addresses: PCI addresses of the devices in question
    :param problem: what is wrong
    :param advice: what to do
    """

    server: str
    host: str
    addresses: tuple
    problem: str
    advice: str


class Audit:
    """What Nova and placement say of the devices in use, side by side.

    :param context: a nova RequestContext
    :param placement: a :class:`~ai_factory_plugins.nova.inventory.Placement`
    :raises ai_factory_plugins.nova.placement.Unavailable: placement does not
        answer
    """

    def __init__(self, context, placement):
        self.context = context
        self.traits = placement.traits(traits.PREFIXES)
        providers = placement.providers()
        self.by_name = {provider.name: provider for provider in providers}
        self.claims = {}
        for provider in providers:
            for consumer in placement.consumers(provider.uuid):
                self.claims.setdefault(consumer, set()).add(provider.name)
        self.held = {}
        self.instances = {}
        self.busy = set()
        self.left = set()
        for cell in inventory.cells(context):
            self._read(cell)

    def _read(self, cell):
        for node in inventory.nodes(cell):
            for device in node.devices:
                if device.instance_uuid is not None:
                    name = f'{node.name}_{device.address.upper()}'
                    self.held.setdefault(
                        device.instance_uuid, {})[name] = device
        instances = objects.InstanceList.get_by_filters(
            cell, {'deleted': False},
            expected_attrs=['flavor', 'pci_requests'])
        self.instances.update((item.uuid, item) for item in instances)
        self.busy.update(
            item.uuid for item in instances if item.task_state is not None)
        for migration in objects.MigrationList.get_by_filters(
                cell, {'status': list(_UNDER_WAY)}):
            # Between two hosts both sides are right.
            self.busy.update((migration.uuid, migration.instance_uuid))
        # What an evacuated server had, its old host gives back once it is up.
        self.left.update(
            (migration.instance_uuid, migration.source_node)
            for migration in objects.MigrationList.get_by_filters(
                cell, {'status': ['done'], 'migration_type': 'evacuation'}))

    def findings(self):
        """What is wrong.

        :returns: list of :class:`Finding`, by host and server
        """
        found = []
        for uuid in set(self.held) | set(self.claims):
            if uuid in self.busy:
                continue
            found.extend(self._of(uuid))
        return sorted(found, key=lambda item: (
            item.host, item.server, item.problem))

    def _of(self, uuid):
        held = {name: device
                for name, device in self.held.get(uuid, {}).items()
                if (uuid, _node(name)) not in self.left}
        claimed = {name for name in self.claims.get(uuid, ())
                   if (uuid, _node(name)) not in self.left}
        instance = self.instances.get(uuid)
        if instance is None:
            yield from _by_host(
                uuid, claimed, 'claimed in placement by no server, and by no '
                'migration under way', 'if it stays: openstack resource '
                f'provider allocation delete {uuid}')
            yield from _by_host(
                uuid, held, 'held for a server that is gone',
                'nova-compute gives them back when it next looks at its '
                'resources')
            return
        advice = self._advice(instance)
        yield from _by_host(
            uuid, claimed - set(held),
            'claimed in placement, but the server does not have them', advice)
        # A device that placement does not manage has no provider to claim.
        yield from _by_host(
            uuid, (set(held) & set(self.by_name)) - claimed,
            'the server has them, but has not claimed them in placement',
            advice)
        problem = self._problem(instance, held) if held else None
        if problem is not None:
            yield from _by_host(uuid, held, problem, advice)

    def _advice(self, instance):
        try:
            spec = objects.RequestSpec.get_by_instance_uuid(
                self.context, instance.uuid)
        except exception.RequestSpecNotFound:
            return REMAKE
        return RENEW if moves.is_bound(spec, instance) else REMAKE

    def _problem(self, instance, held):
        """Why the devices are not what the flavor asks for, or None."""
        try:
            asked = policy.parse(instance.flavor.extra_specs or {})
        except policy.PolicyError:
            return None
        if asked is None or not asked.required:
            return None
        devices = [
            traits.decode(self._traits(name), name, device.numa_node)
            for name, device in held.items()]
        gpus = [item for item in devices if item.partitions or item.groups]
        level = _level(gpus or devices)
        if level is None:
            return 'what joins its GPUs contradicts itself'
        if level <= asked.level:
            return None
        if not gpus and asked.level <= model.Level.PCIE:
            return 'it is not known what joins its GPUs'
        return f'its GPUs are not joined as its flavor asks: {asked}'

    def _traits(self, name):
        provider = self.by_name.get(name)
        return () if provider is None else self.traits.get(provider.uuid, ())


def _node(name):
    return name.rpartition('_')[0]


def _level(devices):
    try:
        pool = selection.FreePool(devices)
    except selection.InconsistentTopology:
        return None
    return pool.describe([item.key for item in devices]).cost.level


def _by_host(uuid, names, problem, advice):
    hosts = {}
    for name in names:
        host, _, address = name.rpartition('_')
        hosts.setdefault(host, []).append(address.lower())
    for host, addresses in hosts.items():
        yield Finding(uuid, host, tuple(sorted(addresses)), problem, advice)
