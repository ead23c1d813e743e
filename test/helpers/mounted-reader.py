"""Reads files of a mount in every way that Linux has and compares them with the files they are made of.

random MOUNTED ORIGINAL SECONDS SEED   any reads of one file; prints how many of each kind there were
pages MOUNTED ORIGINAL                 each page of each file below, and each listing; prints what failed
many MOUNTED ORIGINAL THREADS          all files of a folder, open at once, read by many threads

Results are JSON on standard output. Wrong bytes are never told as mere failures.
"""

import ctypes
import errno
import hashlib
import json
import mmap
import os
import random
import resource
import socket
import sys
import threading
import time

PAGE = 4096
LIBC = ctypes.CDLL(None, use_errno=True)


def direct_read(path, offset, length):
    descriptor = os.open(path, os.O_RDONLY | os.O_DIRECT)
    try:
        memory = mmap.mmap(-1, length)
        got = os.preadv(descriptor, [memory], offset)
        return memory[:got]
    finally:
        os.close(descriptor)


class Random:
    """Each method reads a range in its own way and gives the bytes."""

    def __init__(self, path, size, generator):
        self.path = path
        self.size = size
        self.random = generator
        self.descriptor = os.open(path, os.O_RDONLY)
        self.scratch = os.memfd_create("scratch")

    def pread(self, offset, length):
        return os.pread(self.descriptor, length, offset)

    def preadv(self, offset, length):
        first = bytearray(max(1, length // 3))
        second = bytearray(max(0, length - len(first)))
        got = os.preadv(self.descriptor, [first, second], offset)
        return bytes(first + second)[:got]

    def seek_and_read(self, offset, length):
        with open(self.path, "rb") as file:
            file.seek(offset)
            return file.read(length)

    def readahead(self, offset, length):
        LIBC.readahead(self.descriptor, ctypes.c_long(offset), ctypes.c_size_t(length))
        return os.pread(self.descriptor, length, offset)

    def after_advice(self, offset, length):
        advice = self.random.choice(
            [os.POSIX_FADV_RANDOM, os.POSIX_FADV_SEQUENTIAL, os.POSIX_FADV_WILLNEED]
        )
        os.posix_fadvise(self.descriptor, offset, length, advice)
        return os.pread(self.descriptor, length, offset)

    def after_forgetting(self, offset, length):
        os.posix_fadvise(self.descriptor, 0, 0, os.POSIX_FADV_DONTNEED)
        return os.pread(self.descriptor, length, offset)

    def mapped(self, offset, length):
        start = offset - offset % mmap.ALLOCATIONGRANULARITY
        advice = self.random.choice([mmap.MADV_NORMAL, mmap.MADV_RANDOM, mmap.MADV_WILLNEED])
        end = min(offset + length, self.size)
        if end <= offset:
            return b""
        with mmap.mmap(
            self.descriptor, end - start, mmap.MAP_PRIVATE, mmap.PROT_READ, offset=start
        ) as memory:
            memory.madvise(advice)
            return memory[offset - start : end - start]

    def direct(self, offset, length):
        start = offset - offset % PAGE
        rounded = (offset + length - start + PAGE - 1) // PAGE * PAGE
        return direct_read(self.path, start, rounded)[offset - start : offset - start + length]

    def spliced(self, offset, length):
        receiver, sender = os.pipe()
        try:
            pieces = []
            while length > 0:
                got = os.splice(self.descriptor, sender, min(length, 65536), offset_src=offset)
                if got == 0:
                    break
                left = got
                while left > 0:
                    pieces.append(os.read(receiver, left))
                    left -= len(pieces[-1])
                offset += got
                length -= got
            return b"".join(pieces)
        finally:
            os.close(receiver)
            os.close(sender)

    def copied(self, offset, length):
        os.ftruncate(self.scratch, 0)
        os.lseek(self.scratch, 0, os.SEEK_SET)
        total = 0
        while total < length:
            try:
                got = os.copy_file_range(
                    self.descriptor, self.scratch, length - total, offset + total, total
                )
            except OSError as error:
                # Between file systems Linux wants another call.
                if error.errno != errno.EXDEV:
                    raise
                got = os.sendfile(self.scratch, self.descriptor, offset + total, length - total)
            if got == 0:
                break
            total += got
        return os.pread(self.scratch, total, 0)

    def sent(self, offset, length):
        ours, theirs = socket.socketpair()
        with ours, theirs:
            pieces = []

            def receive():
                while piece := theirs.recv(1 << 16):
                    pieces.append(piece)

            receiver = threading.Thread(target=receive)
            receiver.start()
            total = 0
            while total < length:
                got = os.sendfile(ours.fileno(), self.descriptor, offset + total, length - total)
                if got == 0:
                    break
                total += got
            ours.shutdown(socket.SHUT_WR)
            receiver.join()
            return b"".join(pieces)


WAYS = [name for name in vars(Random) if not name.startswith("_")]


def random_reads(path, original, seconds, seed):
    with open(original, "rb") as file:
        content = file.read()
    generator = random.Random(int(seed))
    reader = Random(path, len(content), generator)
    counts = dict.fromkeys(WAYS, 0)
    end = time.monotonic() + float(seconds)
    while time.monotonic() < end or min(counts.values()) < 3:
        way = generator.choice(WAYS)
        offset = generator.randrange(len(content) + PAGE)
        length = int(2 ** generator.uniform(0, 20))
        got = getattr(reader, way)(offset, length)
        if got != content[offset : offset + length]:
            return {"wrong": [way, offset, length, len(got)], "counts": counts}
        counts[way] += 1
    return {"wrong": None, "counts": counts}


def name_of(error):
    return errno.errorcode.get(error.errno, str(error.errno))


def read_pages(path, original):
    """What of a file is wrong or fails, page by page, in its cache and around it; or of a link."""
    if os.path.islink(original):
        try:
            return {} if os.readlink(path) == os.readlink(original) else {"wrong": "target"}
        except OSError as error:
            return {"open": name_of(error)}
    with open(original, "rb") as file:
        content = file.read()
    found = {}
    try:
        status = os.lstat(path)
        descriptor = os.open(path, os.O_RDONLY)
    except OSError as error:
        return {"open": name_of(error)}
    expected = os.lstat(original)
    if (status.st_size, status.st_mtime_ns) != (expected.st_size, expected.st_mtime_ns):
        return {"wrong": "status"}
    os.posix_fadvise(descriptor, 0, 0, os.POSIX_FADV_RANDOM)
    for offset in range(0, len(content), PAGE):
        for way, read in (
            ("direct", lambda: direct_read(path, offset, PAGE)),
            ("cached", lambda: os.pread(descriptor, PAGE, offset)),
        ):
            try:
                if read() != content[offset : offset + PAGE]:
                    found.setdefault("wrong", []).append([way, offset])
            except OSError as error:
                found.setdefault(way, []).append([offset, name_of(error)])
    try:
        with open(path, "rb") as file:
            if file.read() != content:
                found.setdefault("wrong", []).append(["whole", 0])
    except OSError as error:
        found["whole"] = name_of(error)
    os.close(descriptor)
    return found


def read_listing(path, original):
    names = []
    try:
        with os.scandir(path) as entries:
            for entry in entries:
                names.append(entry.name)
    except OSError as error:
        known = set(os.listdir(original))
        wrong = [name for name in names if name not in known]
        return {"listing": name_of(error), **({"wrong": wrong} if wrong else {})}
    return {"listing": "" if sorted(names) == sorted(os.listdir(original)) else "wrong"}


def read_tree(root, original):
    found = {}
    for folder, _, files in os.walk(original):
        relative = os.path.relpath(folder, original)
        here = root if relative == "." else os.path.join(root, relative)
        found[relative] = read_listing(here, folder)
        for name in sorted(files):
            path = name if relative == "." else os.path.join(relative, name)
            found[path] = read_pages(os.path.join(here, name), os.path.join(folder, name))
    return found


def read_many(root, original, threads):
    names = sorted(os.listdir(original))
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    descriptors = [os.open(os.path.join(root, name), os.O_RDONLY) for name in names]
    wrong = []

    def read(start):
        for i in range(start, len(names), int(threads)):
            with open(os.path.join(original, names[i]), "rb") as file:
                expected = hashlib.sha256(file.read()).digest()
            with os.fdopen(descriptors[i], "rb") as file:
                if hashlib.sha256(file.read()).digest() != expected:
                    wrong.append(names[i])

    readers = [threading.Thread(target=read, args=(start,)) for start in range(int(threads))]
    for reader in readers:
        reader.start()
    for reader in readers:
        reader.join()
    return {"opened": len(descriptors), "wrong": wrong}


COMMANDS = {"random": random_reads, "pages": read_tree, "many": read_many}
print(json.dumps(COMMANDS[sys.argv[1]](*sys.argv[2:])))
