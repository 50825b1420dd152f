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

"""The jobs for Zuul say what Zuul understands, and name what is there."""

import configparser
import itertools
import pathlib
import re
import unittest

import yaml

from ai_factory_plugins.testing import boards

PROJECT = pathlib.Path(__file__).parents[3]
ZUUL = PROJECT / 'zuul.d'
# What is defined in repositories of OpenStack: openstack-zuul-jobs, tempest
# and ironic.
JOBS_ELSEWHERE = {'openstack-tox', 'openstack-tox-functional',
                  'openstack-tox-pep8', 'devstack-tempest', 'ironic-base'}
TEMPLATES = {'publish-openstack-docs-pti', 'release-notes-jobs-python3'}
NODESETS = {'debian-bookworm', 'openstack-single-node-noble',
            'openstack-two-node-noble', 'devstack-single-node-debian-trixie'}
JOB_KEYS = {
    'name': str, 'parent': str, 'abstract': bool, 'description': str,
    'nodeset': str, 'timeout': int, 'required-projects': list,
    'irrelevant-files': list, 'vars': dict, 'group-vars': dict,
    'pre-run': str, 'run': str, 'post-run': str, 'voting': bool}
PIPELINES = {'check', 'gate', 'experimental'}
# Each part of `make check` runs in one of these.
PARTS_ELSEWHERE = {'pep8': 'openstack-tox-pep8', 'docs': None,
                   'releasenotes': None,
                   'functional': 'ai-factory-plugins-functional'}


def load():
    """All items of all files."""
    return [item for path in sorted(ZUUL.glob('*.yaml'))
            for item in yaml.safe_load(path.read_text())]


def expand(name):
    """The environments that the name of a section of tox.ini stands for."""
    parts = re.split(r'\{([^}]*)\}', name)
    choices = [part.split(',') if i % 2 else [part]
               for i, part in enumerate(parts)]
    return {''.join(choice) for choice in itertools.product(*choices)}


def environments():
    """The environments of tox.ini.

    :returns: dict of each to what it consists of, if it is several in one
    """
    tox = configparser.RawConfigParser()
    tox.read(PROJECT / 'tox.ini')
    found = {}
    for line in tox['testenv']['commands'].splitlines():
        name, *others = line.partition(':')[0].split(',')
        found.setdefault(name, set())
        for other in others:
            found.setdefault(other, set()).add(name)
    for section in tox.sections():
        if section.startswith('testenv:'):
            for name in expand(section.removeprefix('testenv:')):
                found[name] = set()
    return found


class ZuulTest(unittest.TestCase):

    def setUp(self):
        items = load()
        self.jobs = {}
        for item in items:
            self.assertEqual(1, len(item))
            kind, = item
            self.assertIn(kind, ('job', 'project'))
            if kind == 'job':
                self.assertNotIn(item['job']['name'], self.jobs)
                self.jobs[item['job']['name']] = item['job']
        self.project, = (item['project'] for item in items
                         if 'project' in item)

    def test_keys(self):
        for name, job in self.jobs.items():
            self.assertEqual(name, name.strip())
            self.assertTrue(name.startswith('ai-factory-plugins-'))
            self.assertLessEqual({'name', 'parent', 'description'}, set(job))
            for key, value in job.items():
                self.assertIn(key, JOB_KEYS, name)
                self.assertIsInstance(value, JOB_KEYS[key], (name, key))

    def test_parents_come_first(self):
        known = set(JOBS_ELSEWHERE)
        for name, job in self.jobs.items():
            self.assertIn(job['parent'], known, name)
            known.add(name)

    def test_nodesets(self):
        for name, job in self.jobs.items():
            if 'nodeset' in job:
                self.assertIn(job['nodeset'], NODESETS, name)

    def test_playbooks(self):
        for name, job in self.jobs.items():
            for key in ('pre-run', 'run', 'post-run'):
                if key in job:
                    self.assertTrue((PROJECT / job[key]).is_file(), name)

    def test_patterns(self):
        for job in self.jobs.values():
            for pattern in job.get('irrelevant-files', ()):
                self.assertFalse(re.match(pattern, 'devstack/plugin.sh'))
                self.assertFalse(re.match(pattern, 'setup.cfg'))

    def test_project(self):
        self.assertEqual(PIPELINES | {'templates'}, set(self.project))
        self.assertEqual(TEMPLATES, set(self.project['templates']))
        used = set()
        for pipeline in PIPELINES:
            names = [item if isinstance(item, str) else next(iter(item))
                     for item in self.project[pipeline]['jobs']]
            self.assertEqual(len(names), len(set(names)))
            self.assertLessEqual(
                set(names), JOBS_ELSEWHERE | set(self.jobs), pipeline)
            used.update(names)
        self.assertEqual({
            name for name, job in self.jobs.items()
            if not job.get('abstract')}, used & set(self.jobs))

    def test_voting_jobs_of_the_gate_are_checked_first(self):
        check = self.project['check']['jobs']
        for name in self.project['gate']['jobs']:
            self.assertIn(name, check)

    def test_environments(self):
        known = set(environments())
        for name, job in self.jobs.items():
            if job['parent'].startswith(('openstack-tox', 'ai-factory-plugins'
                                         '-tox')):
                names = job.get('vars', {}).get('tox_envlist', 'py3')
                self.assertLessEqual(set(names.split(',')), known, name)

    def test_all_of_make_check_runs(self):
        makefile = (PROJECT / 'Makefile').read_text()
        names, = re.findall(r'run -e (pep8\S*)', makefile)
        known, parts = environments(), set()
        for name in names.split(','):
            parts |= known[name] or {name}
        run = {name for job in self.jobs.values() for name in
               job.get('vars', {}).get('tox_envlist', '').split(',')}
        self.assertEqual(
            set(), parts - run - set(PARTS_ELSEWHERE))

    def devstack_vars(self):
        for name, job in self.jobs.items():
            found = [job.get('vars', {}),
                     *job.get('group-vars', {}).values()]
            yield from ((name, item) for item in found)

    def test_variables_of_devstack(self):
        sample = (PROJECT / 'devstack/local.conf.sample').read_text()
        settings = (PROJECT / 'devstack/settings').read_text()
        for name, found in self.devstack_vars():
            for variable, value in found.get('devstack_localrc', {}).items():
                if variable.startswith('AI_FACTORY_'):
                    self.assertIn(f'{variable}=', settings, name)
                else:
                    self.assertIn(f'# {variable}=', sample, name)
                if variable in ('AI_FACTORY_FAKE_GPUS',
                                'AI_FACTORY_FAKE_MACHINES'):
                    self.assertLessEqual(
                        set(value.split()), set(boards.names()))

    def test_plugin_has_the_name_that_it_gives_itself(self):
        settings = (PROJECT / 'devstack/settings').read_text()
        for _, found in self.devstack_vars():
            for plugin in found.get('devstack_plugins', {}):
                if plugin != 'ironic':
                    self.assertIn(f'define_plugin {plugin}\n', settings)

    def test_tests_are_selected(self):
        tests = [
            '.'.join(path.relative_to(PROJECT).with_suffix('').parts)
            for path in PROJECT.glob(
                'ai_factory_plugins/tempest/scenario/test_*.py')]
        self.assertTrue(tests)
        patterns = [found['tempest_test_regex']
                    for _, found in self.devstack_vars()
                    if 'tempest_test_regex' in found]
        self.assertTrue(patterns)
        for pattern, test in itertools.product(patterns, tests):
            self.assertTrue(re.search(pattern, test))
