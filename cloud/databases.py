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


"""The databases: made once, then taken from a cache.

Schemas, users and catalogue take half of a first start. What they depend on
is known, so a copy of MariaDB's data directory is kept for the next cloud of
the same user.
"""

import concurrent.futures
import hashlib
import importlib.metadata
import os
import pathlib
import shutil

from cloud import backing
from cloud import layout as layouts
from cloud import process
from cloud import services

KEPT = 3
# With the packages of the services, what decides what is in the databases.
_PACKAGES = ('SQLAlchemy', 'alembic', 'oslo.db')
_CODE = ('backing.py', 'bootstrap.py', 'layout.py', 'nova_schema.py')


def prepare(cloud):
    """Put the databases in place, from the cache if they are there.

    :param cloud: a :class:`~cloud.core.Cloud` of which nothing runs
    """
    layout = cloud.layout
    data = layout.root / 'mariadb'
    complete = layout.root / 'mariadb.complete'
    if complete.exists() and data.exists():
        return
    # What an interrupted start has left behind.
    shutil.rmtree(data, ignore_errors=True)
    cached = layouts.cache_directory() / cache_key()
    if cached.exists():
        shutil.copytree(cached, data)
        os.utime(cached)
        cloud.tell('databases taken from the cache')
    else:
        _make(cloud)
        _keep(data, cached)
    complete.touch()


def cache_key():
    """What the databases depend on, as a name."""
    packages = [name for module in services.MODULES
                for name in module.PACKAGES]
    facts = [backing.version()]
    facts += [f'{name}=={importlib.metadata.version(name)}'
              for name in (*_PACKAGES, *packages)]
    here = pathlib.Path(__file__).parent
    facts += [path.read_text() for path in sorted(
        [*(here / 'services').glob('*.py'), *(here / n for n in _CODE)])]
    return hashlib.sha256('\n'.join(facts).encode()).hexdigest()[:16]


def relocate(cloud):
    """Correct the addresses in databases that may come from the cache."""
    layout = cloud.layout
    with backing.connect(layout) as connection:
        with connection.cursor() as cursor:
            for port, (name, _, path) in cloud.endpoints():
                cursor.execute(
                    'UPDATE keystone.endpoint SET url = %s WHERE service_id '
                    'IN (SELECT id FROM keystone.service WHERE extra LIKE %s)',
                    (layout.url(port) + path, f'%"{name}"%'))
            for cell, transport in (
                    ('cell0', 'none:///'), ('cell1', layout.transport)):
                cursor.execute(
                    'UPDATE nova_api.cell_mappings SET database_connection = '
                    '%s, transport_url = %s WHERE name = %s',
                    (layout.database(f'nova_{cell}'), transport, cell))


def _make(cloud):
    layout = cloud.layout
    backing.install_database(layout)
    cloud.start(backing.services(layout)[:1])
    tasks = {}
    for module in services.MODULES:
        tasks.update(module.schema(cloud))
    with concurrent.futures.ThreadPoolExecutor(os.cpu_count()) as pool:
        running = {
            pool.submit(process.run, layout, name, *task): name
            for name, task in tasks.items()}
        for done in concurrent.futures.as_completed(running):
            done.result()
            cloud.tell(f'{running[done]} made')
    process.stop(layout, 'mariadb', seconds=60)


def _keep(data, cached):
    """Keep a copy, and the few that were used last."""
    cached.parent.mkdir(parents=True, exist_ok=True)
    temporary = cached.with_name(f'{cached.name}.{os.getpid()}')
    shutil.copytree(data, temporary, ignore=shutil.ignore_patterns(
        '*.sock', '*.pid'))
    try:
        temporary.rename(cached)
    except OSError:
        # Another cloud was quicker; what it has is as good.
        shutil.rmtree(temporary)
    os.utime(cached)
    old = sorted(cached.parent.iterdir(), key=os.path.getmtime)[:-KEPT]
    for path in old:
        shutil.rmtree(path, ignore_errors=True)
