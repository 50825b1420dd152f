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

"""``python -m cloud.demo``: start the cloud and play the acts."""

import argparse
import pathlib
import sys
import time

from rich import console as rich_console

from ai_factory_plugins.testing import fleet
from cloud import core
from cloud.demo import datasets
from cloud.demo import machines
from cloud.demo import virtual
from cloud import errors

ACTS = {'virtual': virtual.Act, 'machines': machines.Act,
        'datasets': datasets.Act}


def main():
    args = _parser().parse_args()
    console = rich_console.Console(width=100, highlight=False)
    began = time.monotonic()
    cloud = core.Cloud(
        args.state_dir, args.port_offset, tell=lambda text: console.print(
            f'{time.monotonic() - began:6.1f} s  {text}'))
    try:
        verdicts = _play(cloud, console, args.act)
    except (errors.CloudError, fleet.FleetError) as exc:
        console.print(f'cloud: {exc}', markup=False)
        return 1
    finally:
        if args.down:
            cloud.down()
    console.rule('[bold]The end')
    for _, text in verdicts:
        console.print(text)
    if not args.down:
        _tell_how_to_go_on(console, args)
    return 0 if all(right for right, _ in verdicts) else 1


def _parser():
    parser = argparse.ArgumentParser(
        prog='python -m cloud.demo',
        description='Start a real OpenStack here and show what the plugins '
                    'do.')
    parser.add_argument('--state-dir', default='.cloud', type=pathlib.Path)
    parser.add_argument('--port-offset', type=int)
    parser.add_argument('--act', choices=ACTS, action='append',
                        help='only this one; may be given several times')
    parser.add_argument('--down', action='store_true',
                        help='stop the cloud at the end')
    return parser


def _play(cloud, console, names):
    """Play the acts.

    :returns: list of (whether all went right, what to say about it)
    """
    console.rule('[bold]A real OpenStack with GPU boards')
    cloud.up()
    verdicts = []
    for name in names or ACTS:
        act = ACTS[name](cloud, console)
        right = act.tell()
        verdicts.append((right, act.right if right else act.wrong))
    return verdicts


def _tell_how_to_go_on(console, args):
    run = f'{pathlib.Path(sys.executable)} -m cloud'
    if args.state_dir != pathlib.Path('.cloud'):
        run += f' --state-dir {args.state_dir}'
    console.print(
        f'\nThe cloud is running. Go on with it:  {run} shell\n'
        f'Look at it:                           {run} status\n'
        f'Stop it:                              {run} down',
        soft_wrap=True)


if __name__ == '__main__':
    sys.exit(main())
