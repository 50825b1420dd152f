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


"""Whether the scheduler is asked to move a server that exists.

A cold migration, a resize and an evacuation do not keep to the devices that
the scheduler claims for them: on the new host, nova-compute derives the PCI
requests from the flavor once more (``ResourceTracker._move_claim``), without
the providers of the allocation, and takes whatever devices match. Seen on
Nova 31 to 34; the contributor's guide has the bug report. Create, rebuild,
unshelve and the retries of a failed build are right.

A RequestSpec does not tell what it is made for, but the server's task state
does: the API sets it before it asks anybody else.
"""

from nova.compute import task_states
from nova import context as nova_context
from nova import exception
from nova import objects

MOVES = {
    task_states.RESIZE_PREP: 'a cold migration or resize',
    task_states.REBUILDING: 'an evacuation',
    task_states.MIGRATING: 'a live migration',
}


def move_of(spec_obj):
    """What kind of move a request is for.

    :param spec_obj: a nova RequestSpec that is not for a rebuild
    :returns: one of the values of :data:`MOVES`, or None
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
                cell, spec_obj.instance_uuid, expected_attrs=[])
    except (exception.InstanceMappingNotFound, exception.InstanceNotFound):
        return None
    return MOVES.get(instance.task_state)
