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

"""The GPUs among the Processors that a node's BMC tells.

Source of the fields: DMTF DSP8010, schema Processor 1.20. Those that sushy
has no attribute for are taken from its JSON.
"""

import time

from ironic.drivers.modules.redfish import inspect as redfish_inspect
from ironic.drivers.modules.redfish import utils as redfish_utils

from ai_factory_plugins.baremetal import fields

MAX_PROCESSORS = 128
SECONDS = 30


def is_redfish(task):
    """Whether the inspection under way is one by Redfish."""
    return isinstance(task.driver.inspect, redfish_inspect.RedfishInspect)


def gpu_processors(node, clock=time.monotonic):
    """Ask the BMC of a node for its GPUs.

    :param node: an Ironic node
    :param clock: returns seconds
    :returns: list of dicts with ``manufacturer``, ``model``, ``memory_mib``
    :raises MalformedError: the answer is not of the schema, or there are too
        many, or the BMC is too slow
    :raises Exception: what sushy raises if the BMC does not answer
    """
    deadline = clock() + SECONDS
    processors = redfish_utils.get_system(node).processors
    members = processors.members_identities
    if len(members) > MAX_PROCESSORS:
        raise fields.MalformedError(
            f'{len(members)} Processors, more than {MAX_PROCESSORS}')
    found, unknown = [], []
    for identity in members:
        if clock() > deadline:
            raise fields.MalformedError(
                f'the BMC needed more than {SECONDS} s for its Processors')
        body = processors.get_member(identity).json
        if not _present(body):
            continue
        if body.get('ProcessorType') == 'GPU':
            found.append(_facts(body))
        elif not _is_other(body):
            unknown.append(identity)
    if found and unknown:
        raise fields.MalformedError(
            f'Processor {unknown[0]!r:.80} does not tell what it is')
    return found


def _present(body):
    status = body.get('Status')
    return not isinstance(status, dict) or status.get('State') != 'Absent'


def _is_other(body):
    """Whether a Processor is one that is no GPU, and not just unknown."""
    return (isinstance(body.get('ProcessorType'), str)
            or bool(body.get('InstructionSet'))
            or bool(body.get('ProcessorArchitecture')))


def _facts(body):
    return {'manufacturer': body.get('Manufacturer'),
            'model': body.get('Model'),
            'memory_mib': _memory_mib(body)}


def _memory_mib(body):
    """The GPU's memory; a BMC tells it in one of two places."""
    summary = body.get('MemorySummary')
    if isinstance(summary, dict) and summary.get('TotalMemorySizeMiB'):
        return summary['TotalMemorySizeMiB']
    parts = body.get('ProcessorMemory')
    if not isinstance(parts, list):
        return None
    sizes = [part.get('CapacityMiB') for part in parts
             if isinstance(part, dict)
             and part.get('IntegratedMemory') is not False]
    if not sizes or any(type(size) is not int for size in sizes):
        return None
    return sum(sizes)
