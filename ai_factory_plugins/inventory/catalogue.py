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


"""Which PCI devices are GPUs, and what they are called."""

import dataclasses
import importlib.resources
import re

import yaml

from ai_factory_plugins.inventory import errors
from ai_factory_plugins.inventory import files

_ID = re.compile(r'[0-9a-f]{4}:[0-9a-f]{4}')
_MODEL = re.compile(r'[A-Z0-9][A-Z0-9_]{0,63}')
_FIELDS = ('gpu_classes', 'ignored_vendors', 'vendors', 'gpus', 'nvswitches')
_FLAGS = ('nvswitch', 'nvlink', 'mig')


@dataclasses.dataclass(frozen=True)
class Catalogue:
    """What is known about PCI ids.

    :param gpu_classes: base class and subclass of GPUs, as hexadecimal text
    :param ignored_vendors: vendor ids whose display controllers are no GPUs
    :param gpus: dict of ``vendor:product`` to a dict with ``model``, where it
        is known ``memory_gib``, and flags that are true: ``nvswitch`` for a
        GPU that comes only on boards whose NVSwitches are no PCI devices,
        ``nvlink`` for one that comes only on boards where NVLink joins them,
        ``mig`` for one that can be cut into MIG instances
    :param nvswitches: the same for NVSwitches
    :param vendors: names of vendors, by vendor id
    """

    gpu_classes: frozenset
    ignored_vendors: frozenset
    gpus: dict
    nvswitches: dict
    vendors: dict

    def is_gpu(self, device):
        """Whether a PCI device is a GPU to hand out.

        :param device: a :class:`~ai_factory_plugins.inventory.sysfs.PciDevice`
        """
        if f'{device.vendor_id}:{device.product_id}' in self.gpus:
            return True
        return (f'{device.class_code >> 8:04x}' in self.gpu_classes
                and device.vendor_id not in self.ignored_vendors)

    def is_switched(self, device):
        """Whether a PCI device shows that NVSwitches join the GPUs.

        :param device: a :class:`~ai_factory_plugins.inventory.sysfs.PciDevice`
        """
        id_ = f'{device.vendor_id}:{device.product_id}'
        return (id_ in self.nvswitches
                or self.gpus.get(id_, {}).get('nvswitch', False))

    def model(self, vendor_id, product_id):
        """Name of a GPU model (``H100_SXM5_80GB``), or None if unknown."""
        entry = self.gpus.get(f'{vendor_id}:{product_id}')
        return entry['model'] if entry else None

    def vendor(self, vendor_id):
        """Name of a vendor, which is its id in upper case if unknown."""
        return self.vendors.get(vendor_id) or vendor_id.upper()


def load(override=None):
    """Read the catalogue that comes with the package.

    :param override: path of a YAML file of the same form, whose entries are
        added to it and win over it
    :returns: a :class:`Catalogue`
    :raises InventoryError: a file cannot be read or is not of the form
    """
    own = importlib.resources.files(__package__) / 'catalogue.yaml'
    facts = _checked(own.read_text(), own.name)
    if override is not None:
        extra = _checked(files.read_text(override), override)
        for name in _FIELDS:
            if isinstance(facts[name], dict):
                facts[name].update(extra[name])
            else:
                facts[name] = facts[name] + extra[name]
    return Catalogue(
        gpu_classes=frozenset(facts['gpu_classes']),
        ignored_vendors=frozenset(facts['ignored_vendors']),
        gpus=facts['gpus'], nvswitches=facts['nvswitches'],
        vendors=facts['vendors'])


def _checked(text, source):
    try:
        facts = yaml.safe_load(text)
    except (yaml.YAMLError, RecursionError, ValueError) as exc:
        raise errors.InventoryError(f'{source}: not YAML: {exc}') from exc
    if not isinstance(facts, dict) or set(facts) - set(_FIELDS):
        raise errors.InventoryError(
            f'{source}: expected a mapping with some of {", ".join(_FIELDS)}')
    for name in ('gpu_classes', 'ignored_vendors'):
        values = facts.setdefault(name, [])
        if not isinstance(values, list) or not all(
                isinstance(value, str)
                and re.fullmatch('[0-9a-f]{4}', value) for value in values):
            raise errors.InventoryError(
                f'{source}: {name} is not a list of four hexadecimal digits '
                'in quotes')
    vendors = facts.setdefault('vendors', {})
    if not isinstance(vendors, dict) or not all(
            isinstance(key, str) and re.fullmatch('[0-9a-f]{4}', key)
            and isinstance(value, str) and _MODEL.fullmatch(value)
            for key, value in vendors.items()):
        raise errors.InventoryError(
            f"{source}: vendors is not a mapping of 'vvvv' to UPPER_CASE")
    for name in ('gpus', 'nvswitches'):
        entries = facts.setdefault(name, {})
        if not isinstance(entries, dict):
            raise errors.InventoryError(f'{source}: {name} is not a mapping')
        for id_, entry in entries.items():
            _check_entry(source, name, id_, entry)
    return facts


def _check_entry(source, name, id_, entry):
    memory = entry.get('memory_gib', 1) if isinstance(entry, dict) else None
    if not (isinstance(id_, str) and _ID.fullmatch(id_)
            and isinstance(entry, dict)
            and not set(entry) - {'model', 'memory_gib', *_FLAGS}
            and all(isinstance(entry.get(flag, False), bool)
                    for flag in _FLAGS)
            and isinstance(entry.get('model'), str)
            and _MODEL.fullmatch(entry['model'])
            and type(memory) is int and 0 < memory < 100000):
        raise errors.InventoryError(
            f'{source}: {name}: {id_!r:.40}: {entry!r:.80} is not '
            "'vvvv:dddd': {model: UPPER_CASE, memory_gib: NUMBER}, "
            f'with {", ".join(_FLAGS)}: true or false where it applies')
