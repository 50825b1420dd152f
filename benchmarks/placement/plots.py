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


"""Pictures of a study, as SVG."""

import pathlib

import matplotlib
from matplotlib import pyplot

matplotlib.use('svg')
# The same figures make the same files.
matplotlib.rcParams.update({
    'svg.hashsalt': 'placement', 'svg.fonttype': 'none', 'font.size': 9,
    'axes.spines.top': False, 'axes.spines.right': False})

# Okabe and Ito's colours, which colour-blind readers can tell apart, and
# dashes and hatches for readers of a print.
_STYLES = {
    'topology': ('#0072B2', '-', ''),
    'packed': ('#E69F00', '--', '//'),
    'packed-address': ('#D55E00', '-.', '\\\\'),
    'stock': ('#999999', ':', '..'),
    'stock-address': ('#56B4E9', ':', 'xx'),
    'random': ('#000000', '--', '++'),
}


def refusals(path, results, size=8):
    """Refusals of one size, a group of bars for each case.

    :param path: file to write
    :param results: list of (label, list of accounts)
    """
    _bars(path, results, lambda a: 100 * a.rate(a.refused, size),
          f'refused, % of the jobs for {size} GPUs')


def wrong(path, results):
    """Wrong sets, a group of bars for each case."""
    _bars(path, results, lambda a: 100 * sum(
        a.wrong[size] for size in a.wrong if size > 1) / max(sum(
            a.asked[size] - a.refused[size]
            for size in a.asked if size > 1), 1),
        'wrong sets, % of the placements\nof more than one GPU')


def _bars(path, results, value, label):
    figure, axes = pyplot.subplots(figsize=(7.2, 3.0))
    names = [account.policy for account in results[0][1]]
    width = 0.8 / len(names)
    for i, name in enumerate(names):
        colour, _, hatch = _STYLES[name]
        axes.bar([at + (i - (len(names) - 1) / 2) * width
                  for at in range(len(results))],
                 [value(accounts[i]) for _, accounts in results],
                 width, label=name, color=colour, hatch=hatch,
                 edgecolor='white', linewidth=0.4)
    axes.set_xticks(range(len(results)), [title for title, _ in results],
                    fontsize=7)
    axes.set_ylabel(label)
    _save(figure, axes, path)


def course(path, accounts, hosts):
    """Whole free boards over time.

    :param path: file to write
    :param accounts: accounts of one case
    :param hosts: number of hosts
    """
    figure, axes = pyplot.subplots(figsize=(7.2, 3.0))
    for account in accounts:
        colour, dashes, _ = _STYLES[account.policy]
        # The fill takes no time.
        points = [point for point in account.course if point[0]]
        axes.plot([point[0] for point in points],
                  [100 * point[1] / hosts for point in points],
                  dashes, color=colour, label=account.policy, linewidth=1.2)
    axes.set_xlabel('time, mean lifetimes of a server')
    axes.set_ylabel('wholly free boards, % of hosts')
    axes.set_ylim(bottom=0)
    _save(figure, axes, path)


def _save(figure, axes, path):
    axes.grid(axis='y', linewidth=0.4, color='#cccccc')
    axes.set_axisbelow(True)
    figure.legend(*axes.get_legend_handles_labels(), loc='outside upper left',
                  ncols=6, frameon=False, fontsize=8, columnspacing=1.2)
    figure.tight_layout(rect=(0, 0, 1, 0.92))
    figure.savefig(path, metadata={'Date': None})
    pyplot.close(figure)
    lines = pathlib.Path(__file__).read_text().splitlines()[:11]
    licence = '\n'.join([*(line[2:] for line in lines), ''])
    head, _, body = path.read_text().partition('\n')
    body = '\n'.join(line.rstrip() for line in body.splitlines())
    path.write_text(f'{head}\n<!--\n{licence}-->\n{body}\n')
