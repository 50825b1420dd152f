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

"""Which GPUs of one host belong together.

Two kinds of togetherness exist in the field, and they obey different rules:

* a *partition* is an exact set of GPUs that the NVSwitch fabric of a board
  can join for one tenant. The table of partitions is Fabric Manager's
  (``fmpm -l``; NVIDIA WP-12736-002). Only exact sets work: three GPUs of a
  partition of four are not joined, and neither are two halves of two pairs.
* an *affinity group* is a set of which any subset is joined: an NVLink bridge
  pair or mesh, an XGMI hive, the GPUs below one PCIe switch.

The NUMA node of a device is a property of the device, not a group.

A :class:`Board` is the view of the host that owns the GPUs, with full member
lists. A :class:`Device` is the view of somebody who sees one free device at a
time, as the Nova scheduler does: it carries its own memberships and their
sizes, so that the free devices alone tell which partitions are wholly free.
"""

import dataclasses
import enum
import functools


class Level(enum.IntEnum):
    """How tightly a set of devices is joined, tightest first."""

    NVLINK = 0
    PCIE = 1
    NUMA = 2
    HOST = 3


@dataclasses.dataclass(frozen=True, order=True)
class PartitionRef:
    """A device's membership in a partition.

    :param id: partition id, unique on the host (Fabric Manager's
        ``partitionId``)
    :param size: number of GPUs in the partition, at least 1
    :param degraded: fewer NVLinks are available than the maximum on at least
        one of the partition's GPUs
    """

    id: int
    size: int
    degraded: bool = False


@dataclasses.dataclass(frozen=True, order=True)
class GroupRef:
    """A device's membership in an affinity group.

    :param level: :attr:`Level.NVLINK` or :attr:`Level.PCIE`
    :param id: name of the group, unique on the host within its level
    :param size: number of GPUs in the group, at least 1
    """

    level: Level
    id: str
    size: int


@dataclasses.dataclass(frozen=True)
class Device:
    """One GPU with its own memberships, or a NIC beside GPUs.

    :param key: what the owner of the device calls it (a PCI address, or the
        uuid of a resource provider); unique on the host
    :param numa_node: NUMA node, or None where the platform tells none
    :param module_id: id of the GPU module on its board, or None
    :param partitions: the partitions that the GPU is a member of
    :param groups: the affinity groups that the GPU is a member of
    :param switches: ids of the PCIe switches above it, outermost first, each
        unique on the host
    """

    key: str
    numa_node: int | None = None
    module_id: int | None = None
    partitions: tuple[PartitionRef, ...] = ()
    groups: tuple[GroupRef, ...] = ()
    switches: tuple[str, ...] = ()


@dataclasses.dataclass(frozen=True)
class Gpu:
    """One GPU as its own host sees it.

    :param address: PCI address, ``dddd:bb:dd.f`` in lower case
    :param vendor_id: four hexadecimal digits in lower case
    :param product_id: four hexadecimal digits in lower case
    :param model: model name of the catalogue (``H100_SXM5_80GB``), or None
        where the catalogue does not know the device
    :param numa_node: NUMA node, or None where the platform tells none
    :param module_id: id of the GPU module on its board, or None
    :param uuid: the vendor's uuid of the GPU, or None
    :param switches: see :class:`Device`
    """

    address: str
    vendor_id: str
    product_id: str
    model: str | None = None
    numa_node: int | None = None
    module_id: int | None = None
    uuid: str | None = None
    switches: tuple[str, ...] = ()


@dataclasses.dataclass(frozen=True)
class Partition:
    """An exact set of GPUs that the NVSwitch fabric can join.

    :param id: Fabric Manager's ``partitionId``
    :param members: PCI addresses of the GPUs
    :param degraded: see :class:`PartitionRef`
    """

    id: int
    members: frozenset[str]
    degraded: bool = False


@dataclasses.dataclass(frozen=True)
class AffinityGroup:
    """A set of GPUs of which any subset is joined.

    :param level: :attr:`Level.NVLINK` or :attr:`Level.PCIE`
    :param id: name of the group: letters, digits, ``.``, ``_``
        and ``-``
    :param members: PCI addresses of the GPUs
    """

    level: Level
    id: str
    members: frozenset[str]


@dataclasses.dataclass(frozen=True)
class Board:
    """All GPUs of one host, and what joins them.

    :param gpus: the GPUs, by PCI address
    :param partitions: what Fabric Manager can join, by id
    :param groups: what is always joined, by level and id
    :raises ValueError: two GPUs have one address, or a partition or group
        names a GPU that is not there
    """

    gpus: tuple[Gpu, ...]
    partitions: tuple[Partition, ...] = ()
    groups: tuple[AffinityGroup, ...] = ()

    def __post_init__(self):
        addresses = [gpu.address for gpu in self.gpus]
        known = frozenset(addresses)
        if len(known) != len(addresses):
            raise ValueError(f'two GPUs have one PCI address: {addresses}')
        for owner in (*self.partitions, *self.groups):
            unknown = owner.members - known
            if unknown or not owner.members:
                raise ValueError(
                    f'{type(owner).__name__} {owner.id} has no members or '
                    f'names GPUs that are not there: {sorted(unknown)}')

    @functools.cached_property
    def by_address(self):
        """The GPUs as a dict keyed by PCI address."""
        return {gpu.address: gpu for gpu in self.gpus}

    def device(self, address):
        """The GPU at ``address`` with its own memberships.

        :returns: a :class:`Device` whose key is the PCI address
        :raises KeyError: there is no such GPU
        """
        gpu = self.by_address[address]
        return Device(
            key=address,
            numa_node=gpu.numa_node,
            module_id=gpu.module_id,
            partitions=tuple(sorted(
                PartitionRef(p.id, len(p.members), p.degraded)
                for p in self.partitions if address in p.members)),
            groups=tuple(sorted(
                GroupRef(g.level, g.id, len(g.members))
                for g in self.groups if address in g.members)),
            switches=gpu.switches)

    def devices(self):
        """All GPUs with their own memberships, by PCI address."""
        return tuple(self.device(gpu.address) for gpu in self.gpus)
