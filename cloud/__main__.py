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


"""``python -m cloud``: start, look at, use and stop a cloud."""

import argparse
import os
import pathlib
import subprocess
import sys
import time

from rich import console as rich_console

from cloud import core
from cloud import errors
from cloud import process


def main():
    args = _parser().parse_args()
    cloud = core.Cloud(
        args.state_dir, args.port_offset,
        scheduler=getattr(args, 'scheduler', None))
    try:
        return args.run(cloud, args)
    except errors.CloudError as exc:
        print(f'cloud: {exc}', file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print('cloud: interrupted; stop what runs with: python -m cloud down',
              file=sys.stderr)
        return 130


def _parser():
    parser = argparse.ArgumentParser(
        prog='python -m cloud', description='A real OpenStack with GPU '
        'boards that are not there, for trying and testing.')
    parser.add_argument(
        '--state-dir', default='.cloud', type=pathlib.Path,
        help='where all it writes is kept (default: %(default)s)')
    parser.add_argument(
        '--port-offset', type=int, metavar='N',
        help='added to all ports, so that clouds can run side by side')
    verbs = parser.add_subparsers(required=True, metavar='VERB')
    up = verbs.add_parser('up', help='start it')
    up.add_argument(
        '--scheduler', choices=('stock', 'ai-factory'),
        help='filters and weighers of nova-scheduler (default: ai-factory)')
    up.set_defaults(run=_up)
    verbs.add_parser('status', help='say what runs and whether it works'
                     ).set_defaults(run=_status)
    down = verbs.add_parser('down', help='stop it')
    down.add_argument('--delete', action='store_true',
                      help='delete the state directory as well')
    down.set_defaults(run=_down)
    shell = verbs.add_parser(
        'shell', help='a shell in which the openstack command works')
    shell.add_argument('-c', dest='command', metavar='COMMAND',
                       help='run this command instead')
    shell.set_defaults(run=_shell)
    return parser


def _up(cloud, args):
    began = time.monotonic()
    console = rich_console.Console(highlight=False)
    cloud.tell = lambda text: console.print(
        f'{time.monotonic() - began:6.1f} s  {text}', markup=False,
        soft_wrap=True)
    with console.status('starting; a log a service is in '
                        f'{cloud.layout.root / "log"}'):
        cloud.up()
    cloud.tell('up; use it with: python -m cloud shell')
    return 0


def _status(cloud, args):
    found = cloud.status()
    for name, (pid, works) in found.items():
        state = 'well' if works else 'down' if pid is None else 'UNWELL'
        print(f'{name:24} {state:8} {pid or "-":>8}  '
              f'{cloud.layout.log(name)}')
    problems = cloud.unwell(found)
    for problem in problems:
        print(f'cloud: {problem}', file=sys.stderr)
    return 1 if problems else 0


def _down(cloud, args):
    stopped = cloud.down()
    if args.delete:
        cloud.destroy()
    print(f'{len(stopped)} services stopped' if stopped
          else 'nothing was running')
    return 0


def _shell(cloud, args):
    problems = cloud.unwell()
    if problems:
        raise errors.CloudError('it is not up: ' + '; '.join(problems[:3]))
    environment = process.environment(cloud.auth)
    environment['PATH'] = os.pathsep.join(
        [str(pathlib.Path(sys.executable).parent), environment['PATH']])
    shell = environment.get('SHELL', '/bin/sh')
    command = [shell, '-c', args.command] if args.command else [shell]
    if not args.command:
        print('The openstack command works here. Leave with "exit".')
    return subprocess.call(command, env=environment)


if __name__ == '__main__':
    sys.exit(main())
