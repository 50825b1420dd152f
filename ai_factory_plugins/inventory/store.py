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


"""The kept map: a board as JSON.

``nvidia-smi`` no longer sees a GPU that is bound to vfio-pci, so what only
the driver tells has to be taken before, and kept.
"""

import dataclasses
import json

from ai_factory_plugins.inventory import errors
from ai_factory_plugins.topology import model

VERSION = 1


def dump(board):
    """Write a board.

    :param board: a :class:`~ai_factory_plugins.topology.model.Board`
    :returns: JSON text
    """
    return json.dumps({
        'version': VERSION,
        'gpus': [dataclasses.asdict(gpu) for gpu in board.gpus],
        'partitions': [
            {'id': p.id, 'members': sorted(p.members), 'degraded': p.degraded}
            for p in board.partitions],
        'groups': [
            {'level': g.level.name.lower(), 'id': g.id,
             'members': sorted(g.members)} for g in board.groups],
    }, indent=2) + '\n'


def load(text, source='the kept map'):
    """Read a board.

    :param text: JSON text as :func:`dump` writes it
    :param source: what to call it in an error
    :returns: a :class:`~ai_factory_plugins.topology.model.Board`
    :raises InventoryError: it is of another version or malformed
    """
    try:
        facts = json.loads(text)
        if facts['version'] != VERSION:
            raise ValueError(
                f'version {facts["version"]!r} is not known, '
                f'expected {VERSION}')
        return model.Board(
            gpus=tuple(_gpu(item) for item in facts['gpus']),
            partitions=tuple(
                model.Partition(
                    _typed(int, item['id']), _members(item),
                    _typed(bool, item['degraded']))
                for item in facts['partitions']),
            groups=tuple(
                model.AffinityGroup(
                    model.Level[item['level'].upper()],
                    _typed(str, item['id']), _members(item))
                for item in facts['groups']))
    except (AttributeError, KeyError, RecursionError, TypeError,
            ValueError) as exc:
        raise errors.InventoryError(
            f'{source}: not a map of a board: '
            f'{type(exc).__name__}: {exc}') from exc


def _gpu(item):
    gpu = model.Gpu(**{
        **item, 'switches': tuple(_typed(list, item.get('switches', [])))})
    for name in ('address', 'vendor_id', 'product_id'):
        _typed(str, getattr(gpu, name))
    for name in ('numa_node', 'module_id'):
        _typed((int, type(None)), getattr(gpu, name))
    for switch in gpu.switches:
        _typed(str, switch)
    for name in ('model', 'uuid'):
        _typed((str, type(None)), getattr(gpu, name))
    return gpu


def _members(item):
    return frozenset(
        _typed(str, member) for member in _typed(list, item['members']))


def _typed(kind, value):
    if not isinstance(value, kind):
        raise TypeError(f'{value!r:.40} is not a {kind}')
    return value
