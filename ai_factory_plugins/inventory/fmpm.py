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


"""Fabric Manager's partitions, from ``fmpm -l``.

The command prints the ``fmFabricPartitionList_t`` of the Fabric Manager API
as JSON (NVIDIA, Fabric Manager for NVSwitch Systems User Guide). A GPU is
known by its physical id, which is its module id; its bus id is often not
resolved.
"""

import dataclasses
import json
import re

from ai_factory_plugins.inventory import errors

MAX_BYTES = 4 * 1024 * 1024
MAX_PARTITIONS = 1024
MAX_GPUS = 256
_BUS_ID = re.compile(
    r'(?P<domain>[0-9A-F]{4,8}):(?P<rest>[0-9A-F]{2}:[0-9A-F]{2}\.[0-7])',
    re.IGNORECASE)


@dataclasses.dataclass(frozen=True)
class FabricPartition:
    """A partition as Fabric Manager tells it.

    :param id: ``partitionId``
    :param modules: module ids of its GPUs
    :param addresses: dict of module id to PCI address, of those GPUs whose
        bus id is resolved
    :param degraded: a GPU has fewer NVLinks available than the maximum
    :param active: whether it is activated
    """

    id: int
    modules: frozenset
    addresses: dict
    degraded: bool
    active: bool


def pci_address(text):
    """Turn NVIDIA's bus id into a PCI address as sysfs names it.

    :param text: ``00000000:0F:00.0`` or ``0000:0f:00.0``
    :returns: ``0000:0f:00.0``, or None where the text is not a bus id or is
        that of no device
    """
    match = _BUS_ID.fullmatch(text.strip())
    if match is None:
        return None
    address = f'{int(match["domain"], 16):04x}:{match["rest"].lower()}'
    return None if address == '0000:00:00.0' else address


def parse(text, source='fmpm -l'):
    """Read the output of ``fmpm -l``.

    :param text: the output
    :param source: what to call it in an error
    :returns: list of :class:`FabricPartition`
    :raises InventoryError: it is not the documented output
    """
    try:
        if len(text) > MAX_BYTES:
            raise ValueError(f'more than {MAX_BYTES} characters')
        listed = json.loads(text)['partitionInfo']
        if not isinstance(listed, list) or len(listed) > MAX_PARTITIONS:
            raise ValueError(
                f'partitionInfo is not a list of up to {MAX_PARTITIONS}')
        partitions = [_partition(item) for item in listed]
        if len({p.id for p in partitions}) != len(partitions):
            raise ValueError('a partitionId stands there twice')
    except (KeyError, RecursionError, TypeError, ValueError) as exc:
        raise errors.InventoryError(
            f'{source}: not a list of partitions: '
            f'{type(exc).__name__}: {exc}') from exc
    return partitions


def _partition(item):
    gpus = item['gpuInfo']
    id_ = _number(item['partitionId'])
    if not isinstance(gpus, list) or not 1 <= len(gpus) <= MAX_GPUS:
        raise ValueError(f'partition {id_} has no list of GPUs')
    if _number(item.get('numGpus', len(gpus))) != len(gpus):
        raise ValueError(
            f'partition {id_} lists {len(gpus)} GPUs and counts '
            f'{item["numGpus"]}')
    modules = [_number(gpu['physicalId']) for gpu in gpus]
    if len(set(modules)) != len(modules):
        raise ValueError(f'partition {id_} has a GPU twice: {modules}')
    addresses = {
        module: pci_address(str(gpu.get('pciBusId', '')))
        for module, gpu in zip(modules, gpus)}
    return FabricPartition(
        id=id_, modules=frozenset(modules),
        addresses={m: a for m, a in addresses.items() if a is not None},
        degraded=any(_number(gpu.get('numNvLinksAvailable', 0))
                     < _number(gpu.get('maxNumNvLinks', 0)) for gpu in gpus),
        active=bool(_number(item.get('isActive', 0))))


def _number(value):
    if isinstance(value, bool) or not isinstance(value, int) or not (
            0 <= value < 2 ** 32):
        raise ValueError(f'{value!r:.40} is not a number')
    return value
