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

"""Processes of a Swift that tests start, stop and kill."""

import contextlib
import os
import signal
import time

from cloud.services import swift as swift_module


@contextlib.contextmanager
def running(swift, up=swift_module.Swift.up):
    """A Swift, made anew and deleted afterwards.

    If it does not start, its logs stay.

    :param swift: a :class:`~cloud.services.swift.Swift`
    :param up: starts it
    """
    swift.destroy()
    try:
        up(swift)
        yield swift
    finally:
        swift.down()
    swift.destroy()


def object_servers(swift):
    """Names of the object servers."""
    return [swift.object_server(number)
            for number in range(swift.settings.object_servers)]


def restart(swift, *names):
    """Kill some processes, and start them as they are configured now."""
    swift.stop(*names, seconds=0)
    swift.start(*names)
    forget_errors()


@contextlib.contextmanager
def configured(swift, **settings):
    """The proxy with other settings of :class:`swift_module.Settings`."""
    before = {name: getattr(swift.settings, name) for name in settings}

    def restart_with(values):
        for name, value in values.items():
            setattr(swift.settings, name, value)
        swift.stop('proxy', seconds=0)
        swift.start('proxy')
    restart_with(settings)
    try:
        yield
    finally:
        restart_with(before)


def restore(swift):
    """Let all processes run, as they were configured at first."""
    for name in swift.names():
        with contextlib.suppress(TypeError, ProcessLookupError):
            os.kill(swift.pid(name), signal.SIGCONT)
    changed = [swift.object_server(number)
               for number in swift.settings.without_filter]
    swift.settings.without_filter = ()
    swift.stop(*changed, seconds=0)
    swift.start(*(name for name in swift.names() if swift.pid(name) is None))
    forget_errors()


def forget_errors():
    """Wait until the proxies ask servers again that have failed."""
    time.sleep(1.1)
