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

"""Swift's functional tests, as they are in its source distribution."""

import importlib.metadata
import os
import pathlib
import subprocess
import sys
import tarfile
import typing
import xml.etree.ElementTree

from cloud import config
from cloud.services import swift

PASSED = 'passed'


class Pair(typing.NamedTuple):
    """Two proxies that differ in our filters alone.

    :param ours: name of the one with all of them
    :param stock: name of the one without
    :param s3_acl: whether their S3 has ACLs of objects
    :param cache: which of the block caches ours has
    :param tests: those of Swift's that are run on both
    """

    ours: str
    stock: str
    s3_acl: bool
    cache: str
    tests: tuple


# Where S3 has ACLs of objects, its requests go past the block cache, and its
# batches are refused.
PAIRS = (
    Pair('proxy', 'proxy-stock', True, 'block_cache',
         ('test/functional', 'test/s3api')),
    Pair('proxy-plain', 'stock-plain', False, 'block_cache-disk',
         ('test/functional/s3api', 'test/s3api')),
)
# Objects of the tests are small: some of them have several blocks even so.
BLOCK_CACHE = {'block_size': 4096, 'readahead': 16384}
# As few bytes of RAM as may be: what is read again is read from the disk.
ON_DISK = {**BLOCK_CACHE, 'ram_bytes': 1024 * 1024, 'disk_bytes': 64 * 2 ** 20}
# The pipeline and the options of Swift's own "all in one", with more filters
# that the tests know.
LEFT = 'catch_errors gatekeeper healthcheck proxy-logging cache etag-quoter ' \
       'listing_formats bulk tempurl formpost ratelimit crossdomain ' \
       'container_sync tempauth'
RIGHT = 'staticweb copy container-quotas account-quotas slo dlo ' \
        'versioned_writes symlink'
S3API = {'check_bucket_owner': 'true', 'cors_preflight_allow_origin': '*'}
FILTERS = {
    'tempauth': {
        'reseller_prefix': 'AUTH, SERVICE',
        'SERVICE_require_group': 'service',
        'user_admin_admin': 'admin .admin .reseller_admin',
        'user_test_tester': 'testing .admin',
        'user_test_tester2': 'testing2 .admin',
        'user_test_tester3': 'testing3',
        'user_test_tester6': 'testing6 .reseller_admin',
        'user_test2_tester2': 'testing2 .admin',
        'user_test5_tester5': 'testing5 service',
    },
    'versioned_writes': {'allow_versioned_writes': 'true'},
    'slo': {'allow_async_delete': 'true'},
}


def settings(directory, default):
    """A Swift with the proxies of all pairs.

    :param directory: for blocks on disk
    :param default: options of all its servers
    """
    proxies = {}
    for pair in PAIRS:
        proxies.update({pair.ours: pair.cache, pair.stock: ''})
    return swift.Settings(
        ec=True, stock=tuple(pair.stock for pair in PAIRS), proxies=proxies,
        s3_acl=tuple(name for pair in PAIRS if pair.s3_acl
                     for name in (pair.ours, pair.stock)),
        left=LEFT, right=RIGHT, s3api=S3API, filters=FILTERS,
        block_caches={
            'block_cache': BLOCK_CACHE,
            'block_cache-disk': {**ON_DISK, 'disk_path': directory}},
        default=default,
        proxy={'allow_account_management': 'true'})


def unpack(directory):
    """Get the tests of the Swift that is installed.

    :param directory: where to
    :returns: path of the unpacked source distribution
    """
    version = importlib.metadata.version('swift')
    subprocess.run(
        [sys.executable, '-m', 'pip', 'download', '-q', '--no-deps',
         '--no-binary', 'swift', '-d', directory, f'swift=={version}'],
        check=True)
    archive, = pathlib.Path(directory).glob('swift-*.tar.gz')
    with tarfile.open(archive) as tar:
        tar.extractall(directory, filter='data')
    return archive.with_name(archive.name.removesuffix('.tar.gz'))


def configure(path, url, s3_acl):
    """Write the tests' configuration.

    :param path: of the file
    :param url: of the proxy to test
    :param s3_acl: whether its S3 has ACLs of objects
    """
    users = {
        '': 'tester', '2': 'tester2', '3': 'tester3', '5': 'tester5',
        '6': 'tester6'}
    accounts = {'': 'test', '2': 'test2', '5': 'test5', '6': 'test'}
    keys = ('', '2', '3')  # of S3: all of one account
    config.write(path, {
        'func_test': {
            'auth_uri': f'{url}/auth/v1.0', 's3_storage_url': f'{url}/',
            's3_region': 'us-east-1', 'collate': 'C', 'insecure': 'no',
            'service_prefix': 'SERVICE',
            **{f'account{number}': name for number, name in accounts.items()},
            **{f'username{number}': name for number, name in users.items()},
            **{f'password{number}': f'testing{number}' for number in users},
            **{f's3_access_key{number}': f'test:tester{number}'
               for number in keys},
            **{f's3_secret_key{number}': f'testing{number}'
               for number in keys}},
        's3api_test': {
            'endpoint': url, 'region': 'us-east-1',
            's3_acl_tests_enabled': 'true' if s3_acl else 'false',
            **{f'access_key{number or 1}': f'test:tester{number}'
               for number in keys},
            **{f'secret_key{number or 1}': f'testing{number}'
               for number in keys}},
    })


def run(sources, work, name, url, s3_acl, wanted):
    """Run the tests against one proxy.

    :param sources: as :func:`unpack` returns it
    :param work: directory for what they write
    :param name: of this run
    :param url: of the proxy
    :param s3_acl: whether its S3 has ACLs of objects
    :param wanted: list of arguments for pytest
    :returns: dict of test to its outcome
    """
    conf, report = work / f'{name}.conf', work / f'{name}.xml'
    configure(conf, url, s3_acl)
    report.unlink(missing_ok=True)
    with open(work / f'{name}.log', 'wb') as log:
        subprocess.run(
            [sys.executable, '-m', 'pytest', '-q', '--tb', 'short',
             '-p', 'no:cacheprovider', '--junitxml', report, *wanted],
            cwd=sources, stdin=subprocess.DEVNULL, stdout=log, stderr=log,
            env={**os.environ, 'SWIFT_TEST_CONFIG_FILE': str(conf),
                 'PYTHONWARNINGS': 'ignore'})
    return outcomes(report)


def outcomes(report):
    """What a report of pytest says.

    :param report: path of the XML document
    :returns: dict of test to ``passed``, ``failed`` or ``skipped``
    """
    found = {}
    for case in xml.etree.ElementTree.parse(report).iter('testcase'):
        name = f'{case.get("classname")}::{case.get("name")}'
        tags = {child.tag for child in case}
        if tags & {'failure', 'error'}:
            found[name] = 'failed'
        else:
            # A test that has failed and been torn down stands there twice.
            found.setdefault(
                name, 'skipped' if 'skipped' in tags else PASSED)
    return found


def differences(stock, ours):
    """Tests that have another outcome.

    :param stock: dict of test to outcome
    :param ours: the same with our filters
    :returns: dict of test to both outcomes
    """
    return {name: (stock.get(name, 'missing'), ours.get(name, 'missing'))
            for name in sorted({*stock, *ours})
            if stock.get(name) != ours.get(name)}


def regressions(found):
    """Those of the differences that are our fault."""
    return {name: pair for name, pair in found.items() if pair[0] == PASSED}


def arguments(names):
    """Arguments for pytest that run some tests only.

    :param names: list of tests, as :func:`outcomes` has them
    """
    chosen = []
    for name in names:
        owner, _, test = name.partition('::')
        module, _, case = owner.rpartition('.')
        chosen.append(f'{module.replace(".", "/")}.py::{case}::{test}')
    return chosen
