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

"""Frames arrive as they were sent, or not at all."""

import io
import unittest

import hypothesis
from hypothesis import strategies as st

from ai_factory_plugins.dataset import frames

# The machine may be busy.
PATIENT = hypothesis.settings(
    deadline=None, suppress_health_check=[hypothesis.HealthCheck.too_slow])
FRAMES = st.lists(st.tuples(
    st.sampled_from(sorted(frames.KINDS)), st.integers(0, 999),
    st.integers(0, 2 ** 32 - 1),
    st.dictionaries(st.text(), st.integers() | st.text(), max_size=3),
    st.binary(max_size=300)), max_size=5)


def received(body):
    stream, found = io.BytesIO(body), []
    while stream.tell() < len(body):
        found.append(frames.read(stream.read))
    return found


class FramesTest(unittest.TestCase):

    @PATIENT
    @hypothesis.given(FRAMES)
    def test_round_trip(self, sent):
        body = b''.join(b''.join(frames.encode(*one)) for one in sent)
        self.assertEqual(
            [(one.kind, one.status, one.entry, one.meta, bytes(one.data))
             for one in received(body)], sent)

    @PATIENT
    @hypothesis.given(FRAMES.filter(bool), st.data())
    def test_cut_short(self, sent, data):
        body = b''.join(b''.join(frames.encode(*one)) for one in sent)
        cut = data.draw(st.integers(0, len(body) - 1))
        stream = io.BytesIO(body[:cut])
        with self.assertRaises(frames.FrameError):
            for _ in sent:
                frames.read(stream.read)

    @PATIENT
    @hypothesis.given(FRAMES, st.data())
    def test_pieces_as_they_come(self, sent, data):
        """They begin and end anywhere, and the last may be missing."""
        body = b''.join(b''.join(frames.encode(*one)) for one in sent)
        end = data.draw(st.integers(0, len(body)))
        stream = io.BytesIO(body[:end])
        left = stream.read(data.draw(st.integers(0, 100)))
        block = data.draw(st.integers(1, 300))

        def take(size):
            self.assertEqual(size, block)
            return stream.read(data.draw(st.integers(1, size)))

        def take_into(view):
            self.assertGreater(len(view), 0)
            return stream.readinto(view[:data.draw(st.integers(1, 300))])

        pieces = frames.Pieces(take, take_into, block, left)
        for one in sent:
            end -= sum(map(len, frames.encode(*one)))
            if end < 0:
                break
            found = frames.read(pieces.receive)
            self.assertEqual(found.entry, one[2])
            self.assertEqual(bytes(found.data), one[4])
        with self.assertRaises(frames.FrameError):
            frames.read(pieces.receive)

    @PATIENT
    @hypothesis.given(st.binary(max_size=200))
    def test_noise(self, body):
        stream = io.BytesIO(body)
        try:
            while True:
                frames.read(stream.read).meta
        except frames.FrameError:
            pass

    def test_bounds(self):
        for head in (
                frames.HEADER.pack(0, 200, 0, 0, 0),
                frames.HEADER.pack(9, 200, 0, 0, 0),
                frames.HEADER.pack(1, 200, 0, frames.MAX_META + 1, 0),
                frames.HEADER.pack(1, 200, 0, 0, frames.MAX_DATA + 1)):
            with self.assertRaises(frames.FrameError):
                frames.read(io.BytesIO(head + bytes(2000000)).read)

    def test_pieces(self):
        data = bytes(range(256)) * 10000
        body = b''.join(b''.join(frame) for frame in frames.pieces(
            frames.ENTRY, 206, 7, {'size': 1}, data))
        found = received(body)
        self.assertEqual([frame.kind for frame in found], [1] + 9 * [2])
        self.assertEqual(
            {len(frame.data) for frame in found[:-1]}, {frames.PIECE})
        self.assertEqual(found[0].meta, {'size': 1})
        self.assertEqual(b''.join(bytes(frame.data) for frame in found), data)
        self.assertEqual(len(received(b''.join(next(frames.pieces(
            frames.ENTRY, 200, 0, None, b''))))), 1)
