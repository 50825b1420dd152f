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

"""The GPUs of a machine out of what inspection says about it.

The sources, best first:

* ``gpu-topology``: what our collector in the ramdisk sends, with the state of
  the links and, where the ramdisk has NVIDIA's driver, of NVLink;
* ``pci-devices``: the PCI devices that ironic-python-agent's collector sends,
  with addresses and NUMA nodes;
* ``redfish``: the PCI functions that the BMC lists, without either;
* ``redfish-processors``: the GPUs among the BMC's Processors, with model and
  memory. They tell what the lists before do not know, too.

The first that is there and well-formed is taken. A list with an entry that
may be a GPU and cannot be understood is not well-formed: a GPU less than
there are is a wrong count.
"""

import dataclasses
import re

from ai_factory_plugins.baremetal import fields
from ai_factory_plugins.baremetal import machine as machines

NAMES = ('gpu-topology', 'pci-devices', 'redfish', 'redfish-processors')
#: PCI functions of a machine that are looked at.
MAX_DEVICES = 4096
#: GPUs of one machine; there are boards with 16 today.
MAX_GPUS = 64
# DeviceClass of the PCIeFunction schema, DMTF DSP8010, for the PCI classes
# that are of interest.
_REDFISH_CLASSES = {'displaycontroller': 0x03, 'processingaccelerators': 0x12}
_MAX_MODEL = 64
# Makers that have another name in the catalogue.
_MAKERS = {'ADVANCED_MICRO_DEVICES': 'AMD'}


@dataclasses.dataclass(frozen=True)
class _Function:
    """A PCI function, as the catalogue wants to see it."""

    vendor_id: str | None
    product_id: str | None
    class_code: int = 0


_UNKNOWN = _Function(None, None)


def read(catalogue, inventory, plugin_data):
    """The GPUs of a machine.

    :param catalogue: a :class:`~ai_factory_plugins.inventory.catalogue.
        Catalogue`
    :param inventory: what ramdisk or BMC say in general
    :param plugin_data: what collectors of the ramdisk say
    :returns: a :class:`~ai_factory_plugins.baremetal.machine.Machine`, or
        None if no source is there and well-formed; and a list of sentences
        on sources that are not well-formed
    """
    found = (
        ('gpu-topology', plugin_data, 'gpu_topology', _topology),
        ('pci-devices', plugin_data, 'pci_devices', _pci_devices),
        ('redfish', inventory, 'pci_devices', _pci_devices))
    complaints = []
    for name, data, key, reader in found:
        if not isinstance(data, dict) or key not in data:
            continue
        try:
            return reader(catalogue, data[key], name), complaints
        except fields.MalformedError as exc:
            complaints.append(f'{name}: {exc}')
    return None, complaints


def with_processors(catalogue, machine, processors):
    """The GPUs of a machine with what its BMC tells of Processors.

    :param catalogue: a :class:`~ai_factory_plugins.inventory.catalogue.
        Catalogue`
    :param machine: what :func:`read` gave, or None
    :param processors: list of dicts with ``manufacturer``, ``model`` and
        ``memory_mib`` for each GPU among the Processors
    :returns: a :class:`~ai_factory_plugins.baremetal.machine.Machine`, or
        None if there is nothing to tell
    :raises MalformedError: the BMC's answer cannot be understood
    """
    fields.entries(processors, 'redfish-processors', MAX_GPUS)
    told = [_from_processor(entry) for entry in processors]
    if machine is None or not machine.gpus:
        return (_machine(catalogue, told, (), NAMES[3], False)
                if told else machine)
    if len(told) < len(machine.gpus) or len(set(told)) != 1:
        # Nothing says which is which. A GPU that is gone from the list of PCI
        # devices may still be among the Processors.
        return machine
    gpus = tuple(
        dataclasses.replace(
            gpu, model=gpu.model or told[0].model,
            memory_gib=gpu.memory_gib or told[0].memory_gib)
        for gpu in machine.gpus)
    return dataclasses.replace(machine, gpus=gpus)


def needs_processors(machine):
    """Whether a BMC's Processors could tell more.

    There are BMCs that list PCI devices, but not those of the GPUs.
    """
    return machine is None or not machine.gpus or any(
        gpu.model is None or gpu.memory_gib is None for gpu in machine.gpus)


def word(text):
    """A name as it can stand in a trait, upper case; None if nothing is left.

    :param text: what the hardware calls itself
    """
    return re.sub('[^A-Z0-9]+', '_',
                  text[:_MAX_MODEL].upper()).strip('_') or None


def _topology(catalogue, data, name):
    if not isinstance(data, dict):
        raise fields.MalformedError('it is not a mapping')
    if data.get('version') != 1:
        raise fields.MalformedError(
            f'version {data.get("version")!r:.20} is not known')
    if data.get('truncated'):
        raise fields.MalformedError('the ramdisk could not read it all')
    extra, nvlink = _nvml(data.get('nvml'))
    return _read(catalogue, data.get('devices'), name, 'address',
                 'numa_node', extra, nvlink)


def _pci_devices(catalogue, data, name):
    if not data:
        raise fields.MalformedError('there is not one PCI device in it')
    return _read(catalogue, data, name, 'bus', 'numa_node_id')


def _read(catalogue, data, name, address, numa_node, extra=None,
          nvlink=False):
    gpus, others, seen, unknown = [], [], set(), 0
    for i, entry in enumerate(fields.entries(data, name, MAX_DEVICES)):
        try:
            function = _function(catalogue, entry)
            if function is None:
                continue
            if function is _UNKNOWN:
                unknown += 1
                continue
            if not catalogue.is_gpu(function):
                others.append(function)
                continue
            gpu = _gpu(catalogue, function, entry, address, numa_node,
                       extra or {})
        except fields.MalformedError as exc:
            raise fields.MalformedError(f'entry {i}: {exc}') from exc
        if gpu.address is None or gpu.address not in seen:
            seen.add(gpu.address)
            gpus.append(gpu)
        if len(gpus) > MAX_GPUS:
            raise fields.MalformedError(f'more than {MAX_GPUS} GPUs')
    # A BMC has such functions for empty slots; a ramdisk has none.
    if unknown and (name != 'redfish' or unknown == len(data)):
        raise fields.MalformedError(
            f'{unknown} entries tell neither what they are nor their class')
    return _machine(catalogue, gpus, others, name, nvlink)


def _function(catalogue, entry):
    """What a PCI function is, or None if it can be no GPU.

    :returns: a ``_Function``, :data:`_UNKNOWN` if nothing is told, or None
    """
    class_code, harmless = _class(catalogue, entry)
    try:
        ids = [fields.pci_id(entry, field)
               for field in ('vendor_id', 'product_id')]
    except fields.MalformedError:
        if harmless:
            return None
        raise
    if None in ids:
        if class_code and not harmless:
            raise fields.MalformedError('a GPU without vendor or product id')
        return None if harmless else _UNKNOWN
    return _Function(*ids, class_code)


def _class(catalogue, entry):
    """The PCI class, 0 if it is not known, and whether it is of no GPU."""
    name = fields.text(entry, 'class')
    if name is None:
        return 0, False
    try:
        code = int(fields.class_code(entry, 'class'), 16)
    except fields.MalformedError:
        # sushy's constant, or the word of the schema.
        label = name.rpartition('.')[2].replace('_', '').lower()
        if not (label.isascii() and label.isalpha()):
            raise
        base = _REDFISH_CLASSES.get(label)
        return (0, True) if base is None else (base << 16, False)
    return code, f'{code >> 8:04x}' not in catalogue.gpu_classes


def _gpu(catalogue, function, entry, address, numa_node, extra):
    where = fields.address(entry, address)
    entry_of = catalogue.gpus.get(
        f'{function.vendor_id}:{function.product_id}', {})
    link = entry.get('link')
    if link is not None and not isinstance(link, dict):
        raise fields.MalformedError('link is not a mapping')
    more = extra.get(where, {})
    return machines.Gpu(
        function.vendor_id, function.product_id,
        catalogue.vendor(function.vendor_id),
        model=entry_of.get('model') or more.get('model'),
        memory_gib=entry_of.get('memory_gib') or more.get('memory_gib'),
        address=where, numa_node=fields.number(entry, numa_node, 1023),
        link_width=fields.number(link or {}, 'width', 32),
        nvlinks=more.get('nvlinks'))


def _nvml(data):
    """What NVIDIA's driver says, by address, and whether NVLinks are up."""
    if data is None:
        return {}, False
    if not isinstance(data, dict):
        raise fields.MalformedError('nvml is not a mapping')
    found = {}
    for entry in fields.entries(data.get('gpus'), 'nvml gpus', MAX_GPUS):
        links = entry.get('nvlinks')
        if links is not None and not isinstance(links, dict):
            raise fields.MalformedError('nvlinks is not a mapping')
        found[fields.address(entry, 'address')] = {
            'model': word(fields.text(entry, 'name') or ''),
            'memory_gib': _gib(entry),
            'nvlinks': fields.number(links or {}, 'active', 64)}
    return found, any(entry['nvlinks'] for entry in found.values())


def _from_processor(entry):
    maker = word(fields.text(entry, 'manufacturer') or '') or 'UNKNOWN'
    vendor = next((name for prefix, name in _MAKERS.items()
                   if maker.startswith(prefix)), maker.split('_')[0])
    return machines.Gpu(
        None, None, vendor,
        model=word(fields.text(entry, 'model') or '') or 'UNKNOWN',
        memory_gib=_gib(entry))


def _gib(entry):
    """GiB out of ``memory_mib``, to the nearest."""
    mib = fields.number(entry, 'memory_mib', 2 ** 28)
    return round(mib / 1024) or None if mib else None


def _machine(catalogue, gpus, others, name, nvlink):
    facts = [catalogue.gpus.get(f'{gpu.vendor_id}:{gpu.product_id}', {})
             for gpu in gpus]
    nvswitch = bool(gpus) and any(
        catalogue.is_switched(function) for function in [*gpus, *others])
    return machines.Machine(
        tuple(gpus), name, nvswitch=nvswitch,
        nvlink=len(gpus) > 1 and (
            nvlink or nvswitch or all(f.get('nvlink') for f in facts)),
        mig=bool(gpus) and all(f.get('mig') for f in facts))
