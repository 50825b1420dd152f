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


"""The GPUs that a server asks for, as the scheduler sees the request."""

import dataclasses
import functools

from nova import objects
from nova.pci import utils as pci_utils

from ai_factory_plugins.topology import policy

# Keys of an alias's spec that are placement's business or Nova's bookkeeping,
# and not properties of a pool (nova.pci.stats.PciDeviceStats).
_NOT_POOL_KEYS = frozenset(['resource_class', 'traits', 'rp_uuids'])


@dataclasses.dataclass(frozen=True)
class DeviceRequest:
    """Devices of one PCI alias, for one server.

    :param alias: name of the PCI alias
    :param specs: the alias's properties of a pool, as alternatives
    :param groups: requester id of the request group of each device
    :param resource_class: what one device is in placement
    :param traits: traits that the device's provider must have
    """

    alias: str
    specs: tuple[dict, ...]
    groups: tuple[str, ...]
    resource_class: str
    traits: frozenset[str]

    @property
    def count(self):
        return len(self.groups)

    def matches(self, pool):
        """Whether a pool of PCI devices is of the kind asked for."""
        # Nova's answer depends on nothing but what the specs name, and the
        # pools of a cloud differ little in that.
        names, known = self._known
        key = tuple(pool.get(name) for name in names)
        try:
            return known[key]
        except KeyError:
            known[key] = pci_utils.pci_device_prop_match(pool, self.specs)
            return known[key]
        except TypeError:
            # A list, as of a NIC's capabilities.
            return pci_utils.pci_device_prop_match(pool, self.specs)

    @functools.cached_property
    def _known(self):
        names = {name for spec in self.specs for name in spec}
        return tuple(sorted(names)), {}

    def __str__(self):
        return f'{self.count} x {self.alias}'


class NotInPlacement(ValueError):
    """The PCI requests of the server are not part of the placement query."""


def policy_of(spec_obj):
    """What the flavor asks of its GPUs.

    :param spec_obj: a nova RequestSpec
    :returns: a :class:`~ai_factory_plugins.topology.policy.Policy` or None
    :raises ai_factory_plugins.topology.policy.PolicyError: see there
    """
    return policy.parse(spec_obj.flavor.get('extra_specs', {}) or {})


def device_requests(spec_obj):
    """The devices that the flavor asks for, a kind of device at a time.

    Two aliases that stand for the same devices are one request: all of its
    devices have to be joined.

    :param spec_obj: a nova RequestSpec
    :returns: list of :class:`DeviceRequest`
    :raises NotInPlacement: ``[filter_scheduler]pci_in_placement`` is off, or
        a request is of a form that Nova does not put into placement
    """
    requests = spec_obj.pci_requests.requests if spec_obj.pci_requests else []
    groups = {
        group.requester_id: group
        for group in spec_obj.requested_resources or []}
    found = []
    for request in requests:
        if request.source != objects.InstancePCIRequest.FLAVOR_ALIAS:
            continue
        ids = tuple(f'{request.request_id}-{i}' for i in range(request.count))
        if not ids or not all(id_ in groups for id_ in ids):
            raise NotInPlacement(
                f'PCI alias {request.alias_name} is not part of the placement '
                'query; is [filter_scheduler]pci_in_placement enabled?')
        first = groups[ids[0]]
        resource_class, = first.resources
        found.append(DeviceRequest(
            alias=request.alias_name,
            specs=tuple(
                {k: v for k, v in spec.items() if k not in _NOT_POOL_KEYS}
                for spec in request.spec),
            groups=ids, resource_class=resource_class,
            traits=frozenset(first.required_traits)))
    return _merged(found)


def _merged(requests):
    found = []
    for request in requests:
        for i, other in enumerate(found):
            if (other.specs, other.resource_class, other.traits) == (
                    request.specs, request.resource_class, request.traits):
                found[i] = dataclasses.replace(
                    other, groups=other.groups + request.groups)
                break
        else:
            found.append(request)
    return found
