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


"""Whether Nova will keep to the devices that the scheduler chooses.

A cold migration, a resize and an evacuation do not: on the new host,
nova-compute derives the PCI requests from the flavor once more
(``ResourceTracker._move_claim``), without the providers of the allocation, and
takes whatever devices match. What is worse, the new requests have new ids,
and since devices are bound to a server by these ids, an unshelve does not keep
to them either from then on. Seen on Nova 31 to 34; the contributor's guide
has the bug report. Create, rebuild, the retries of a failed build, and the
unshelving of a server that has never been moved are right.

A RequestSpec does not tell what it is made for, but the server's task state
does: the API sets it before it asks anybody else.
"""

import dataclasses

from nova.compute import task_states
from nova import context as nova_context
from nova import exception
from nova import objects

_UNSHELVE = 'Shelve and unshelve the server instead.'
_REMAKE = ('Make the server anew instead, from a snapshot or from its '
           'volumes.')


@dataclasses.dataclass(frozen=True)
class Move:
    """What the scheduler is asked for, and what would be right instead."""

    name: str
    instead: str


MOVES = {
    task_states.RESIZE_PREP: Move('a cold migration or resize', _UNSHELVE),
    task_states.REBUILDING: Move('an evacuation', _UNSHELVE),
    task_states.MIGRATING: Move('a live migration', _UNSHELVE),
}
UNBOUND = Move('unshelving after an earlier move', _REMAKE)


def move_of(spec_obj):
    """What kind of move a request is for.

    :param spec_obj: a nova RequestSpec that is not for a rebuild
    :returns: a :class:`Move`, or None where Nova keeps to the devices
    """
    context = nova_context.get_admin_context()
    try:
        mapping = objects.InstanceMapping.get_by_instance_uuid(
            context, spec_obj.instance_uuid)
        if mapping.cell_mapping is None:
            # It has not been built yet.
            return None
        with nova_context.target_cell(context, mapping.cell_mapping) as cell:
            instance = objects.Instance.get_by_uuid(
                cell, spec_obj.instance_uuid, expected_attrs=['pci_requests'])
    except (exception.InstanceMappingNotFound, exception.InstanceNotFound):
        return None
    if instance.task_state in MOVES:
        return MOVES[instance.task_state]
    return None if is_bound(spec_obj, instance) else UNBOUND


def is_bound(spec_obj, instance):
    """Whether a server knows its PCI requests by the ids of its RequestSpec.

    :param spec_obj: a nova RequestSpec
    :param instance: a nova Instance with its pci_requests
    """
    return _ids(spec_obj.pci_requests) <= _ids(instance.pci_requests)


def _ids(requests):
    return {
        request.request_id for request in (
            requests.requests if requests else ())
        if request.source == objects.InstancePCIRequest.FLAVOR_ALIAS}
