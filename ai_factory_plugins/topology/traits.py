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


"""The memberships of a GPU as traits of its resource provider.

The scheduler goes by the tag (:mod:`ai_factory_plugins.topology.wire`), which
Nova keeps for free devices alone. The traits tell the same of a device that
is in use, to ``ai-factory-status`` and to whoever looks into placement::

    CUSTOM_NVLINK_PARTITION_5_OF_2
    CUSTOM_NVLINK_GROUP_0000_0C_00_0_OF_2
    CUSTOM_PCIE_GROUP_0000_0C_00_0_OF_4

Whether a partition is degraded changes while servers run, and is left to the
tag. Two groups whose ids differ in case or punctuation alone look the same.
"""

import re

from ai_factory_plugins.topology import model

PREFIXES = ('CUSTOM_NVLINK_', 'CUSTOM_PCIE_GROUP_')
MAX_LENGTH = 255

_GROUPS = {'NVLINK': model.Level.NVLINK, 'PCIE': model.Level.PCIE}
_PARTITION = re.compile(r'CUSTOM_NVLINK_PARTITION_([0-9]{1,10})_OF_([0-9]+)')
_GROUP = re.compile(r'CUSTOM_(NVLINK|PCIE)_GROUP_([A-Z0-9_]+)_OF_([0-9]+)')


def encode(device):
    """The traits of a device.

    :param device: a :class:`~ai_factory_plugins.topology.model.Device`
    :returns: sorted list of names
    """
    names = [f'CUSTOM_NVLINK_PARTITION_{ref.id}_OF_{ref.size}'
             for ref in device.partitions]
    for kind, level in _GROUPS.items():
        names.extend(
            f'CUSTOM_{kind}_GROUP_{_normal(ref.id)}_OF_{ref.size}'
            for ref in device.groups if ref.level == level)
    return sorted(name for name in names if len(name) <= MAX_LENGTH)


def decode(names, key, numa_node=None):
    """A device with the memberships that its traits tell.

    :param names: iterable of trait names; those of others are passed over
    :param key: what the caller calls the device
    :param numa_node: NUMA node of the device, or None
    :returns: a :class:`~ai_factory_plugins.topology.model.Device`
    """
    partitions, groups = set(), set()
    for name in names:
        found = _PARTITION.fullmatch(name)
        if found:
            partitions.add(
                model.PartitionRef(int(found[1]), int(found[2])))
            continue
        found = _GROUP.fullmatch(name)
        if found:
            groups.add(model.GroupRef(
                _GROUPS[found[1]], found[2], int(found[3])))
    return model.Device(key, numa_node, partitions=tuple(sorted(partitions)),
                        groups=tuple(sorted(groups)))


def _normal(id_):
    return re.sub('[^A-Z0-9]', '_', id_.upper())
