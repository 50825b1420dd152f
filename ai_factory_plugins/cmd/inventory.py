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


"""``ai-factory-inventory``: what the GPUs of this machine are joined by."""

import argparse
import os
import pathlib
import re
import shutil
import subprocess
import sys

from ai_factory_plugins.inventory import capture
from ai_factory_plugins.inventory import catalogue
from ai_factory_plugins.inventory import errors
from ai_factory_plugins.inventory import files
from ai_factory_plugins.inventory import nova_conf
from ai_factory_plugins.inventory import render
from ai_factory_plugins.inventory import store
from ai_factory_plugins.inventory import sysfs
from ai_factory_plugins.topology import wire

TIMEOUT = 60
_NVIDIA = '10de'
# Base class of network controllers (PCI Code and ID Assignment, section 1.3).
_NETWORK = 0x02
COMMANDS = {
    'fmpm': ['fmpm', '-l'],
    'query': ['nvidia-smi', '-q'],
    'topo': ['nvidia-smi', 'topo', '-m'],
}


def main(argv=None):
    """Run the command.

    :param argv: arguments, default those of the process
    :returns: exit status: 0, or 1 where the machine cannot be understood
    """
    try:
        sys.stdout.write(run(argv))
    except (errors.InventoryError, wire.WireError) as exc:
        _note(' '.join(str(exc).split()))
        return 1
    return 0


def run(argv=None):
    """Do what the command does, but for printing.

    :param argv: arguments, default those of the process
    :returns: what the command prints
    :raises InventoryError: the machine cannot be understood
    """
    args = _parser().parse_args(argv)
    board = _board(args)
    if args.save_map:
        _save(args.save_map, board)
    return _text(args, board)


def _parser():
    parser = argparse.ArgumentParser(
        prog='ai-factory-inventory',
        description='Read which GPUs this machine has and what joins them, '
                    'and print it, or the nova.conf lines that tell Nova. '
                    'Without the options that name files, the real tools are '
                    'run where they are installed.')
    parser.add_argument(
        '-f', '--format', choices=('table', 'json', 'nova', 'picture'),
        default='table', help='what to print (default: %(default)s)')
    parser.add_argument(
        '--sysfs-root', default='/sys', metavar='DIR',
        help='where sysfs is mounted, or a copy of it (default: %(default)s)')
    parser.add_argument(
        '--fmpm', metavar='FILE', help='output of "fmpm -l", - for stdin')
    parser.add_argument(
        '--nvidia-smi', metavar='FILE', dest='query',
        help='output of "nvidia-smi -q"')
    parser.add_argument(
        '--topo', metavar='FILE', help='output of "nvidia-smi topo -m"')
    parser.add_argument(
        '--map', metavar='FILE', dest='kept',
        help='map saved earlier, for GPUs that the driver no longer sees '
             'because they are bound to vfio-pci')
    parser.add_argument(
        '--save-map', metavar='FILE', help='save the map for --map')
    parser.add_argument(
        '--nics', metavar='VENDOR:PRODUCT', action='append', default=[],
        type=_pci_id,
        help='with -f nova, lines for the NICs with these PCI ids as well '
             '(15b3:101e), as far as they are below a PCIe switch of a GPU; '
             'may be given several times')
    parser.add_argument(
        '--catalogue', metavar='FILE',
        help='YAML file with further PCI ids, see the documentation')
    return parser


def _board(args):
    # Files are of one machine, which need not be this one: as soon as any is
    # given, nothing is asked of this one's tools.
    run = not (args.fmpm or args.query or args.topo) and (
        args.sysfs_root == '/sys')
    texts = {}
    for name in COMMANDS:
        path = getattr(args, name)
        if path:
            texts[name] = _read(path)
        elif run:
            texts[name] = _run(COMMANDS[name], optional=args.kept)
    kept = None
    if args.kept:
        kept = store.load(_read(args.kept), args.kept)
    return capture.read(
        capture.Capture(sysfs_root=args.sysfs_root, **texts), kept,
        catalogue.load(args.catalogue))


def _read(path):
    return files.read_text('/dev/stdin' if path == '-' else path)


def _note(text):
    print(f'ai-factory-inventory: {text}', file=sys.stderr)


def _run(command, optional=False):
    """Output of a tool, or None where it is not installed.

    :param optional: go on also if it fails, as nvidia-smi does once no GPU
        is bound to the driver
    """
    if shutil.which(command[0]) is None:
        _note(f'{command[0]} is not installed; going on without it')
        return None
    try:
        return _output(command)
    except errors.InventoryError as exc:
        if not optional:
            raise
        _note(f'{exc}; going on with the kept map')
        return None


def _output(command):
    try:
        done = subprocess.run(
            command, capture_output=True, text=True, timeout=TIMEOUT,
            env={**os.environ, 'LC_ALL': 'C'})
    except (OSError, subprocess.TimeoutExpired) as exc:
        raise errors.InventoryError(f'{" ".join(command)}: {exc}') from exc
    if done.returncode:
        raise errors.InventoryError(
            f'{" ".join(command)}: exit status {done.returncode}: '
            f'{(done.stderr or done.stdout).strip()[-500:]}')
    return done.stdout


def _text(args, board):
    if args.format == 'json':
        return store.dump(board)
    if args.format == 'picture':
        return render.picture(board)
    if args.format == 'nova':
        devices = sysfs.read_pci_devices(args.sysfs_root)
        sriov = {device.address for device in devices if device.sriov_totalvfs}
        return nova_conf.section(board, sriov, _nics(args, board, devices))
    return render.table(board)


def _pci_id(text):
    if not re.fullmatch('[0-9a-f]{4}:[0-9a-f]{4}', text.lower()):
        raise argparse.ArgumentTypeError(
            f'{text!r} is not vendor:product, as in 15b3:101e')
    return text.lower()


def _nics(args, board, devices):
    gpus = [item for item in devices if item.address in board.by_address]
    found = []
    for id_ in args.nics:
        nics = [item for item in devices
                if f'{item.vendor_id}:{item.product_id}' == id_
                and item.class_code >> 16 == _NETWORK]
        near = sysfs.near(nics, gpus)
        if not near:
            raise errors.InventoryError(
                f'{id_}: of {len(nics)} such NICs none is below a PCIe '
                'switch of a GPU')
        found.extend(near)
    return found


def _save(path, board):
    # Only the driver knows uuids, so a GPU without one was not seen by it.
    unseen = [gpu.address for gpu in board.gpus
              if gpu.vendor_id == _NVIDIA and gpu.uuid is None]
    if unseen:
        raise errors.InventoryError(
            f'{path}: not saved: the driver does not see {unseen}, and a map '
            'without them is of no use')
    path = pathlib.Path(path)
    try:
        # Replaced at once: half a map is worse than an old one.
        temporary = path.with_name(path.name + '.new')
        temporary.write_text(store.dump(board))
        temporary.replace(path)
    except (OSError, ValueError) as exc:
        raise errors.InventoryError(f'{path}: {exc}') from exc


if __name__ == '__main__':
    sys.exit(main())
