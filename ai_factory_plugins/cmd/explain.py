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


"""``ai-factory-explain``: why a flavor finds no host."""

import argparse
import dataclasses
import json
import sys

from nova import context as nova_context
from nova import exception
from nova import objects
from oslo_config import cfg
from oslo_db import exception as db_exc

from ai_factory_plugins.cmd import common
from ai_factory_plugins.nova import explain

MAX_HOSTS = 20


def main(argv=None):
    """Run the command.

    :param argv: arguments, default those of the process
    :returns: exit status: 0 if there is a host, 1 if there is none, 2 if it
        could not be found out
    """
    args = _parser().parse_args(argv)
    try:
        found = explained(args)
    except (cfg.Error, db_exc.DBError, exception.NovaException) as exc:
        print(f'ai-factory-explain: {" ".join(str(exc).split())}',
              file=sys.stderr)
        return 2
    if args.format == 'json':
        print(json.dumps(dataclasses.asdict(found), indent=2, sort_keys=True))
    else:
        print(text(found, args.all))
    return 0 if found.found else 1


def explained(args):
    """Look for a host, with the configuration and data of nova-scheduler.

    :param args: the parsed arguments
    :returns: an :class:`~ai_factory_plugins.nova.explain.Explanation`
    """
    common.configure('ai-factory-explain', args.config_file)
    context = nova_context.RequestContext(
        user_id='ai-factory-explain', is_admin=True,
        project_id=args.project or 'ai-factory-explain')
    try:
        flavor = objects.Flavor.get_by_name(context, args.flavor)
    except exception.FlavorNotFoundByName:
        flavor = objects.Flavor.get_by_flavor_id(context, args.flavor)
    return explain.Explainer(context, flavor).explain(args.host)


def text(found, everything=False):
    """An explanation for the terminal.

    :param found: an :class:`~ai_factory_plugins.nova.explain.Explanation`
    :param everything: name all hosts
    :returns: text
    """
    lines = [f'Flavor {found.flavor}: {found.asked or "no devices"}']
    for name, hosts in found.free.items():
        most = max(hosts.values(), default=0)
        lines.append(f'Placement: {sum(hosts.values())} of {name} free on '
                     f'{len(hosts)} hosts, at most {most} on one')
    if found.problem is not None:
        lines.append(f'No allocation candidates: {found.problem}')
        lines.append(
            'Either no host has as many free devices as that, or not the '
            'CPU, memory and disk along with them.')
        return '\n'.join(lines)
    lines.append(f'Placement: allocation candidates on {found.offered} hosts')
    for stage in found.stages:
        lines.append(f'{stage.name}: {stage.after} of {stage.before} hosts')
        for reason, names in stage.reasons.items():
            lines.append(f'    {len(names)} {reason}: '
                         f'{_some(names, everything)}')
    if not found.found and found.sets:
        lines.append('Wholly free partitions (size: how many):')
        for host, sizes in _hosts(found.sets, everything):
            lines.append(f'    {host}: ' + (', '.join(
                f'{size}: {count}' for size, count in sorted(sizes.items()))
                or 'none'))
    lines.append('Hosts: ' + (_some(found.found, everything) or 'none'))
    return '\n'.join(lines)


def _some(names, everything):
    shown = names if everything else names[:MAX_HOSTS]
    return ', '.join(shown) + (', ...' if len(shown) < len(names) else '')


def _hosts(sets, everything):
    items = sorted(sets.items())
    return items if everything else items[:MAX_HOSTS]


def _parser():
    parser = argparse.ArgumentParser(
        prog='ai-factory-explain',
        description='Tell why a server of a flavor finds a host or none, '
                    'with the code, configuration and data of '
                    'nova-scheduler. Nothing is claimed. Run it where '
                    'nova-scheduler runs.')
    parser.add_argument('flavor', help='name or id of the flavor')
    parser.add_argument(
        '--host', help='ask for this host, as openstack server create --host')
    parser.add_argument(
        '--project', metavar='ID', help='whose server it would be')
    parser.add_argument(
        '--all', action='store_true',
        help=f'name all hosts, not the first {MAX_HOSTS}')
    parser.add_argument(
        '-f', '--format', choices=('text', 'json'), default='text')
    common.add_config_file(parser)
    return parser


if __name__ == '__main__':
    sys.exit(main())
