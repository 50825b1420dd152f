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


"""Tables of a study: for the terminal, as JSON and as reStructuredText."""

import json

SIZES = (1, 2, 4, 8)
_COLUMNS = ('policy', 'wrong', 'avoidable',
            *(f'refused {size}' for size in SIZES), 'valid use', 'whole',
            'fragments', 'NUMA 2', 'NUMA 4', 'first refusal', 'CPU')


def row(account):
    """One line of a table, as texts."""
    def span(size):
        found = account.numa_span.get(size)
        return '-' if found is None else f'{found:.2f}'

    first, ratio = account.first_refusal, account.cpu_ratio
    return (
        account.policy,
        f'{account.rate(account.wrong):.1%}',
        f'{account.rate(account.avoidable):.1%}',
        *(f'{account.rate(account.refused, size):.1%}' for size in SIZES),
        f'{account.in_use_validly:.1%}', f'{account.whole:.1%}',
        f'{account.fragments:.2%}', span(2), span(4),
        '-' if first is None else f'{first:.1%}',
        '-' if ratio is None else f'{ratio:.2f}')


def small_rows(small):
    """Columns and lines of the comparison with the optimum."""
    small = [case for case in small if case['lists']]
    columns = ('policy', *(
        f'{case["case"]}, {case["lists"]} lists: {what}'
        for case in small for what in ('jobs', 'GPUs')))
    rows = [(name, *(
        f'{done / best:.1%}' for case in small
        for done, best in zip(case['policies'][name], case['optimum'])))
        for name in (small[0]['policies'] if small else ())]
    return columns, rows


def text(columns, rows):
    """A table for the terminal."""
    widths = [max(map(len, column)) for column in zip(columns, *rows)]
    return '\n'.join(
        '  '.join(cell.ljust(width) if i == 0 else cell.rjust(width)
                  for i, (cell, width) in enumerate(zip(line, widths)))
        for line in (columns, *rows))


def heading(title, accounts):
    """A case and its jobs after the fill, or in it, by GPUs asked for."""
    asked = accounts[0].asked
    jobs = ', '.join(f'{asked[size]} x {size}' for size in SIZES)
    return f'{title}; jobs: {jobs}'


def case_text(title, accounts):
    """What is printed for one case."""
    table = text(_COLUMNS, [row(account) for account in accounts])
    return f'{heading(title, accounts)}\n{table}\n'


def rst(title, columns, rows):
    """A table of a document."""
    lines = [f'.. list-table:: {title}', '   :header-rows: 1', '']
    for line in (columns, *rows):
        for i, cell in enumerate(line):
            lines.append(f'   {"*" if i == 0 else " "} - {cell}')
    return '\n'.join([*lines, ''])


def case_rst(title, accounts):
    """The table of one case for a document."""
    return rst(heading(title, accounts), _COLUMNS,
               [row(account) for account in accounts])


def as_json(parameters, results, small):
    """All figures.

    :param parameters: dict of what the study was run with
    :param results: list of (title, list of accounts)
    :param small: see :func:`benchmarks.placement.study.small_cases`
    """
    return json.dumps({
        'parameters': parameters,
        'cases': [{'case': title, 'policies': [vars(a) for a in accounts]}
                  for title, accounts in results],
        'small_cases': small}, indent=1) + '\n'
