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


"""One board out of all that a machine says about its GPUs.

The sources are joined by PCI address and, between Fabric Manager and the
driver, by module id. What does not join exactly is an error: a scheduler that
believes a wrong map hands out GPUs that nothing joins.
"""

import collections
import dataclasses
import logging
import pathlib

from ai_factory_plugins.inventory import catalogue as catalogues
from ai_factory_plugins.inventory import errors
from ai_factory_plugins.inventory import files
from ai_factory_plugins.inventory import fmpm as fabric
from ai_factory_plugins.inventory import nvidia_smi as smi
from ai_factory_plugins.inventory import sysfs
from ai_factory_plugins.topology import model

LOG = logging.getLogger(__name__)

#: Names of the files in a capture directory.
FILES = {'fmpm': 'fmpm.json', 'query': 'nvidia-smi-q.txt',
         'topo': 'nvidia-smi-topo.txt'}


@dataclasses.dataclass(frozen=True)
class Capture:
    """What a machine says, before it is joined.

    :param sysfs_root: where sysfs is mounted, or a copy of it
    :param fmpm: output of ``fmpm -l``, or None
    :param query: output of ``nvidia-smi -q``, or None
    :param topo: output of ``nvidia-smi topo -m``, or None
    """

    sysfs_root: str = '/sys'
    fmpm: str | None = None
    query: str | None = None
    topo: str | None = None


def read_directory(directory):
    """Read a board from a directory with ``sys/`` and files of :data:`FILES`.

    :param directory: the directory
    :returns: a :class:`~ai_factory_plugins.topology.model.Board`
    :raises InventoryError: see :func:`read`
    """
    directory = pathlib.Path(directory)
    texts = {}
    for name, file_name in FILES.items():
        path = directory / file_name
        if path.exists():
            texts[name] = files.read_text(path)
    return read(Capture(sysfs_root=str(directory / 'sys'), **texts))


def read(capture, kept=None, catalogue=None):
    """Join what a machine says into a board.

    :param capture: a :class:`Capture`
    :param kept: a board read earlier, which tells the module ids and NVLinks
        of GPUs that the driver no longer sees (those bound to vfio-pci), and
        the partitions where ``fmpm -l`` is not given (it may run in a VM)
    :param catalogue: a catalogue, default the package's own
    :returns: a :class:`~ai_factory_plugins.topology.model.Board`
    :raises InventoryError: a source cannot be understood, or they contradict
        each other
    """
    catalogue = catalogue or catalogues.load()
    found = sysfs.read_pci_devices(capture.sysfs_root)
    devices = [device for device in found
               if catalogue.is_gpu(device) and not device.virtual]
    seen = {gpu.address: gpu for gpu in (
        smi.parse_query(capture.query) if capture.query else ())}
    _refuse_strangers(
        'nvidia-smi -q', seen, {device.address for device in devices})
    gpus = tuple(
        _gpu(device, seen, kept, catalogue) for device in devices)
    partitions = _partitions(capture, gpus, kept)
    groups = _switch_groups(devices)
    if not partitions and not _switched(found, catalogue):
        groups += _nvlink_groups(capture, seen, gpus, kept)
    try:
        return model.Board(gpus, partitions, tuple(sorted(
            groups, key=lambda group: (group.level, group.id))))
    except ValueError as exc:
        raise errors.InventoryError(str(exc)) from exc


def _gpu(device, seen, kept, catalogue):
    known = seen.get(device.address)
    old = kept.by_address.get(device.address) if kept is not None else None
    if old is not None:
        if (old.vendor_id, old.product_id) != (
                device.vendor_id, device.product_id) or (
                    known is not None and known.module_id != old.module_id):
            raise errors.InventoryError(
                f'{device.address} is another GPU than in the kept map; take '
                'the map anew while the driver sees the GPUs')
        known = known or old
    return model.Gpu(
        address=device.address, vendor_id=device.vendor_id,
        product_id=device.product_id, numa_node=device.numa_node,
        model=catalogue.model(device.vendor_id, device.product_id),
        module_id=known.module_id if known else None,
        uuid=known.uuid if known else None,
        switches=sysfs.switch_ids(device))


def _partitions(capture, gpus, kept):
    if not capture.fmpm:
        return kept.partitions if kept is not None else ()
    told = fabric.parse(capture.fmpm)
    addresses = {gpu.module_id: gpu.address for gpu in gpus
                 if gpu.module_id is not None}
    if len(addresses) != sum(gpu.module_id is not None for gpu in gpus):
        raise errors.InventoryError(
            'two GPUs have one module id: '
            f'{sorted((g.module_id, g.address) for g in gpus)}')
    modules = set().union(*(partition.modules for partition in told))
    if modules != set(addresses):
        raise errors.InventoryError(
            f'Fabric Manager knows GPU modules {sorted(modules)}, and '
            f'nvidia-smi or the kept map {sorted(addresses)}. If GPUs are '
            'bound to vfio-pci, give the map that was saved while the driver '
            'saw them')
    for partition in told:
        for module, address in partition.addresses.items():
            if addresses[module] != address:
                raise errors.InventoryError(
                    f'module {module} is {address} for Fabric Manager and '
                    f'{addresses[module]} for the driver')
    return tuple(
        model.Partition(
            partition.id,
            frozenset(addresses[module] for module in partition.modules),
            partition.degraded)
        for partition in sorted(told, key=lambda item: item.id))


def _switched(found, catalogue):
    """Whether NVSwitches join the GPUs.

    The driver then shows each joined to each, but in a VM only the GPUs of
    one partition are.
    """
    if not any(catalogue.is_switched(device) for device in found):
        return False
    LOG.warning('NVSwitches join the GPUs of this machine, but neither fmpm '
                '-l nor a kept map tells their partitions: its NVLinks are '
                'left out')
    return True


def _switch_groups(devices):
    below = collections.defaultdict(set)
    for device in devices:
        for switch in device.switches:
            below[switch].add(device.address)
    # Switches come innermost first: of those with the same GPUs below them
    # the innermost counts. A GPU with a switch on its own card has it alone.
    innermost = {}
    for switch, members in below.items():
        if len(members) > 1:
            innermost.setdefault(frozenset(members), switch)
    return [
        model.AffinityGroup(
            model.Level.PCIE, sysfs.switch_id(switch), members)
        for members, switch in innermost.items()]


def _nvlink_groups(capture, seen, gpus, kept):
    present = {gpu.address for gpu in gpus}
    if kept is not None and len(seen) < len(gpus):
        sets = [group.members for group in kept.groups
                if group.level == model.Level.NVLINK]
        _refuse_strangers('the kept map', set().union(*sets), present)
    elif capture.topo and seen:
        # Both commands number the GPUs in one order.
        order = list(seen)
        joined = smi.parse_topo(capture.topo)
        if any(index >= len(order) for group in joined for index in group):
            raise errors.InventoryError(
                'nvidia-smi topo -m tells of more GPUs than nvidia-smi -q')
        sets = [frozenset(order[index] for index in group)
                for group in joined]
        _refuse_unseen(sets, seen, gpus)
    else:
        sets = []
    return [
        model.AffinityGroup(
            model.Level.NVLINK, min(members).replace(':', '.'), members)
        for members in sets]


def _refuse_unseen(sets, seen, gpus):
    """Half of a board must not pass for a whole one."""
    kinds = {(gpu.vendor_id, gpu.product_id) for gpu in gpus
             if any(gpu.address in members for members in sets)}
    unseen = [gpu.address for gpu in gpus if gpu.address not in seen
              and (gpu.vendor_id, gpu.product_id) in kinds]
    if unseen:
        raise errors.InventoryError(
            f'the driver does not see {unseen}, so that their NVLinks are not '
            'known: give the map that was saved while it saw them')


def _refuse_strangers(source, addresses, present):
    strangers = sorted(set(addresses) - present)
    if strangers:
        raise errors.InventoryError(
            f'{source} tells of GPUs that sysfs does not have: {strangers}')
