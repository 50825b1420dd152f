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


"""The tag that carries a GPU's topology from its host to the scheduler.

Nova hands unknown keys of a ``[pci]device_spec`` line on to the scheduler, as
keys of the device's pool in ``HostState.pci_stats.pools``. One such key,
:data:`TAG_KEY`, carries all that a device knows about itself::

    v1 module=5 partitions=0:8,2:4,5:2,11:1 degraded=5 switches=0000.0c.00.0

Words are separated by spaces; the first is the version of the format, the
others are ``name=value`` in any order, none of them mandatory:

``module``
    id of the GPU module on its board, a decimal number
``partitions``
    ``id:size`` of each partition that the GPU is a member of (exact sets)
``degraded``
    the ids out of ``partitions`` that lack NVLinks
``nvlink``, ``pcie``
    ``id:size`` of each affinity group at that level (any subset is joined);
    an id consists of letters, digits, ``.``, ``_`` and ``-``

``switches``
    ids of the PCIe switches above the device, outermost first, between
    slashes

A NIC that is meant for GPUDirect carries a tag as well, under
:data:`NIC_TAG_KEY`, of which only ``switches`` is of use.

A reader refuses a version that it does not know and every malformed tag: a
guess would join GPUs that nothing joins.
"""

import dataclasses
import functools
import re

from ai_factory_plugins.topology import model

TAG_KEY = 'ai_factory_gpu'
NIC_TAG_KEY = 'ai_factory_nic'
VERSION = 'v1'

MAX_LENGTH = 4096
MAX_SIZE = 256
MAX_ID = 2 ** 32 - 1

_GROUP_FIELDS = {'nvlink': model.Level.NVLINK, 'pcie': model.Level.PCIE}
_GROUP_ID = re.compile(r'[A-Za-z0-9._-]{1,64}')
_NUMBER = re.compile(r'[0-9]{1,10}')


class WireError(ValueError):
    """The tag is malformed."""


class UnknownVersion(WireError):
    """The tag is of a version that this release does not know."""


def encode(device):
    """Write the tag of one device.

    :param device: a :class:`~ai_factory_plugins.topology.model.Device`
    :returns: the tag's text; its key and NUMA node are not part of it, since
        Nova carries the address and the NUMA node itself
    :raises WireError: the device has a value that the format cannot carry
    """
    device = dataclasses.replace(
        device, partitions=tuple(sorted(device.partitions)),
        groups=tuple(sorted(device.groups)))
    words = [VERSION]
    if device.module_id is not None:
        words.append(f'module={device.module_id}')
    if device.partitions:
        words.append('partitions=' + ','.join(
            f'{ref.id}:{ref.size}' for ref in device.partitions))
    degraded = [str(ref.id) for ref in device.partitions if ref.degraded]
    if degraded:
        words.append('degraded=' + ','.join(degraded))
    for name, level in _GROUP_FIELDS.items():
        refs = [ref for ref in device.groups if ref.level == level]
        if refs:
            words.append(f'{name}=' + ','.join(
                f'{ref.id}:{ref.size}' for ref in refs))
    if device.switches:
        words.append('switches=' + '/'.join(device.switches))
    text = ' '.join(words)
    # What cannot be read back must not be written.
    if decode(text, device.key, device.numa_node) != device:
        raise WireError(f'the tag format cannot carry {device!r}')
    return text


def decode(text, key, numa_node=None):
    """Read the tag of one device.

    :param text: the tag's text
    :param key: what the caller calls the device
    :param numa_node: NUMA node of the device, or None
    :returns: a :class:`~ai_factory_plugins.topology.model.Device`
    :raises UnknownVersion: the version is not one of this release's
    :raises WireError: the tag is malformed
    """
    if not isinstance(text, str) or len(text) > MAX_LENGTH:
        raise WireError(
            f'not a text of at most {MAX_LENGTH} characters: {text!r:.80}')
    return model.Device(key, numa_node, *_parse(text))


# The hosts of a cloud are few models, and each tells the same tags again.
@functools.lru_cache(maxsize=4096)
def _parse(text):
    version, *words = text.split(' ')
    if version != VERSION:
        raise UnknownVersion(
            f'version {version!r:.80} is not known, expected {VERSION!r}')
    fields = _fields(words)
    degraded = _ids(fields.pop('degraded', None))
    partitions = tuple(sorted(
        model.PartitionRef(_number(id_), size, _number(id_) in degraded)
        for id_, size in _sized(fields.pop('partitions', None))))
    _refuse_repeated('partition', [ref.id for ref in partitions])
    strangers = degraded - {ref.id for ref in partitions}
    if strangers:
        raise WireError(f'degraded names no partition of this GPU: '
                        f'{sorted(strangers)}')
    module = fields.pop('module', None)
    groups = []
    for name, level in _GROUP_FIELDS.items():
        groups.extend(_groups(level, fields.pop(name, None)))
    switches = _switches(fields.pop('switches', None))
    if fields:
        raise WireError(f'unknown fields {sorted(fields)}')
    return (None if module is None else _number(module),
            partitions, tuple(sorted(groups)), switches)


def _fields(words):
    fields = {}
    for word in words:
        name, found, value = word.partition('=')
        if not found or not value or name in fields:
            raise WireError(f'{word!r:.80} is not name=value, or is repeated')
        fields[name] = value
    return fields


def _number(text):
    if not _NUMBER.fullmatch(text) or int(text) > MAX_ID:
        raise WireError(f'{text!r:.80} is not a number from 0 to {MAX_ID}')
    return int(text)


def _ids(text):
    ids = [_number(item) for item in text.split(',')] if text else []
    _refuse_repeated('degraded partition', ids)
    return frozenset(ids)


def _sized(text):
    """Split ``id:size,id:size`` into pairs of text and checked size."""
    pairs = []
    for item in text.split(',') if text else ():
        id_, found, size = item.rpartition(':')
        if not found or not 1 <= _number(size) <= MAX_SIZE:
            raise WireError(
                f'{item!r:.80} is not id:size with a size up to {MAX_SIZE}')
        pairs.append((id_, _number(size)))
    return pairs


def _switches(text):
    switches = tuple(text.split('/')) if text else ()
    for id_ in switches:
        if not _GROUP_ID.fullmatch(id_):
            raise WireError(f'{id_!r:.80} is not the id of a switch')
    _refuse_repeated('switch', switches)
    return switches


def _groups(level, text):
    groups = []
    for id_, size in _sized(text):
        if not _GROUP_ID.fullmatch(id_):
            raise WireError(f'{id_!r:.80} is not a group id')
        groups.append(model.GroupRef(level, id_, size))
    _refuse_repeated(f'{level.name} group', [ref.id for ref in groups])
    return groups


def _refuse_repeated(what, ids):
    if len(set(ids)) != len(ids):
        raise WireError(f'a {what} is named twice: {ids}')
