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

"""What is made of the reports of Swift's own functional tests."""

import pathlib
import tempfile

import testtools

from tests.swift_suite import suite

REPORT = """<testsuites><testsuite>
<testcase classname="test.functional.tests.TestFile" name="test_good"/>
<testcase classname="test.functional.tests.TestFile" name="test_bad">
  <failure message="no">no</failure></testcase>
<testcase classname="test.functional.tests.TestFile" name="test_late"/>
<testcase classname="test.functional.tests.TestFile" name="test_late">
  <error message="teardown">no</error></testcase>
<testcase classname="test.functional.tests.TestFile" name="test_none">
  <skipped message="why"/></testcase>
</testsuite></testsuites>
"""


class SuiteTest(testtools.TestCase):

    def test_outcomes(self):
        with tempfile.TemporaryDirectory() as directory:
            path = pathlib.Path(directory, 'report.xml')
            path.write_text(REPORT)
            self.assertEqual(
                {'good': 'passed', 'bad': 'failed', 'late': 'failed',
                 'none': 'skipped'},
                {name.rpartition('_')[2]: outcome for name, outcome
                 in suite.outcomes(path).items()})

    def test_comparison(self):
        stock = {'a': 'passed', 'b': 'failed', 'c': 'passed', 'd': 'passed',
                 'e': 'skipped'}
        ours = {'a': 'passed', 'b': 'passed', 'c': 'failed', 'e': 'failed'}
        found = suite.differences(stock, ours)
        self.assertEqual(['b', 'c', 'd', 'e'], list(found))
        self.assertEqual({'c': ('passed', 'failed'),
                          'd': ('passed', 'missing')},
                         suite.regressions(found))

    def test_arguments(self):
        self.assertEqual(
            ['test/functional/tests.py::TestFile::test_good'],
            suite.arguments(['test.functional.tests.TestFile::test_good']))
