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


"""GPUs as NVIDIA's driver sees them, from ``nvidia-smi``."""

import dataclasses
import re

from ai_factory_plugins.inventory import errors
from ai_factory_plugins.inventory import fmpm

MAX_BYTES = 4 * 1024 * 1024
_GPU_HEAD = re.compile(r'GPU ([0-9A-Fa-f:.]+)\s*')
_NVLINK = re.compile(r'NV[0-9]+')
_LABEL = re.compile(r'GPU([0-9]{1,3})')
# What it prints, with exit status 6, where no GPU is bound to the driver.
_NONE = 'No devices were found'


@dataclasses.dataclass(frozen=True)
class SmiGpu:
    """One GPU of ``nvidia-smi -q``.

    :param address: PCI address as sysfs names it
    :param module_id: id of the GPU module on its board, or None
    :param uuid: the GPU's uuid, or None
    """

    address: str
    module_id: int | None = None
    uuid: str | None = None


def parse_query(text, source='nvidia-smi -q'):
    """Read the output of ``nvidia-smi -q``.

    The module id stands in the GPU's block as ``Module ID``, and since R580
    below ``Platform Info`` as ``Module Id``.

    :param text: the output
    :param source: what to call it in an error
    :returns: list of :class:`SmiGpu` in the order of the output
    :raises InventoryError: it is not the documented output
    """
    _check_size(text, source)
    gpus, fields = [], None
    for line in text.splitlines():
        head = _GPU_HEAD.fullmatch(line)
        if head is not None:
            address = fmpm.pci_address(head[1])
            if address is None:
                raise errors.InventoryError(
                    f'{source}: {head[1]!r:.40} is not a PCI bus id')
            fields = {'address': address}
            gpus.append(fields)
            continue
        if fields is None or not line[:1].isspace():
            continue
        name, value = (text.strip() for text in line.partition(':')[::2])
        name = name.lower()
        if name == 'module id' and value != 'N/A':
            fields['module_id'] = _module(value, source, fields['address'])
        elif name == 'gpu uuid':
            fields['uuid'] = value
    if not gpus and 'NVSMI LOG' not in text and text.strip() != _NONE:
        raise errors.InventoryError(
            f'{source}: this is not the output of nvidia-smi -q')
    addresses = [fields['address'] for fields in gpus]
    if len(set(addresses)) != len(addresses):
        raise errors.InventoryError(f'{source}: a GPU stands there twice')
    return [SmiGpu(**fields) for fields in gpus]


def parse_topo(text, source='nvidia-smi topo -m'):
    """Read which GPUs NVLink joins from ``nvidia-smi topo -m``.

    :param text: the output
    :param source: what to call it in an error
    :returns: list of sets of GPU indices, in the tool's own numbering, of
        which each GPU has NVLinks to every other
    :raises InventoryError: it is not the documented output, or GPUs are
        joined in a chain and not each to each
    """
    _check_size(text, source)
    rows = {}
    for line in text.splitlines():
        name, *cells = line.split('\t')
        label = _LABEL.fullmatch(name.strip())
        if label is not None and cells:
            rows[int(label[1])] = [cell.strip() for cell in cells]
    if not rows or sorted(rows) != list(range(len(rows))) or any(
            len(cells) < len(rows) for cells in rows.values()):
        raise errors.InventoryError(
            f'{source}: there is no matrix of GPUs in it')
    joined = {
        i: frozenset(j for j in rows
                     if i == j or _NVLINK.fullmatch(rows[i][j]))
        for i in rows}
    for i, others in joined.items():
        if any(joined[j] != others for j in others):
            raise errors.InventoryError(
                f'{source}: NVLink joins GPU{i} to {sorted(others - {i})}, '
                'which are not joined each to each')
    return sorted({group for group in joined.values() if len(group) > 1},
                  key=min)


def _module(value, source, address):
    if not re.fullmatch('[0-9]{1,5}', value):
        raise errors.InventoryError(
            f'{source}: module id {value!r:.40} of {address} is not a number')
    return int(value)


def _check_size(text, source):
    if len(text) > MAX_BYTES:
        raise errors.InventoryError(
            f'{source}: more than {MAX_BYTES} characters')
