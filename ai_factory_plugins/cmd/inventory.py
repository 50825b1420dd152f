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
import shutil
import subprocess
import sys

from ai_factory_plugins.inventory import capture
from ai_factory_plugins.inventory import catalogue
from ai_factory_plugins.inventory import errors
from ai_factory_plugins.inventory import nova_conf
from ai_factory_plugins.inventory import render
from ai_factory_plugins.inventory import store
from ai_factory_plugins.inventory import sysfs
from ai_factory_plugins.topology import wire

TIMEOUT = 60
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
        print(f'ai-factory-inventory: {exc}', file=sys.stderr)
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
        _write(args.save_map, store.dump(board))
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
        '--fmpm', metavar='FILE', help='output of "fmpm -l"')
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
            texts[name] = capture.read_text(path)
        elif run:
            texts[name] = _run(COMMANDS[name])
    kept = None
    if args.kept:
        kept = store.load(capture.read_text(args.kept), args.kept)
    return capture.read(
        capture.Capture(sysfs_root=args.sysfs_root, **texts), kept,
        catalogue.load(args.catalogue))


def _run(command):
    """Output of a tool, or None where it is not installed."""
    if shutil.which(command[0]) is None:
        print(f'ai-factory-inventory: {command[0]} is not installed; going '
              'on without it', file=sys.stderr)
        return None
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
        sriov = {device.address
                 for device in sysfs.read_pci_devices(args.sysfs_root)
                 if device.sriov_totalvfs}
        return nova_conf.section(board, sriov)
    return render.table(board)


def _write(path, text):
    """Replace a file at once: half a map is worse than an old one."""
    path = pathlib.Path(path)
    temporary = path.with_name(path.name + '.new')
    try:
        temporary.write_text(text)
        temporary.replace(path)
    except OSError as exc:
        raise errors.InventoryError(f'{path}: {exc.strerror}') from exc


if __name__ == '__main__':
    sys.exit(main())
