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


"""MariaDB, RabbitMQ and memcached as private instances."""

import os
import shutil
import socket
import subprocess

import pymysql

from cloud import errors
from cloud import layout as layouts
from cloud import process
from cloud import service

# What is needed of the distribution, and the package that has it.
PROGRAMS = {
    'mariadbd': 'mariadb-server',
    'mariadb-install-db': 'mariadb-server',
    'rabbitmq-server': 'rabbitmq-server',
    'epmd': 'erlang-base',
    'memcached': 'memcached',
}
# They refuse to run as root unless they are told to.
_AS_ROOT = ['--user=root'] if os.geteuid() == 0 else []
_PATH = ':'.join([
    '/usr/lib/rabbitmq/bin', os.environ.get('PATH', ''), '/usr/sbin'])
DATABASES = ('keystone', 'placement', 'glance', 'neutron', 'nova_api',
             'nova_cell0', 'nova_cell1', 'ironic')


def program(name):
    """Path of a program of the distribution.

    The RabbitMQ script behind the distribution's wrapper is taken, since the
    wrapper runs as root or as the user rabbitmq only.
    """
    return shutil.which(name, path=_PATH)


def require_programs():
    """Check that all programs are there.

    :raises CloudError: one is missing; the message says what to install
    """
    packages = sorted({package for name, package in PROGRAMS.items()
                       if program(name) is None})
    if packages:
        raise errors.CloudError(
            'System packages are missing. Install them with: apt-get install '
            '--no-install-recommends ' + ' '.join(packages))


def install_database(layout):
    """Make an empty data directory for MariaDB."""
    process.run(layout, 'mariadb-install-db', [
        program('mariadb-install-db'), '--no-defaults',
        f'--datadir={layout.root / "mariadb"}', '--skip-test-db',
        '--auth-root-authentication-method=normal', *_AS_ROOT])


def configure(layout):
    """Write the configuration files."""
    statements = [
        f"CREATE USER IF NOT EXISTS 'cloud'@'{layouts.HOST}' "
        f"IDENTIFIED BY '{layouts.PASSWORD}'",
        f"GRANT ALL ON *.* TO 'cloud'@'{layouts.HOST}'"]
    statements += [f'CREATE DATABASE IF NOT EXISTS {name} CHARACTER SET utf8'
                   for name in DATABASES]
    etc = layout.directory('etc', 'mariadb')
    (etc / 'init.sql').write_text(';\n'.join(statements) + ';\n')
    etc = layout.directory('etc', 'rabbitmq')
    (etc / 'rabbitmq.conf').write_text(
        f'listeners.tcp.1 = {layouts.HOST}:{layout.port("rabbitmq")}\n'
        'disk_free_limit.absolute = 50MB\n'
        'log.file.level = warning\n')
    (etc / 'enabled_plugins').write_text('[].\n')
    layout.directory('rabbitmq')


def services(layout):
    """The services that all others need."""
    return [_mariadb(layout), _epmd(layout), _rabbitmq(layout),
            _memcached(layout)]


def connect(layout, database=None):
    """A connection to MariaDB.

    :param database: name of the database to work in
    """
    return pymysql.connect(
        host=layouts.HOST, port=layout.port('mariadb'), user='cloud',
        password=layouts.PASSWORD, database=database, autocommit=True)


def _mariadb(layout):
    return service.Service(
        'mariadb', [
            program('mariadbd'), '--no-defaults',
            f'--datadir={layout.root / "mariadb"}',
            f'--init-file={layout.etc("mariadb") / "init.sql"}',
            f'--bind-address={layouts.HOST}',
            f'--port={layout.port("mariadb")}', *_AS_ROOT,
            # A path below the data directory: those of sockets are short.
            '--socket=mariadb.sock', '--pid-file=mariadb.pid',
            '--skip-name-resolve', '--max-connections=500',
            '--innodb-flush-log-at-trx-commit=0',
            '--innodb-log-file-size=32M', '--innodb-buffer-pool-size=256M'],
        ports=('mariadb',), ready=lambda: _database_ready(layout))


def _database_ready(layout):
    try:
        connect(layout, DATABASES[-1]).close()
    except pymysql.Error:
        return False
    return True


def _erlang(layout):
    return {
        'HOME': str(layout.root / 'rabbitmq'),
        'ERL_EPMD_ADDRESS': layouts.HOST,
        'ERL_EPMD_PORT': str(layout.port('epmd')),
    }


def _epmd(layout):
    # The broker would start one that outlives it.
    return service.Service(
        'epmd', [program('epmd'), '-address', layouts.HOST,
                 '-port', str(layout.port('epmd'))],
        env=_erlang(layout), ports=('epmd',),
        ready=lambda: service.listens(layout.port('epmd')))


def _rabbitmq(layout):
    home = layout.root / 'rabbitmq'
    etc = layout.etc('rabbitmq')
    return service.Service(
        'rabbitmq', [program('rabbitmq-server')],
        env={
            **_erlang(layout),
            'RABBITMQ_NODENAME': 'cloud@localhost',
            'RABBITMQ_NODE_PORT': str(layout.port('rabbitmq')),
            'RABBITMQ_NODE_IP_ADDRESS': layouts.HOST,
            'RABBITMQ_DIST_PORT': str(layout.port('rabbitmq-dist')),
            'RABBITMQ_CONFIG_FILE': str(etc / 'rabbitmq.conf'),
            'RABBITMQ_CONF_ENV_FILE': '/dev/null',
            'RABBITMQ_ENABLED_PLUGINS_FILE': str(etc / 'enabled_plugins'),
            'RABBITMQ_MNESIA_BASE': str(home / 'mnesia'),
            'RABBITMQ_LOG_BASE': str(home / 'log'),
            'RABBITMQ_PID_FILE': str(home / 'pid'),
            'RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS':
                '+sbwt none +S 1:1 -kernel inet_dist_use_interface '
                '{127,0,0,1}',
        },
        ports=('rabbitmq', 'rabbitmq-dist'), needs=('epmd',),
        ready=lambda: _amqp_answers(layout.port('rabbitmq')))


def _amqp_answers(port):
    """Whether the broker has got as far as AMQP."""
    if not service.listens(port):
        return False
    with socket.create_connection((layouts.HOST, port), timeout=5) as client:
        client.sendall(b'AMQP\x00\x00\x09\x01')
        try:
            return len(client.recv(8)) > 0
        except OSError:
            return False


def _memcached(layout):
    command = [program('memcached'), '-l', layouts.HOST, '-U', '0',
               '-p', str(layout.port('memcached')), '-m', '64']
    if os.geteuid() == 0:
        command += ['-u', 'root']
    return service.Service(
        'memcached', command, ports=('memcached',),
        ready=lambda: service.listens(layout.port('memcached')))


def version():
    """What the data directory depends on."""
    return subprocess.run(
        [program('mariadbd'), '--version'], capture_output=True, text=True,
        check=True).stdout.strip()
