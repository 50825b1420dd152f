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

"""Options of the filters: bounded, and written down as they are."""

import json
import pathlib
import re

import pytest

from ai_factory_plugins.swift import batch_read
from ai_factory_plugins.swift import block_cache
from ai_factory_plugins.swift.cache import settings
from ai_factory_plugins.swift.formats import choice
from ai_factory_plugins.swift import options
from ai_factory_plugins.swift import range_server

ROOT = pathlib.Path(__file__).parents[2]
FILTERS = {
    'batch_read': (batch_read, batch_read.OPTIONS, 'swift-proxy-server'),
    'block_cache': (block_cache, settings.KNOWN, 'swift-proxy-server'),
    'range_server': (range_server, range_server.OPTIONS,
                     'swift-object-server')}


def texts(known):
    """Names and defaults, as an operator writes them."""
    return {name: str(option.default).lower()
            for name, option in known.items()}


@pytest.mark.parametrize('known', [batch_read.OPTIONS, range_server.OPTIONS])
def test_options_are_bounded(known):
    defaults = options.read(known, {'use': 'egg:x', 'unknown': '5'})
    assert defaults.keys() == known.keys()
    for name, option in known.items():
        if isinstance(option, options.Flag):
            assert options.read(known, {name: 'no'})[name] is False
            continue
        assert option.low <= option.default <= option.high
        for text in (option.low, option.high):
            assert options.read(known, {name: str(text)})[name] == text
        for text in (option.low - 1, option.high + 1, '', 'x', '1.5'):
            with pytest.raises(ValueError, match=name):
                options.read(known, {name: str(text)})


@pytest.mark.parametrize('module', [batch_read, range_server])
def test_servers_do_not_start_with_bad_options(module):
    name = next(iter(module.OPTIONS))
    with pytest.raises(ValueError, match=name):
        module.filter_factory({}, **{name: '0'})


@pytest.mark.parametrize('name', FILTERS)
def test_table_of_the_module(name):
    module, known, _ = FILTERS[name]
    rule, _, *rows, last = re.findall(
        r'^(?:={4,} |\w+  ).*$', module.__doc__, re.M)
    assert rule == last
    first, second, *_ = (found.span() for found in re.finditer('=+', rule))
    found = {row[slice(*first)].strip(): row[slice(*second)].strip()
             for row in rows if not row.startswith('=')}
    assert found == texts(known)


@pytest.mark.parametrize('name', FILTERS)
def test_sample_configuration(name):
    _, known, file = FILTERS[name]
    text = (ROOT / f'etc/ai_factory_plugins/{file}.conf').read_text()
    section = re.search(
        rf'^\[filter:{name}\]\n(.*?)(?:\n\n|\Z)', text, re.M | re.S)[1]
    found = dict(re.findall(r'^# (\w+) = (\S+)$', section, re.M))
    expected = texts(known)
    for path in ('disk_path', 'disk_bytes'):  # Examples; there is no default.
        if path in known:
            expected[path] = found[path]
    assert found == expected


def test_guide_of_the_cache():
    text = (ROOT / 'doc/source/admin/swift-cache.rst').read_text()
    table = re.search(r'\nOptions\n-+\n(.*?)\n\n[A-Z`]', text, re.S)[1]
    found = dict(re.findall(r'``(\w+)`` \((\w+)\)', table))
    expected = texts(settings.KNOWN)
    assert '* - ``disk_path``, ``disk_bytes``\n' in table
    del expected['disk_path'], expected['disk_bytes']
    assert found == expected


def test_what_info_tells():
    text = (ROOT / 'doc/source/reference/dataset-protocol.rst').read_text()
    found = json.loads(re.search(r'"batch_read": (\{.*?\})\n', text, re.S)[1])
    assert found == {
        'version': 1, 'formats': list(choice.NAMES),
        **{name: batch_read.OPTIONS[name].default
           for name in batch_read.ADVERTISED}}
    guide = (ROOT / 'doc/source/admin/swift-cache.rst').read_text()
    told = re.search(r'``/info`` tells (.*?)\.', guide, re.S)[1]
    assert tuple(re.findall(r'``(\w+)``', told)) == block_cache.ADVERTISED
