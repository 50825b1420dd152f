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


"""``ai-factory-status``: what is wrong with a cloud, or with its servers."""

import argparse
import dataclasses
import json
import sys

from nova import context as nova_context
from nova import exception
from nova.scheduler.client import report
from oslo_config import cfg
from oslo_db import exception as db_exc
import prettytable

from ai_factory_plugins.cmd import common
from ai_factory_plugins.nova import audit
from ai_factory_plugins.nova import checks
from ai_factory_plugins.nova import inventory
from ai_factory_plugins.nova import placement
from ai_factory_plugins.topology import traits

# What a look into Nova or placement can end with.
FAILURES = (db_exc.DBError, exception.NovaException, placement.Unavailable)


def main(argv=None):
    """Run the command.

    :param argv: arguments, default those of the process
    :returns: exit status. ``upgrade check``: 0 all is well, 1 warnings, 2
        failures. ``servers``: 0 nothing found, 1 something found. Both: 255
        it could not be found out
    """
    args = _parser().parse_args(argv)
    try:
        common.configure('ai-factory-status', args.config_file)
        if args.command == 'upgrade':
            return int(checks.Checks(_facts(args)).check())
        return _servers(args)
    except (cfg.Error, *FAILURES) as exc:
        print(f'ai-factory-status: {" ".join(str(exc).split())}',
              file=sys.stderr)
        return 255


def _facts(args):
    context = nova_context.get_admin_context()
    try:
        placement_conf = checks.read_placement_conf(args.placement_config)
    except cfg.Error as exc:
        placement_conf = str(exc)
    facts = checks.Facts(placement_conf, _attempt(lambda: [
        node for cell in inventory.cells(context)
        for node in inventory.nodes(cell)]), _attempt(_providers))
    found = _attempt(lambda: _placement().traits(traits.PREFIXES))
    if not isinstance(found, str):
        facts.traits = found
    return facts


def _attempt(look):
    """What a look tells, or why it does not."""
    try:
        return look()
    except FAILURES as exc:
        return ' '.join(str(exc).split())


def _placement():
    return inventory.Placement(report.report_client_singleton())


def _providers():
    client = _placement()
    return {provider: client.classes(provider.uuid)
            for provider in client.providers()}


def _servers(args):
    found = audit.Audit(
        nova_context.get_admin_context(), _placement()).findings()
    if args.format == 'json':
        print(json.dumps([dataclasses.asdict(item) for item in found],
                         indent=2))
    elif found:
        table = prettytable.PrettyTable(
            ['Host', 'Server', 'Devices', 'Problem', 'What to do'],
            max_width=40)
        table.align = 'l'
        for item in found:
            table.add_row([item.host, item.server, '\n'.join(item.addresses),
                           item.problem, item.advice])
        print(table)
    else:
        print('The devices of all servers are as their flavors ask, and as '
              'placement says.')
    return 1 if found else 0


def _parser():
    parser = argparse.ArgumentParser(
        prog='ai-factory-status',
        description='Tell what is wrong with a cloud whose servers have GPUs '
                    'that are to be joined. Run it where nova-scheduler runs.')
    common.add_config_file(parser)
    parser.add_argument(
        '--placement-config', metavar='FILE',
        default='/etc/placement/placement.conf',
        help='configuration of placement (default: %(default)s)')
    commands = parser.add_subparsers(dest='command', required=True)
    upgrade = commands.add_parser(
        'upgrade', help='is the cloud configured as it has to be')
    upgrade.add_argument('check', choices=['check'])
    servers = commands.add_parser(
        'servers', help='servers whose devices are not joined as their '
                        'flavors ask, and allocations without a server')
    servers.add_argument(
        '-f', '--format', choices=('table', 'json'), default='table')
    return parser


if __name__ == '__main__':
    sys.exit(main())
