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


"""Processes with a log and a pid file each."""

import json
import os
import pathlib
import signal
import subprocess
import time

from cloud import errors


def start(layout, name, command, env=None, cwd=None):
    """Start a process in the background.

    :param layout: the cloud's :class:`~cloud.layout.Layout`
    :param name: names its log and its pid file
    :param command: list of arguments
    :param env: variables to add to the environment
    :param cwd: working directory, default the state directory
    :returns: the pid
    """
    with open(layout.log(name), 'ab') as log:
        process = subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=log, stderr=log,
            cwd=cwd or layout.root, env=environment(env),
            start_new_session=True)
    # Whoever looks later must not take another process for this one after
    # the pid has been used again.
    layout.pid(name).write_text(json.dumps(
        {'pid': process.pid, 'started': _started(process.pid)}))
    return process.pid


def environment(extra=None):
    """The environment of a service: no OS_* of the user's shell in it."""
    kept = {key: value for key, value in os.environ.items()
            if not key.startswith('OS_')}
    # Some services are modules of this package, which is not installed.
    path = [str(pathlib.Path(__file__).parents[1]),
            *filter(None, [kept.get('PYTHONPATH')])]
    return {**kept, 'PYTHONPATH': os.pathsep.join(path),
            'PYTHONWARNINGS': 'ignore', **(extra or {})}


def run(layout, name, command, env=None):
    """Run a command to its end.

    :raises CloudError: it failed; the message has the end of its log
    """
    with open(layout.log(name), 'ab') as log:
        status = subprocess.call(
            command, stdin=subprocess.DEVNULL, stdout=log, stderr=log,
            cwd=layout.root, env=environment(env))
    if status:
        raise errors.CloudError(
            f'{name} failed with status {status}; the end of '
            f'{layout.log(name)}:\n{tail(layout.log(name))}')


def pid(layout, name):
    """The pid of a service that runs, or None."""
    try:
        known = json.loads(layout.pid(name).read_text())
    except (OSError, ValueError):
        return None
    if known['started'] is None or _started(known['pid']) != known['started']:
        return None
    return known['pid']


def stop(layout, name, seconds=8):
    """Stop a service and all that it started, if it runs."""
    leader = pid(layout, name)
    if leader is not None:
        deadline = time.monotonic() + seconds
        _signal(leader, signal.SIGTERM)
        while _group_lives(leader):
            if time.monotonic() > deadline:
                _signal(leader, signal.SIGKILL)
                break
            time.sleep(0.05)
    layout.pid(name).unlink(missing_ok=True)


def known(layout):
    """Names of the services that have a pid file."""
    return sorted(path.stem for path in layout.directory('run').glob('*.pid'))


def tail(path, lines=25):
    """The last lines of a log."""
    try:
        text = pathlib.Path(path).read_text(errors='replace')
    except OSError as exc:
        return str(exc)
    return '\n'.join(text.splitlines()[-lines:])


def _signal(leader, number):
    try:
        os.killpg(leader, number)
    except ProcessLookupError:
        pass


def _group_lives(leader):
    # The children of this very process stay zombies until they are waited
    # for.
    try:
        os.waitpid(leader, os.WNOHANG)
    except ChildProcessError:
        pass
    try:
        os.killpg(leader, 0)
    except ProcessLookupError:
        return False
    return True


def _started(number):
    """When a process started, in clock ticks since boot; None if it ended."""
    try:
        stat = pathlib.Path(f'/proc/{number}/stat').read_text()
    except OSError:
        return None
    # The command's name, in parentheses, may hold anything; see proc(5).
    fields = stat.rpartition(')')[2].split()
    return None if fields[0] == 'Z' else int(fields[19])
