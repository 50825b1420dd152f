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


"""GPU boards for machines that have none.

A board is written down once, as facts with their source, in ``board_data/``.
From it come the files that the inventory reads on a real machine, in the form
in which the kernel and NVIDIA's tools give them. Nothing above that knows
that the board is not there.

``python -m ai_factory_plugins.testing.boards NAME DIRECTORY`` writes them.
"""

import argparse
import dataclasses
import importlib.resources
import json
import os
import pathlib

import yaml

_DATA = importlib.resources.files(__package__) / 'board_data'
_SUFFIX = '.yaml'

# What the kernel calls them (Linux Documentation/ABI/testing/sysfs-bus-pci).
_CLASSES = {'gpus': 0x030200, 'nvswitches': 0x068000, 'nics': 0x020700}
_BRIDGE_CLASS = 0x060400
_BRIDGE_ID = '1000:c030'
# Fabric Manager's answer for a GPU whose bus id it does not resolve.
_UNRESOLVED = '00000000:00:00.0'


@dataclasses.dataclass(frozen=True)
class BoardSpec:
    """The facts of one board.

    :param name: name of the file
    :param product: the vendor's product name
    :param gpus: dicts of ``address``, ``id`` (``vendor:product``),
        ``numa_node``, ``switch``, on a board with NVSwitches ``module_id``,
        and where they apply ``class`` and ``sriov_totalvfs``
    :param nvlinks: NVLinks of a GPU that is joined
    :param failed_links: how many of a GPU's NVLinks are down, by module id
    :param bus_ids: whether Fabric Manager resolves them
    :param partitions: dicts of ``id`` and ``modules``
    :param bridges: lists of places in ``gpus`` that NVLink bridges join
    :param nvswitches: dicts of ``address``, ``id`` and ``numa_node``
    :param nics: dicts of ``address``, ``id``, ``numa_node`` and ``switch``
    """

    name: str
    product: str
    gpus: list
    nvlinks: int = 0
    failed_links: dict = dataclasses.field(default_factory=dict)
    bus_ids: bool = False
    partitions: list = ()
    bridges: list = ()
    nvswitches: list = ()
    nics: list = ()


def names():
    """The boards that there are."""
    return sorted(
        item.name[:-len(_SUFFIX)] for item in _DATA.iterdir()
        if item.name.endswith(_SUFFIX))


def load(name):
    """Read the facts of a board.

    :param name: one of :func:`names`
    :returns: a :class:`BoardSpec`
    :raises KeyError: there is no such board
    """
    if name not in names():
        raise KeyError(f'no board {name!r}; there are {", ".join(names())}')
    return BoardSpec(name=name, **_facts(name))


def _facts(name):
    """The facts of a file, laid over those of the file that it is like."""
    facts = yaml.safe_load((_DATA / (name + _SUFFIX)).read_text())
    like = facts.pop('like', None)
    if like is not None:
        facts = {**_facts(like), **facts}
    nodes = facts.pop('numa_nodes', None)
    if nodes is not None:
        facts['gpus'] = [{**gpu, 'numa_node': node}
                         for gpu, node in zip(facts['gpus'], nodes)]
    return facts


def write_capture(spec, directory):
    """Write what the kernel and the tools would say on such a machine.

    Writes ``sys/`` (a sysfs root), for NVIDIA's GPUs ``nvidia-smi-q.txt`` and
    ``nvidia-smi-topo.txt``, and for a board with partitions ``fmpm.json``.

    :param spec: a :class:`BoardSpec`
    :param directory: where to; made if it is not there
    """
    directory = pathlib.Path(directory)
    directory.mkdir(parents=True, exist_ok=True)
    _write_sysfs(spec, directory / 'sys')
    if all(gpu['id'].startswith('10de:') for gpu in spec.gpus):
        (directory / 'nvidia-smi-q.txt').write_text(_nvidia_smi_query(spec))
        (directory / 'nvidia-smi-topo.txt').write_text(_nvidia_smi_topo(spec))
    if spec.partitions:
        (directory / 'fmpm.json').write_text(_fmpm_list(spec))


def _write_sysfs(spec, root):
    used = {item['address'][5:7] for kind in _CLASSES
            for item in getattr(spec, kind)}
    buses = (f'{n:02x}' for n in range(0x50, 0xff) if f'{n:02x}' not in used)
    switches = {}
    for kind, class_code in _CLASSES.items():
        for item in getattr(spec, kind):
            path = _behind(switches, item, buses, root)
            _write_device(root, path / item['address'], item['id'],
                          item.get('class', class_code), item['numa_node'],
                          item.get('sriov_totalvfs'))


def _behind(switches, item, buses, root):
    """Make the bridges above a device, once for each switch."""
    name = item.get('switch', item['address'])
    if name not in switches:
        port, upstream = next(buses), next(buses)
        path = pathlib.Path(f'devices/pci0000:{port}')
        for address in (f'0000:{port}:01.0', f'0000:{upstream}:00.0'):
            path /= address
            _write_device(root, path, _BRIDGE_ID, _BRIDGE_CLASS,
                          item['numa_node'])
        switches[name] = (path, [])
    path, below = switches[name]
    below.append(item)
    path /= f'0000:{next(buses)}:{len(below) - 1:02x}.0'
    _write_device(root, path, _BRIDGE_ID, _BRIDGE_CLASS, item['numa_node'])
    return path


def _write_device(root, path, id_, class_code, numa_node, sriov=None):
    vendor, product = id_.split(':')
    target = root / path
    target.mkdir(parents=True, exist_ok=True)
    for name, value in (
            ('vendor', f'0x{vendor}'), ('device', f'0x{product}'),
            ('class', f'0x{class_code:06x}'), ('numa_node', numa_node)):
        (target / name).write_text(f'{value}\n')
    if sriov is not None:
        (target / 'sriov_totalvfs').write_text(f'{sriov}\n')
    links = root / 'bus/pci/devices'
    links.mkdir(parents=True, exist_ok=True)
    link = links / path.name
    if not link.is_symlink():
        link.symlink_to(os.path.relpath(target, links))


def _long_address(address):
    """The form of NVIDIA's tools: eight digits of domain, upper case."""
    return '0000' + address.upper()


def _nvidia_smi_query(spec):
    lines = ['', '==============NVSMI LOG==============', '']
    lines += [_field(0, 'Driver Version', '570.86.10'),
              _field(0, 'CUDA Version', '12.8'), '',
              _field(0, 'Attached GPUs', len(spec.gpus))]
    for i, gpu in enumerate(spec.gpus):
        lines += [
            f'GPU {_long_address(gpu["address"])}',
            _field(4, 'Product Name', spec.product),
            _field(4, 'GPU UUID', f'GPU-{i:08x}-0000-0000-0000-000000000000'),
            _field(4, 'Minor Number', i),
            _field(4, 'Module ID', gpu.get('module_id', 'N/A')),
            '    PCI',
            _field(8, 'Bus', f'0x{gpu["address"][5:7].upper()}'),
            _field(8, 'Bus Id', _long_address(gpu['address'])), '']
    return '\n'.join(lines)


def _field(indent, name, value):
    return f'{" " * indent}{name}'.ljust(51) + f': {value}'


def _nvidia_smi_topo(spec):
    count = len(spec.gpus)
    head = [f'GPU{i}' for i in range(count)]
    lines = ['\t' + '\t'.join([*head, 'CPU Affinity', 'NUMA Affinity'])]
    for i, gpu in enumerate(spec.gpus):
        cells = [_path(spec, i, j) for j in range(count)]
        lines.append('\t'.join([f'GPU{i}', *cells, '', str(gpu['numa_node'])]))
    return '\n'.join([*lines, '', 'Legend:', '', '  X    = Self', ''])


def _path(spec, i, j):
    if i == j:
        return ' X '
    one, other = spec.gpus[i], spec.gpus[j]
    if spec.partitions or any(
            i in bridge and j in bridge for bridge in spec.bridges):
        return f'NV{spec.nvlinks}'
    if one.get('switch') == other.get('switch'):
        return 'PIX'
    return 'NODE' if one['numa_node'] == other['numa_node'] else 'SYS'


def _fmpm_list(spec):
    return json.dumps({
        'version': 16909068,
        'numPartitions': len(spec.partitions),
        'maxNumPartitions': len(spec.partitions),
        'partitionInfo': [{
            'partitionId': partition['id'],
            'isActive': 0,
            'numGpus': len(partition['modules']),
            'gpuInfo': [
                _fmpm_gpu(spec, partition, module)
                for module in partition['modules']],
        } for partition in spec.partitions]}, indent=3)


def _fmpm_gpu(spec, partition, module):
    # A GPU that is alone has no NVLinks to use.
    links = spec.nvlinks if len(partition['modules']) > 1 else 0
    failed = spec.failed_links.get(module, 0)
    return {
        'physicalId': module, 'uuid': '', 'pciBusId': _bus_id(spec, module),
        'numNvLinksAvailable': max(0, links - failed),
        'maxNumNvLinks': links, 'nvlinkLineRateMBps': 26562}


def _bus_id(spec, module):
    if not spec.bus_ids:
        return _UNRESOLVED
    address, = (gpu['address'] for gpu in spec.gpus
                if gpu['module_id'] == module)
    return _long_address(address)


def main(args=None):
    parser = argparse.ArgumentParser(
        prog='python -m ' + __spec__.name,
        description='Write what the kernel and the tools would say on a '
                    'machine with a board.')
    parser.add_argument('name', choices=names())
    parser.add_argument('directory')
    parsed = parser.parse_args(args)
    write_capture(load(parsed.name), parsed.directory)


if __name__ == '__main__':
    main()
