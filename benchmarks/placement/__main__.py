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


"""How well GPUs are placed: this project, stock Nova, chance, the optimum.

Seeded streams of jobs are replayed over Nova's own HostStates, filters and
weighers, under one policy after the other. Run it with::

    python -m benchmarks.placement --hosts 64 --mix stress --load 85 95
"""

import argparse
import importlib.metadata
import pathlib

import nova.conf
from nova import objects
from oslo_log import log as logging

from ai_factory_plugins.conf import nova as conf
from benchmarks.placement import facts as board_facts
from benchmarks.placement import mixes
from benchmarks.placement import policies
from benchmarks.placement import report
from benchmarks.placement import study


def parser():
    """The command line."""
    found = argparse.ArgumentParser(
        prog='python -m benchmarks.placement',
        description=__doc__.splitlines()[0])
    found.add_argument('--hosts', type=int, default=64)
    found.add_argument('--board', default='hgx-h100')
    found.add_argument('--mix', nargs='+', default=sorted(mixes.MIXES),
                       choices=sorted(mixes.MIXES))
    found.add_argument('--load', type=float, nargs='*',
                       default=[70.0, 85.0, 95.0],
                       help='GPUs asked for, as %% of those that there are')
    found.add_argument('--jobs', type=int, default=5000,
                       help='jobs after the fill')
    found.add_argument('--seed', type=int, default=1)
    found.add_argument('--policy', nargs='+', default=list(policies.POLICIES),
                       choices=list(policies.POLICIES))
    found.add_argument('--wrong', choices=('stay', 'leave'), default='stay',
                       help='what a server on a wrong set does')
    found.add_argument('--time-every', type=int, default=100,
                       help='requests of which one is timed; 0 for none')
    found.add_argument('--no-fill', action='store_true',
                       help='without the fill that ends at refusals')
    found.add_argument('--small', type=int, default=10,
                       help='lists of jobs for the exact optimum')
    found.add_argument('--out', type=pathlib.Path, help='JSON of the results')
    found.add_argument('--docs', type=pathlib.Path,
                       help='source of the documentation, where tables and '
                            'pictures go')
    return found


def prepare():
    """Make this process one in which Nova's scheduler can work."""
    logging.getLogger(None).logger.setLevel('WARNING')
    objects.register_all()
    conf.register_opts(nova.conf.CONF)
    nova.conf.CONF.set_override(
        'pci_in_placement', True, 'filter_scheduler')


def run(args):
    """Run the cases.

    :returns: (list of (case, list of accounts), small cases by mix)
    """
    facts = board_facts.Facts(args.board)
    results, small = [], {}
    loads = [] if args.no_fill else [None]
    loads += [load / 100 for load in args.load]
    for name in args.mix:
        mix = mixes.MIXES[name]
        for load in loads:
            case = study.Case(
                facts, args.hosts, mix, load, args.jobs, args.seed)
            accounts = [
                case.run(policy, args.time_every, args.wrong == 'stay')
                for policy in args.policy]
            results.append((case, accounts))
            print(report.case_text(case.title, accounts), flush=True)
        if args.small:
            small[name] = study.small_cases(
                facts, mix, range(args.seed, args.seed + args.small))
            print(f'{name}, share of the exact optimum')
            print(report.text(*report.small_rows(small[name])), flush=True)
    return results, small


def write_docs(directory, results, small):
    """Write tables and pictures into the source of the documentation."""
    # Needed for nothing else.
    from benchmarks.placement import plots

    images = directory / 'images'
    reference = directory / 'reference'
    for path in (images, reference):
        path.mkdir(parents=True, exist_ok=True)
    tables = [report.case_rst(case.title, accounts)
              for case, accounts in results]
    tables += [
        report.rst(f'{name}, share of the exact optimum',
                   *report.small_rows(cases)) for name, cases in small.items()]
    # No document of its own, so that Sphinx shall not take it for one.
    (reference / 'placement-tables.inc').write_text('\n'.join(tables))
    labelled = [
        (f'{case.mix.name}\n'
         + ('fill' if case.load is None else f'{case.load:.0%}'), accounts)
        for case, accounts in results]
    plots.refusals(images / 'placement-refusals.svg', labelled)
    plots.wrong(images / 'placement-wrong.svg', labelled)
    kept = [item for item in results if item[0].load is not None
            and item[0].mix == results[0][0].mix]
    if kept:
        # At low loads boards are free anyway, and at high loads never.
        case, accounts = kept[len(kept) // 2]
        plots.course(images / 'placement-course.svg', accounts, case.hosts)


def main():
    args = parser().parse_args()
    prepare()
    results, small = run(args)
    if args.out:
        parameters = {key: value for key, value in vars(args).items()
                      if key not in ('out', 'docs')}
        parameters['versions'] = {
            name: importlib.metadata.version(name) for name in ('nova',)}
        args.out.write_text(report.as_json(
            parameters, [(case.title, accounts)
                         for case, accounts in results], small))
    if args.docs:
        write_docs(args.docs, results, small)


if __name__ == '__main__':
    main()
