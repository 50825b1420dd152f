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


"""A board as a picture in text, for a terminal of 100 columns."""

import collections

from ai_factory_plugins.topology import model

_WIDTH = 100
_CELL = 10
_LEVELS = {model.Level.NVLINK: 'NVLink', model.Level.PCIE: 'PCIe switch'}


def table(board):
    """The GPUs of a board, a line each.

    :param board: a :class:`~ai_factory_plugins.topology.model.Board`
    :returns: text
    """
    rows = [('ADDRESS', 'MODEL', 'NUMA', 'MODULE', 'PARTITIONS', 'GROUPS')]
    for gpu in board.gpus:
        device = board.device(gpu.address)
        rows.append((
            gpu.address, gpu.model or f'{gpu.vendor_id}:{gpu.product_id}',
            _known(gpu.numa_node), _known(gpu.module_id),
            ' '.join(f'{ref.id}{"!" if ref.degraded else ""}'
                     for ref in device.partitions) or '-',
            ' '.join(f'{_LEVELS[ref.level].split()[0].lower()}:{ref.id}'
                     for ref in device.groups) or '-'))
    widths = [max(map(len, column)) for column in zip(*rows)]
    return '\n'.join(
        '  '.join(cell.ljust(width) for cell, width in zip(row, widths))
        .rstrip() for row in rows) + '\n'


def picture(board, owners=None):
    """A board with its NUMA nodes, GPUs, and what joins them.

    :param board: a :class:`~ai_factory_plugins.topology.model.Board`
    :param owners: dict of PCI address to a label of up to seven characters
        for GPUs that are in use
    :returns: text
    """
    if not board.gpus:
        return 'no GPUs\n'
    owners = owners or {}
    order = _columns(board)
    lines = []
    for row in _rows(order):
        lines += _boxes(row, owners)
    if len(_rows(order)) == 1:
        lines += _partition_rows(board, order)
    else:
        lines += [
            f'partition {p.id}{"!" if p.degraded else ""}: '
            + ', '.join(_name(board, gpu) for gpu in order
                        if gpu.address in p.members)
            for p in board.partitions]
    for level, title in _LEVELS.items():
        for group in board.groups:
            if group.level == level:
                lines.append(
                    f'{title} {group.id} joins '
                    + ', '.join(_name(board, board.by_address[a])
                                for a in sorted(group.members)))
    return '\n'.join(line.rstrip() for line in lines) + '\n'


def _columns(board):
    """GPUs by NUMA node, and so that partitions are runs of columns."""
    def rank(gpu):
        numa = -1 if gpu.numa_node is None else gpu.numa_node
        mine = [min(p.members) for p in sorted(
            board.partitions, key=lambda p: -len(p.members))
            if gpu.address in p.members]
        return numa, mine, gpu.address
    return sorted(board.gpus, key=rank)


def _rows(order):
    """GPUs as many as stand side by side, with room for a bar's size."""
    rows, used = [[]], 0
    for gpu in order:
        before = rows[-1][-1] if rows[-1] else None
        used += _CELL
        if before is None or before.numa_node != gpu.numa_node:
            used += 3
        if used > _WIDTH - 5:
            rows.append([])
            used = _CELL + 3
        rows[-1].append(gpu)
    return rows


def _name(board, gpu):
    # PCIe cards have module ids as well, and all of them the same.
    if board.partitions and gpu.module_id is not None:
        return f'module {gpu.module_id}'
    return gpu.address


def _known(value):
    return '-' if value is None else str(value)


def _boxes(order, owners):
    nodes = collections.defaultdict(list)
    for gpu in order:
        nodes[gpu.numa_node].append(gpu)
    titles, rows = [], [[], [], []]
    for node, gpus in nodes.items():
        width = _CELL * len(gpus) - 1
        title = f' NUMA {_known(node)} '
        titles.append('+' + title.center(width, '-') + '+')
        for row, cell in zip(rows, (
                lambda gpu: '' if gpu.module_id is None
                else f'm{gpu.module_id}',
                lambda gpu: gpu.address.removeprefix('0000:'),
                lambda gpu: owners.get(gpu.address, 'free'))):
            row.append('|' + '|'.join(
                cell(gpu).center(9)[:9] for gpu in gpus) + '|')
    yield '  '.join(titles)
    for row in rows:
        yield '  '.join(row)
    yield '  '.join('+' + '-' * (len(title) - 2) + '+' for title in titles)


def _partition_rows(board, order):
    """Partitions as bars below the columns of their GPUs."""
    starts, column, node = {}, 0, order[0].numa_node if order else None
    for gpu in order:
        if gpu.numa_node != node:
            column, node = column + 3, gpu.numa_node
        starts[gpu.address] = column
        column += _CELL
    sizes = sorted({len(p.members) for p in board.partitions}, reverse=True)
    for size in sizes:
        pending = [p for p in board.partitions if len(p.members) == size]
        while pending:
            bar, left = [' '] * (column + 1), []
            for partition in pending:
                first = min(starts[a] for a in partition.members)
                last = max(starts[a] for a in partition.members) + _CELL
                if ''.join(bar[first:last + 1]).strip():
                    left.append(partition)
                    continue
                _draw(bar, partition, starts, first, last)
            yield ''.join(bar) + f'  x{size}'
            pending = left


def _draw(bar, partition, starts, first, last):
    inside = {address for address, start in starts.items()
              if first <= start < last}
    bar[first + 1:last] = '=' * (last - first - 1)
    for address in inside - partition.members:
        start = starts[address]
        bar[start + 1:start + 10] = '.' * 9
    bar[first + 1], bar[last - 1] = '[', ']'
    label = f' {partition.id}{"!" if partition.degraded else ""} '
    middle = (first + last - len(label)) // 2 + 1
    bar[middle:middle + len(label)] = label
